package iam

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

// When access keys and roles were last used is told to the minute. A call only notes
// it in memory; every few seconds what is new is written. A server that is killed
// forgets the last seconds.

const (
	writeUsesEvery = 5 * time.Second
	maxUses        = 8192 // in memory; while there are more, some are noted with a later call
)

// A use is the last one of an access key or role.
type use struct {
	minute  int64  // microseconds since 1970
	service string // that was called; empty for roles
}

// notes are uses that are not in the table yet, and those that are known to be.
type notes struct {
	mu           sync.Mutex
	new, written map[string]use
}

func newNotes() *notes { return &notes{new: map[string]use{}, written: map[string]use{}} }

// Used notes that a call was signed in a claim's name. It returns at once.
func (s *Service) Used(claim api.Claim, service string, now time.Time) {
	u := use{minute: now.Truncate(time.Minute).UnixMicro()}
	switch {
	case claim.Kind == api.KindRole:
		s.notes.add(claim.ID, u)
	case claim.Kind == api.KindUser && !claim.Temporary():
		u.service = service
		s.notes.add(claim.AccessKeyID, u)
	}
}

func (n *notes) add(id string, u use) {
	n.mu.Lock()
	defer n.mu.Unlock()
	last, known := n.new[id]
	if !known && (len(n.new) >= maxUses || n.written[id] == u) || last == u {
		return
	}
	n.new[id] = u
}

// latest is what memory holds of an id; the zero use for nothing.
func (n *notes) latest(id string) use {
	n.mu.Lock()
	defer n.mu.Unlock()
	if u, ok := n.new[id]; ok {
		return u
	}
	return n.written[id]
}

// write brings what is new into the table. Whatever was deleted meanwhile leaves no
// row behind.
func (n *notes) write(ctx context.Context, st *store.Store) error {
	n.mu.Lock()
	batch := maps.Clone(n.new)
	n.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := st.Update(ctx, func(tx *store.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(batch)) {
			from := "iam_access_keys"
			if strings.HasPrefix(id, "AROA") {
				from = "iam_entities"
			}
			if _, err := tx.Exec(`INSERT INTO iam_last_used (id, used, service)
				SELECT id, CAST(? AS BIGINT), CAST(? AS TEXT) FROM `+from+` WHERE id = ?
				ON CONFLICT (id) DO UPDATE SET used = excluded.used, service = excluded.service WHERE excluded.used >= iam_last_used.used`,
				batch[id].minute, batch[id].service, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.written)+len(batch) > maxUses {
		clear(n.written)
	}
	for id, u := range batch {
		n.written[id] = u
		if n.new[id] == u {
			delete(n.new, id)
		}
	}
	return nil
}

// Run writes the notes that Used makes until the context ends, and then once more.
// What cannot be written waits, unless the store works no more.
func (s *Service) Run(ctx context.Context, st *store.Store) error {
	tick := time.NewTicker(writeUsesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeUsesEvery)
			defer cancel()
			return s.notes.write(last, st)
		case <-tick.C:
			if err := s.notes.write(ctx, st); err != nil && st.Healthy() != nil {
				return err
			}
		}
	}
}

// lastUse is the last use of an access key or role; the zero use for never.
func (s *Service) lastUse(q querier, id string) (use, error) {
	var u use
	err := q.QueryRow(`SELECT used, service FROM iam_last_used WHERE id = ?`, id).Scan(&u.minute, &u.service)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return use{}, err
	}
	if noted := s.notes.latest(id); noted.minute >= u.minute {
		u = noted // another copy of the server may have written later ones
	}
	return u, nil
}

// roleLastUsed is how GetRole tells of the last use of a role; empty for never.
func (s *Service) roleLastUsed(q querier, id string) (*shape.RoleLastUsed, error) {
	u, err := s.lastUse(q, id)
	if err != nil || u.minute == 0 {
		return &shape.RoleLastUsed{}, err
	}
	return &shape.RoleLastUsed{LastUsedDate: time.UnixMicro(u.minute).UTC(), Region: s.cfg.Region}, nil
}

func (s *Service) lastUsedOperations() []api.Operation {
	return []api.Operation{api.Read("GetAccessKeyLastUsed", s.usedAccessKey, s.getAccessKeyLastUsed)}
}

// usedAccessKey finds the user of a key. As in AWS, a key that is not the account's
// is one that nobody may ask for. A refusal does not tell whose key it is.
func (s *Service) usedAccessKey(_ context.Context, c *api.Call, in *shape.GetAccessKeyLastUsedInput) (*entity, []api.Demand, error) {
	const action = "iam:GetAccessKeyLastUsed"
	called := "access key " + in.AccessKeyId
	e, err := keyOwner(c.Snapshot, c.Account, in.AccessKeyId)
	if err != nil {
		return nil, nil, err
	}
	if e == nil {
		return nil, api.On(action, api.Resource{
			ARN: entityARN(user, c.Account, "/", ""), Account: c.Account, Type: "AWS::IAM::User", Called: called,
			Missing: fail("AccessDenied", "User: %s is not authorized to perform: %s on resource: %s", c.Caller().ARN, action, called),
		}), nil
	}
	d := e.demand(action)
	d.Resource.Called = called
	return e, []api.Demand{d}, nil
}

func (s *Service) getAccessKeyLastUsed(_ context.Context, c *api.Call, in *shape.GetAccessKeyLastUsedInput, e *entity) (*shape.GetAccessKeyLastUsedOutput, error) {
	u, err := s.lastUse(c.Snapshot, in.AccessKeyId)
	if err != nil {
		return nil, err
	}
	out := &shape.GetAccessKeyLastUsedOutput{UserName: e.name, AccessKeyLastUsed: &shape.AccessKeyLastUsed{ServiceName: "N/A", Region: "N/A"}}
	if u.minute != 0 {
		*out.AccessKeyLastUsed = shape.AccessKeyLastUsed{LastUsedDate: time.UnixMicro(u.minute).UTC(), ServiceName: u.service, Region: s.cfg.Region}
	}
	return out, nil
}
