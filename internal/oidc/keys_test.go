package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

const issuerURL = "https://idp.example"

// An idp answers what it is told to.
type idp struct {
	t     *testing.T
	asked int
	down  error
	keys  []byte
	held  func() bool // whether the asking call still holds its snapshot
}

func (i *idp) Get(_ context.Context, url string) ([]byte, error) {
	if strings.HasSuffix(url, wellKnown) {
		i.asked++
		if i.held() {
			i.t.Error("the issuer was asked while the call held its snapshot")
		}
		return []byte(`{"issuer":"` + issuerURL + `","jwks_uri":"` + issuerURL + `/keys"}`), i.down
	}
	return i.keys, i.down
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(map[string]any{"keys": []jose.JSONWebKey{{Key: key.Public(), KeyID: "one", Algorithm: string(jose.ES256), Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return &idp{t: t, keys: set}
}

// An issuer takes what time it likes. Whoever can bring about a question to it must
// not make the database wait, nor ask again and again.
func TestSlowAndSilentIssuers(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	source := newIDP(t)
	k := New(source, func() time.Time { return now })
	find := func(id string) (waited bool, err error) {
		held := true
		source.held = func() bool { return held }
		key, waited, err := k.find(context.Background(), issuerURL, id, func() { held = false })
		if (key == nil) != (err != nil) {
			t.Fatalf("find(%s) = %v, %v", id, key, err)
		}
		if waited == held {
			t.Errorf("find(%s) waited: %v, held: %v", id, waited, held)
		}
		return waited, err
	}
	expect := func(what string, asked int, waited bool, want error, id string) {
		t.Helper()
		before := source.asked
		gotWaited, err := find(id)
		if source.asked-before != asked || gotWaited != waited || !errors.Is(err, want) {
			t.Errorf("%s: asked %d times, waited %v, %v", what, source.asked-before, gotWaited, err)
		}
	}
	down := errors.New("no route to the issuer")

	source.down = down
	expect("an issuer that is down", 1, true, down, "one")
	expect("and asked for again", 0, false, down, "one")
	now = now.Add(keysAgain)
	source.down = nil
	expect("later", 1, true, nil, "one")
	expect("and known", 0, false, nil, "one")
	expect("a key that is not there", 0, false, ErrNoKey, "two")
	now = now.Add(keysAgain)
	expect("and later", 1, true, ErrNoKey, "two")
	now = now.Add(keysAgain)
	source.down = down
	expect("while it is down", 1, true, down, "two")
	expect("the others' key, which is fresh", 0, false, nil, "one")
	now = now.Add(keysFresh)
	expect("what is stale", 1, true, down, "one")
}
