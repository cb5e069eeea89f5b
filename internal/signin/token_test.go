package signin

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// What is used up stays so until it expires, also when it comes again at once, and is
// forgotten then, a part at a time.
func TestUsedUp(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		st := open(t)
		if err := st.Migrate(t.Context(), Migrations()); err != nil {
			t.Fatal(err)
		}
		s, now := &Service{}, time.Unix(1_800_000_000, 0)
		use := func(id string, at time.Time) error {
			return st.Update(t.Context(), func(tx *store.Tx) error { return s.useUp(tx, id, at.Add(time.Minute), at) })
		}
		for _, one := range []struct {
			after time.Duration
			good  bool
		}{{0, true}, {0, false}, {time.Minute, false}, {time.Minute + time.Microsecond, true}, {2 * time.Minute, false}} {
			err := use("one", now.Add(one.after))
			if e, refused := errors.AsType[*api.Error](err); (err == nil) != one.good || err != nil && (!refused || e.Code != "InvalidGrantException") {
				t.Errorf("after %s: %v", one.after, err)
			}
		}
		used := func() (n int) {
			err := st.Update(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(`SELECT count(*) FROM signin_used`).Scan(&n) })
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		for i := range 2 * sweepEvery {
			if err := use(fmt.Sprint(i), now); err != nil {
				t.Fatal(err)
			}
		}
		if before := used(); before <= 2*sweepEvery {
			t.Fatalf("%d are kept", before)
		}
		for i := range sweepEvery {
			if err := use(fmt.Sprint("later ", i), now.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if after := used(); after != sweepEvery {
			t.Errorf("%d are kept, those of before too", after)
		}
	})
}

// An id token is a JWT that the key of the service signed, as anybody reads it.
func TestIDTokenForm(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := (&Service{sign: private}).jwt(map[string]any{"sub": "ada"})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(public)
	var claims map[string]string
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims["sub"] != "ada" || signed.Signatures[0].Protected.ExtraHeaders["typ"] != "JWT" {
		t.Errorf("%s holds %s: %v", text, payload, err)
	}
}
