package identity

import (
	"errors"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

func TestSignOut(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ada, eve := h.person(t, "ada"), h.person(t, "eve")
		present := func(id string, signedIn time.Time) error {
			t.Helper()
			sn, err := h.rig.Store.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer sn.Close()
			return h.Present(t.Context(), sn, &api.Person{UserID: id, SignedIn: signedIn})
		}
		before := h.rig.Now()
		if err := errors.Join(present(ada, before), present(eve, before)); err != nil {
			t.Fatal(err)
		}
		at := before.Add(time.Minute)
		if err := h.rig.Store.Update(t.Context(), func(tx *store.Tx) error { return h.SignOut(tx, ada, at) }); err != nil {
			t.Fatal(err)
		}
		if err := present(ada, before); !errors.Is(err, api.ErrGone) {
			t.Errorf("what she began before: %v", err)
		}
		if err := errors.Join(present(ada, at), present(ada, at.Add(time.Minute)), present(eve, before)); err != nil {
			t.Errorf("what she begins after, and others: %v", err)
		}
		if err := h.rig.Store.Update(t.Context(), func(tx *store.Tx) error { return h.SignOut(tx, ada, before) }); err != nil {
			t.Fatal(err)
		}
		if err := present(ada, before); !errors.Is(err, api.ErrGone) {
			t.Errorf("an earlier end undoes a later one: %v", err)
		}
	})
}
