package kms

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// look is how often Run looks for what has become due.
const look = 2 * time.Second

// errSettled says that what was due no longer is: somebody was quicker, or it was
// taken back.
var errSettled = errors.New("kms: settled")

func settled(err error) error {
	if errors.Is(err, errSettled) {
		return nil
	}
	return err
}

// Run does what time brings, until ctx ends: keys whose waiting time is over are
// destroyed, so is imported material that has expired, and keys rotate. Among several
// copies of the server one does so; each of them forgets material in clear of keys
// that cannot be used any more. It may be killed at any moment: each step is one
// transaction. What fails is told to problem and tried again.
//
// Nothing rests on its being quick. That a key is to be destroyed or has expired
// material is seen by the very next call.
func (s *Service) Run(ctx context.Context, st *store.Store, problem func(error)) error {
	tended := make(chan struct{})
	go func() {
		defer close(tended)
		for ctx.Err() == nil {
			err := st.Lead(ctx, "kms", func(ctx context.Context) error {
				every(ctx, problem, func() error { return s.tend(ctx, st) })
				return nil
			})
			if err != nil && ctx.Err() == nil {
				problem(err)
				every(ctx, problem, nil)
			}
		}
	}()
	every(ctx, problem, func() error { return s.forgetUnusable(ctx, st) })
	<-tended
	return nil
}

// every does something at each look until ctx ends; without anything to do it waits
// for one.
func every(ctx context.Context, problem func(error), do func() error) {
	timer := time.NewTicker(look)
	defer timer.Stop()
	for ctx.Err() == nil {
		if do != nil {
			if err := do(); err != nil && ctx.Err() == nil {
				problem(err)
			}
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
			if do == nil {
				return
			}
		}
	}
}

// tend does what is due now. That one key fails keeps none of the others waiting.
func (s *Service) tend(ctx context.Context, st *store.Store) error {
	var failures []error
	for _, duty := range []struct {
		query string
		do    func(ctx context.Context, id, account string) error
	}{
		{"SELECT id, account FROM kms_keys WHERE deletion > 0 AND deletion <= ? ORDER BY deletion", s.remove},
		{`SELECT DISTINCT k.id, k.account FROM kms_materials m JOIN kms_keys k ON k.id = m.key
			WHERE m.expires > 0 AND m.expires <= ?`, s.expire},
		{`SELECT id, account FROM kms_keys WHERE rotates > 0 AND enabled AND deletion = 0 AND rotates <= ? ORDER BY rotates`,
			func(ctx context.Context, id, _ string) error { return s.rotateDue(ctx, st, id) }},
	} {
		keys, err := due(ctx, st, duty.query, s.Now())
		if err != nil {
			return err
		}
		for id, account := range keys {
			if err := duty.do(ctx, id, account); err != nil {
				failures = append(failures, err)
			}
		}
	}
	return errors.Join(failures...)
}

// expire destroys the imported material of a key that has expired.
func (s *Service) expire(ctx context.Context, id, account string) error {
	now := s.Now()
	event := s.event("DeleteExpiredKeyMaterial", account, s.arn(account, "key/"+id), nil)
	return settled(s.Happened(ctx, event, func(tx *store.Tx) error {
		all, err := generations(tx, id)
		if err != nil {
			return err
		}
		over := false
		for _, g := range all {
			if g.expires.IsZero() || now.Before(g.expires) {
				continue
			}
			over = true
			if err := destroy(tx, id, g.version); err != nil {
				return err
			}
		}
		if !over {
			return errSettled
		}
		tx.AfterCommit(func() { s.forget(id) })
		return restate(tx, id)
	}))
}

// forget overwrites what is held in clear of a key's material. A call that is on its
// way may bring it back; Run finds that.
func (s *Service) forget(id string) {
	for _, held := range s.materials.Keys() {
		if held.key == id {
			s.materials.Drop(held)
		}
	}
}

// forgetUnusable overwrites the material in clear of keys that are not enabled now:
// another copy of the server may have been told, or time has passed.
func (s *Service) forgetUnusable(ctx context.Context, st *store.Store) error {
	held := map[string]bool{}
	for _, id := range s.materials.Keys() {
		held[id.key] = true
	}
	if len(held) == 0 {
		return nil
	}
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer sn.Close()
	names := make([]string, 0, len(held))
	for id := range held {
		names = append(names, versionKey(id))
	}
	if _, err := sn.Versions(names...); err != nil {
		return err
	}
	for id := range held {
		k, err := s.get(sn, id)
		if err != nil {
			return err
		}
		if k == nil || k.state(s.Now()) != kms.KeyStateEnabled {
			s.forget(id)
		}
	}
	return nil
}
