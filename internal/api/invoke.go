package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
	"bawn.dev/internal/uuid"
)

// Invoke calls an operation of any service from inside a call, as its caller: the
// same decisions and the same record. The caller's identity goes along; the
// network that she came through does not, and the decision knows that a service
// forwarded the call. A nested read's record is written with the outer call's,
// before that answers; a nested write stands even if the outer call fails.
func Invoke[Out any](ctx context.Context, c *Call, action string, in any) (*Out, error) {
	out, err := c.door.invoke(ctx, c, action, in)
	if err != nil {
		return nil, err
	}
	typed, ok := out.(*Out)
	if !ok {
		return nil, fmt.Errorf("api: %s answers %T", action, out)
	}
	return typed, nil
}

// InvokeAny is Invoke where the types are not known when the program is written:
// for tests that run over every operation.
func InvokeAny(ctx context.Context, c *Call, action string, in any) (any, error) {
	return c.door.invoke(ctx, c, action, in)
}

// Demands is what a call would have to be allowed, as the pipeline would resolve it
// now. Nothing is decided, done or recorded: it is for explaining, and only for who
// may see everything.
func (d *Door) Demands(ctx context.Context, outer *Call, action string, in any) ([]Demand, error) {
	e := d.byAction[action]
	if e == nil {
		return nil, fmt.Errorf("api: nothing serves %s", action)
	}
	sn, err := d.Store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	_, demands, err := e.op.resolve(ctx, &Call{
		RequestID: uuid.New(), Now: d.Now(), Region: d.Region, Account: outer.Account, Snapshot: sn,
		door: d, service: e.service, op: e.op, model: e.model, subject: outer.subject, in: in,
	}, in)
	return demands, err
}

func (d *Door) invoke(ctx context.Context, outer *Call, action string, in any) (any, error) {
	e := d.byAction[action]
	if e == nil {
		return nil, fmt.Errorf("api: nothing serves %s", action)
	}
	c := &Call{
		RequestID: uuid.New(),
		Now:       d.Now(),
		Region:    outer.Region,
		Account:   outer.Account,
		door:      d,
		service:   e.service,
		op:        e.op,
		model:     e.model,
		match:     e.inside,
		subject:   outer.subject,
		signature: outer.signature,
		via:       outer.forwarded(),
		parent:    outer.RequestID,
		origin:    outer.carried(),
		in:        in,
		pending:   outer.pending,
	}
	defer c.close()
	if outer.Snapshot != nil && e.op.ReadOnly() {
		c.Snapshot, c.borrowed = outer.Snapshot, true
		return d.run(ctx, c)
	}
	err := c.renew(ctx, d.Store.Glance)
	if errors.Is(err, store.ErrChanged) {
		err = c.renew(ctx, d.Store.Snapshot)
	}
	if err != nil {
		return nil, d.refuse(ctx, c, err)
	}
	return d.run(ctx, c)
}

// carried is the origin of a call that a service makes: none, unless the outer call
// is no request but Bawn's own doing at a place in a VPC.
func (c *Call) carried() *Origin {
	if c.service == nil {
		return c.origin
	}
	return nil
}

// forwarded is the chain of services behind a call that this one makes.
func (c *Call) forwarded() []string {
	if c.service == nil {
		return c.via
	}
	return append(c.via[:len(c.via):len(c.via)], c.service.Principal())
}

// Begin opens the door from inside: for Bawn's own loops, and for what a workload
// has done to it in its role and its person's name. Nobody signed for the claim,
// so the account, role and person are checked as they are for any caller. via
// names the service that acts.
func (d *Door) Begin(ctx context.Context, claim Claim, via string) (*Call, error) {
	return d.BeginAt(ctx, claim, via, nil)
}

// BeginAt is Begin for what is done at a place in a VPC: origin names the endpoint
// through which the workload's own calls would come, and that endpoint's policy and
// network keys apply to every call that is invoked from here.
func (d *Door) BeginAt(ctx context.Context, claim Claim, via string, origin *Origin) (*Call, error) {
	sn, err := d.Store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	c := &Call{RequestID: uuid.New(), Now: d.Now(), Region: d.Region, Account: claim.Account, door: d, origin: origin}
	if claim.Issued.IsZero() {
		claim.Issued = c.Now
	}
	if c.subject, err = d.Authorizer.Subject(ctx, sn, claim); err != nil {
		return nil, err
	}
	if via != "" && claim.Kind != KindService && d.Used != nil {
		d.Used(claim, strings.TrimSuffix(via, ".amazonaws.com"), c.Now)
	}
	if via != "" && claim.Kind != KindService {
		c.via = []string{via}
	}
	return c, nil
}

// An Event is something that happened rather than something that was asked for: a
// job finished, a key was destroyed at the end of its waiting time.
type Event struct {
	Service   string // "sagemaker"
	Name      string // "TrainingJobStateChange"
	Claim     Claim  // in whose account, role and name
	Resources []Resource
	Details   map[string]any // the change may add to them
	// Traffic says that it is about packets rather than about resources: a network
	// activity event, which is none of management.
	Traffic      bool
	SourceIP     string // of a workload; empty for the service itself
	ErrorCode    string // of what was refused
	ErrorMessage string
	EndpointID   string // of the VPC endpoint that it came through
}

// Happened commits a change and its record together, without a decision: what
// happened cannot be refused.
func (d *Door) Happened(ctx context.Context, e Event, change func(*store.Tx) error) error {
	return d.HappenedTo(ctx, change, e)
}

// HappenedTo is Happened for what concerns several accounts: each has an event of its
// own, which holds nothing that only another may know, and their records name each
// other.
func (d *Door) HappenedTo(ctx context.Context, change func(*store.Tx) error, events ...Event) error {
	now := d.Now()
	shared := ""
	if len(events) > 1 {
		shared = uuid.New()
	}
	records := make([]*trail.Record, len(events))
	for i := range events {
		records[i] = d.happening(&events[i], now)
		records[i].SharedEventID = shared
	}
	return d.Store.Update(ctx, func(tx *store.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		for i, r := range records {
			r.AdditionalEventData = object(events[i].Details)
		}
		return d.Trail.Append(tx, records...)
	})
}

func (d *Door) happening(e *Event, now time.Time) *trail.Record {
	service := e.Service + ".amazonaws.com"
	record := &trail.Record{
		EventID:         uuid.At(now),
		EventTime:       now,
		EventSource:     service,
		EventName:       e.Name,
		Region:          d.Region,
		Account:         e.Claim.Account,
		EventType:       "AwsServiceEvent",
		EventCategory:   "Management",
		ManagementEvent: true,
		SourceIP:        service,
		UserAgent:       service,
		UserIdentity:    serviceIdentity(service, e.Claim),
		Resources:       recordResources(e.Resources, e.Claim.Account),
		ErrorCode:       e.ErrorCode,
		ErrorMessage:    e.ErrorMessage,
		VpcEndpointID:   e.EndpointID,
	}
	if e.Traffic {
		record.EventCategory, record.ManagementEvent = "NetworkActivity", false
	}
	if e.SourceIP != "" {
		record.SourceIP = e.SourceIP
	}
	return record
}
