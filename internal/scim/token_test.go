package scim

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// A token is good from when it is made until it is deleted or a year is over, and
// two are good at a time.
func TestTokens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		st := open(t)
		if err := st.Migrate(t.Context(), Migrations()); err != nil {
			t.Fatal(err)
		}
		s := &Server{Config: Config{Store: st}}
		began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		create := func(now time.Time) (token Token, text string, err error) {
			err = st.Update(t.Context(), func(tx *store.Tx) error {
				token, text, err = CreateToken(tx, now)
				return err
			})
			return token, text, err
		}
		good := func(text string, now time.Time) bool {
			t.Helper()
			id, err := s.verify(t.Context(), text, now)
			if err != nil && !errors.Is(err, errToken) {
				t.Fatal(err)
			}
			return err == nil && strings.Contains(text, id)
		}
		first, a, err := create(began)
		if err != nil {
			t.Fatal(err)
		}
		_, b, err := create(began.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if !good(a, began) || !good(b, began.Add(time.Hour)) {
			t.Error("a new token is refused")
		}
		if good(a[:37]+b[37:], began) || good(b[:37]+a[37:], began) {
			t.Error("the secret of one token passes for another's")
		}
		if _, _, err := create(began.Add(2 * time.Hour)); !errors.Is(err, ErrTwoTokens) {
			t.Errorf("a third token: %v", err)
		}
		end := began.Add(lifetime)
		if !good(a, end.Add(-time.Second)) || good(a, end) || !good(b, end) {
			t.Error("a token does not end after a year")
		}
		if _, _, err := create(end); err != nil {
			t.Errorf("a token in the place of one that ran out: %v", err)
		}
		if err := st.Update(t.Context(), func(tx *store.Tx) error { return DeleteToken(tx, first.ID) }); !errors.Is(err, ErrNoToken) {
			t.Errorf("what ran out is still there: %v", err)
		}
		sn, err := st.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Close()
		if list, err := ListTokens(sn); err != nil || len(list) != 2 || !list[0].Created.Equal(began.Add(time.Hour)) {
			t.Errorf("the list is %v, %v", list, err)
		}
	})
}
