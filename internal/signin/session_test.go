package signin

import (
	"context"
	"errors"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// people is a directory in which everybody is there but those who left.
type people struct {
	Directory
	left map[string]bool
}

func (p people) Present(_ context.Context, _ *store.Snapshot, who *api.Person) error {
	if p.left[who.UserID] {
		return api.ErrGone
	}
	return nil
}

func (people) Instance(*store.Snapshot) (string, string, error) { return "instance", "store", nil }

func TestSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		ctx, db := t.Context(), open(t)
		if err := db.Migrate(ctx, Migrations()); err != nil {
			t.Fatal(err)
		}
		everybody := people{left: map[string]bool{}}
		s := &Service{Config: Config{Directory: everybody}}
		now := time.Now()
		secrets := map[string]string{}
		ids := map[string]string{}
		for _, name := range []string{"laptop", "phone"} {
			in := &Session{UserID: "ada", Methods: []string{"pwd", "otp"}, Agent: name}
			if err := db.Update(ctx, func(tx *store.Tx) (err error) {
				secrets[name], err = begin(tx, in, now)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			ids[name] = in.ID
		}
		ask := func(secret string, at time.Time) (*Session, error) {
			sn, err := db.Snapshot(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer sn.Close()
			return s.bySecret(ctx, sn, secret, at)
		}
		gone := func(why, secret string, at time.Time) {
			t.Helper()
			if in, err := ask(secret, at); !errors.Is(err, api.ErrGone) {
				t.Errorf("%s: %+v, %v", why, in, err)
			}
		}
		in, err := ask(secrets["laptop"], now)
		if err != nil || in.UserID != "ada" || !in.Strong() || in.Agent != "laptop" {
			t.Fatalf("%+v, %v", in, err)
		}
		gone("a secret that was not given out", secrets["laptop"][1:]+"A", now)
		gone("an id as secret", in.ID, now)
		gone("the digest as secret", digest(secrets["laptop"]), now)
		gone("long unused", secrets["laptop"], now.Add(sessionIdle+time.Second))

		later := now.Add(sessionIdle - time.Minute)
		if err := db.Update(ctx, func(tx *store.Tx) error { return used(tx, in, later) }); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(secrets["laptop"], later.Add(sessionIdle-time.Minute)); err != nil {
			t.Errorf("one that is used: %v", err)
		}
		gone("however much it is used", secrets["laptop"], now.Add(sessionLife+time.Second))

		if err := db.Update(ctx, func(tx *store.Tx) error { return end(tx, "eve", ids["laptop"]) }); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(secrets["laptop"], now); err != nil {
			t.Errorf("somebody else ended it: %v", err)
		}
		everybody.left["ada"] = true
		gone("whose person left", secrets["laptop"], now)
		delete(everybody.left, "ada")
		if err := db.Update(ctx, func(tx *store.Tx) error { return endAll(tx, "ada") }); err != nil {
			t.Fatal(err)
		}
		gone("signed out everywhere", secrets["laptop"], now)
		gone("signed out everywhere", secrets["phone"], now)
	})
}
