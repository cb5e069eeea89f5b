package kms

import (
	"context"
	"strconv"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// How many days a key waits for its destruction.
const (
	shortestWindow = 7
	longestWindow  = 30
)

// undeleted refuses what AWS refuses of a key that is to be destroyed.
func (k *key) undeleted() error {
	if !k.deletion.IsZero() {
		return fail("KMSInvalidStateException", "%s is pending deletion.", k.arn)
	}
	return nil
}

func window(in *kms.ScheduleKeyDeletionInput) int32 {
	if in.PendingWindowInDays == nil {
		return longestWindow
	}
	return *in.PendingWindowInDays
}

func (s *Service) doomedKey(ctx context.Context, c *api.Call, in *kms.ScheduleKeyDeletionInput) (*named, []api.Demand, error) {
	days := window(in)
	if days < shortestWindow || days > longestWindow {
		return nil, nil, invalid("PendingWindowInDays must be between %d and %d, inclusive.", shortestWindow, longestWindow)
	}
	n, demands, err := s.on(ctx, c, "ScheduleKeyDeletion", in.KeyId, ownKey)
	if err != nil {
		return nil, nil, err
	}
	demands[0].Keys.Set("kms:ScheduleKeyDeletionPendingWindowInDays", strconv.Itoa(int(days)))
	// When a key was last used is not kept: policies that ask are told of today.
	demands[0].Keys.Set("kms:TrailingDaysWithoutKeyUsage", "0")
	return n, demands, nil
}

func (s *Service) scheduleKeyDeletion(_ context.Context, c *api.Call, in *kms.ScheduleKeyDeletionInput, n *named) (api.Commit[kms.ScheduleKeyDeletionOutput], error) {
	if err := n.undeleted(); err != nil {
		return nil, err
	}
	days := window(in)
	due := c.Now.AddDate(0, 0, int(days))
	return func(tx *store.Tx) (*kms.ScheduleKeyDeletionOutput, error) {
		tx.AfterCommit(func() { s.forget(n.id) })
		return &kms.ScheduleKeyDeletionOutput{
			KeyId: n.arn, DeletionDate: due, KeyState: kms.KeyStatePendingDeletion, PendingWindowInDays: &days,
		}, n.set(tx, "deletion", due.UnixMicro())
	}, nil
}

func (s *Service) savedKey(ctx context.Context, c *api.Call, in *kms.CancelKeyDeletionInput) (*named, []api.Demand, error) {
	return s.on(ctx, c, "CancelKeyDeletion", in.KeyId, ownKey)
}

func (s *Service) cancelKeyDeletion(_ context.Context, c *api.Call, _ *kms.CancelKeyDeletionInput, n *named) (api.Commit[kms.CancelKeyDeletionOutput], error) {
	switch {
	case n.deletion.IsZero():
		return nil, fail("KMSInvalidStateException", "%s is not pending deletion.", n.arn)
	case !c.Now.Before(n.deletion):
		// Its time is over, though nobody has come for it yet.
		return nil, errKeyNotFound(n.arn)
	}
	return func(tx *store.Tx) (*kms.CancelKeyDeletionOutput, error) {
		if err := n.set(tx, "enabled", false); err != nil {
			return nil, err
		}
		return &kms.CancelKeyDeletionOutput{KeyId: n.arn}, n.set(tx, "deletion", 0)
	}, nil
}

// remove destroys a key whose time has come, with everything that there is of it,
// unless the deletion was cancelled or somebody else was quicker.
func (s *Service) remove(ctx context.Context, id, account string) error {
	now := s.Now()
	name := s.arn(account, "key/"+id)
	event := s.event("DeleteKey", account, name, nil)
	return settled(s.Happened(ctx, event, func(tx *store.Tx) error {
		k, err := row(tx, id)
		if err != nil {
			return err
		}
		if k == nil || k.deletion.IsZero() || now.Before(k.deletion) {
			return errSettled
		}
		tx.AfterCommit(func() { s.forget(id) })
		return erase(tx, k)
	}))
}

func erase(tx *store.Tx, k *key) error {
	aliases, err := column(tx, "SELECT name FROM kms_aliases WHERE key = ?", k.id)
	if err != nil {
		return err
	}
	touched := []string{versionKey(k.id)}
	for _, name := range aliases {
		touched = append(touched, aliasKey(k.account, name))
	}
	for _, statement := range []string{
		"DELETE FROM kms_materials WHERE key = ?", "DELETE FROM kms_tags WHERE key = ?",
		"DELETE FROM kms_aliases WHERE key = ?", "DELETE FROM kms_grants WHERE key = ?", "DELETE FROM kms_keys WHERE id = ?",
	} {
		if _, err := tx.Exec(statement, k.id); err != nil {
			return err
		}
	}
	return tx.Touch(touched...)
}

// event is what nobody asked for about one key.
func (s *Service) event(name, account, key string, details map[string]any) api.Event {
	return api.Event{
		Service: "kms", Name: name,
		Claim:     api.Claim{Kind: api.KindService, ID: "kms.amazonaws.com", Account: account},
		Resources: []api.Resource{{ARN: key, Account: account, Type: "AWS::KMS::Key"}},
		Details:   details,
	}
}

// due finds the keys of a query, with their accounts.
func due(ctx context.Context, st *store.Store, query string, now time.Time) (map[string]string, error) {
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	found := map[string]string{}
	_, err = store.Collect(sn, func(r *store.Rows) (struct{}, error) {
		var id, account string
		err := r.Scan(&id, &account)
		found[id] = account
		return struct{}{}, err
	}, query+" LIMIT 100", now.UnixMicro())
	return found, err
}
