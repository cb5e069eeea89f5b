package api

import (
	"context"
	"net/http"

	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
	"bawn.dev/internal/uuid"
)

// A Stranger is a request that did not prove whose it is, at an entrance beside the
// router: one with tokens of its own.
type Stranger struct {
	Service string // principal name: "scim.sso.amazonaws.com"
	Name    string // of the event
	Agent   string
	Origin  *Origin
	Reason  string // for the record
}

// TurnedAway records that a stranger was refused, within the bounds of all such
// refusals. It answers whether it did: if not, the stranger is to be told to wait.
func (d *Door) TurnedAway(ctx context.Context, s Stranger) (bool, error) {
	now := d.Now()
	if !d.limit.allow(s.Origin.SourceIP, now) {
		return false, nil
	}
	record := &trail.Record{
		EventID: uuid.At(now), RequestID: uuid.New(), EventTime: now,
		EventSource: s.Service, EventName: s.Name, Region: d.Region, Account: d.Account,
		EventType: "AwsApiCall", EventCategory: "Management", ManagementEvent: true, ReadOnly: true,
		SourceIP: s.Origin.SourceIP, UserAgent: s.Agent, UserIdentity: trail.UserIdentity{Type: "Unknown"},
		ErrorCode: http.StatusText(http.StatusUnauthorized), ErrorMessage: s.Reason,
	}
	return true, d.Store.Update(ctx, func(tx *store.Tx) error { return d.Trail.Append(tx, record) })
}
