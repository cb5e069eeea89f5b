package cloudtrail

import (
	"context"
	"strings"
	"time"

	"bawn.dev/internal/lake"
	"bawn.dev/internal/trail"
)

// view is what a query sees of the record.
type view struct {
	account string
	cutoff  time.Time // what is older is not kept
	periods []period  // newest first
	records Records
	// chosen is what is chosen in a period.
	chosen func(ctx context.Context, p period) (choice, error)
	// turn is asked after each page of events how to go on.
	turn func(ctx context.Context) error
}

// source gives a query the events of a store, newest first: those of its account that
// were chosen when they happened. The index leaves out what the query's text cannot
// mean.
func (v *view) source(ctx context.Context, hint lake.Hint, fn func([]byte) error) error {
	for _, p := range v.periods {
		q := hinted(hint)
		q.Account, q.Start = v.account, later(hint.Since, later(v.cutoff, moment(p.since)))
		if !hint.Until.IsZero() {
			q.End = hint.Until.Truncate(time.Second).Add(time.Second - time.Microsecond)
		}
		if p.until != 0 && (q.End.IsZero() || moment(p.until).Before(q.End)) {
			q.End = moment(p.until)
		}
		if !q.End.IsZero() && q.End.Before(q.Start) {
			continue
		}
		chosen, err := v.chosen(ctx, p)
		if err != nil {
			return err
		}
		if err := v.read(ctx, q, chosen, fn); err != nil {
			return err
		}
	}
	return nil
}

// page is how many events are read at once: between two, a query gives way to others.
const page = 500

func (v *view) read(ctx context.Context, q trail.Query, chosen choice, fn func([]byte) error) error {
	for after := ""; ; {
		found, err := v.records.Search(ctx, trail.Search{Queries: []trail.Query{q}, Limit: page, After: after})
		if err != nil {
			return err
		}
		for _, e := range found.Entries {
			if chosen.takes(seen(e.Record)) {
				if err := fn(e.Event); err != nil {
					return err
				}
			}
		}
		if err := v.turn(ctx); err != nil {
			return err
		}
		if after = found.Next; after == "" {
			return nil
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// hinted is what the index can find of what a query demands. Each trait here is, of every
// record whose event has the demanded text, that text.
func hinted(h lake.Hint) trail.Query {
	q := trail.Query{
		EventID: h.Equal["eventid"], EventName: h.Equal["eventname"], EventSource: h.Equal["eventsource"], Username: h.Equal["useridentity.username"],
		AccessKeyID: h.Equal["useridentity.accesskeyid"], Person: h.Equal["useridentity.onbehalfof.userid"],
		ErrorsOnly: h.Equal["errorcode"] != "",
	}
	for name, value := range h.Equal {
		switch {
		case strings.HasPrefix(name, "resources.") && strings.HasSuffix(name, ".arn"):
			q.ResourceName = value
		case name == "useridentity.inscopeof.sourcearn", name == "useridentity.inscopeof.credentialsissuedto":
			q.Scope = value
		}
	}
	return q
}

// seen is what selectors see of a record.
func seen(r *trail.Record) *event {
	e := &event{Category: r.EventCategory, Source: r.EventSource, Name: r.EventName, Type: r.EventType, ErrorCode: r.ErrorCode, EndpointID: r.VpcEndpointID, ReadOnly: r.ReadOnly}
	e.UserIdentity.Type, e.UserIdentity.ARN, e.UserIdentity.InvokedBy = r.UserIdentity.Type, r.UserIdentity.ARN, r.UserIdentity.InvokedBy
	for _, x := range r.Resources {
		e.Resources = append(e.Resources, eventResource{x.ARN, x.Type})
	}
	return e
}
