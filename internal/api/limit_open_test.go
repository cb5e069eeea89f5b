package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape"
	"bawn.dev/internal/shape/kms"
)

// A hallway is a door with two open operations: one where people show who they are,
// and one where they, and whoever else, make a guess.
type hallway struct {
	t      *testing.T
	rig    *apitest.Rig
	looked int // at guesses
}

func newHallway(t *testing.T) *hallway {
	h := &hallway{t: t}
	model := *kms.Model()
	model.Operations = []*shape.Operation{}
	for _, o := range kms.Model().Operations {
		if o.Name == "DescribeKey" || o.Name == "DisableKey" {
			model.Operations = append(model.Operations, o)
		}
	}
	who := func(ctx context.Context, c *api.Call, secret string) error {
		name, ok := strings.CutPrefix(secret, "secret of ")
		if !ok {
			return &api.Error{Code: "UnauthorizedException", Status: 401, Message: "no"}
		}
		person := &api.Person{UserID: name, IdentityStoreARN: "arn:aws:identitystore::" + apitest.Account + ":identitystore/d-1", CredentialID: "session"}
		return c.Prove(ctx, api.Claim{Kind: api.KindCentre, Account: apitest.Account, Person: person, Issued: c.Now})
	}
	h.rig = apitest.New(t, apitest.Options{}, &api.Service{Model: &model, Prefix: "kms", Operations: []api.Operation{
		api.Read("DescribeKey", func(ctx context.Context, c *api.Call, in *kms.DescribeKeyInput) (string, []api.Demand, error) {
			return "", nil, who(ctx, c, in.KeyId)
		}, func(context.Context, *api.Call, *kms.DescribeKeyInput, string) (*kms.DescribeKeyOutput, error) {
			return &kms.DescribeKeyOutput{}, nil
		}).Open("a test").Undeniable("a test"),
		api.Read("DisableKey", func(ctx context.Context, c *api.Call, in *kms.DisableKeyInput) (string, []api.Demand, error) {
			h.looked++
			return "", nil, who(ctx, c, in.KeyId)
		}, func(context.Context, *api.Call, *kms.DisableKeyInput, string) (*kms.DisableKeyOutput, error) {
			return &kms.DisableKeyOutput{}, nil
		}).Open("a test").Undeniable("a test").Guesses(),
	}})
	h.rig.Stop()
	return h
}

// ask is what a call of DescribeKey from an address answers: 0, 401 or 503.
func (h *hallway) ask(from, key string) int {
	return h.status(from, func(ctx context.Context, v *api.Visit) error {
		_, err := api.Visited[kms.DescribeKeyOutput](ctx, v, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: key})
		return err
	})
}

func (h *hallway) guess(from, key string) int {
	return h.status(from, func(ctx context.Context, v *api.Visit) error {
		_, err := api.Visited[kms.DisableKeyOutput](ctx, v, "kms:DisableKey", &kms.DisableKeyInput{KeyId: key})
		return err
	})
}

func (h *hallway) status(from string, call func(context.Context, *api.Visit) error) int {
	r := httptest.NewRequest("GET", "https://bawn.test/start", nil)
	r.RemoteAddr = from + ":5000"
	err := call(h.t.Context(), h.rig.Door.Visit(r))
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Status
	} else if err != nil {
		h.t.Fatal(err)
	}
	return 0
}

// until asks until an answer is another, of many.
func until(ask func() int, other int) (asked int) {
	for asked = 0; asked < 3000; asked++ {
		if ask() == other {
			return asked
		}
	}
	return asked
}

// People who share an address have as much each as one who has her own; and who
// floods it with nothing to show keeps only strangers out.
func TestPeopleBehindOneAddress(t *testing.T) {
	h := newHallway(t)
	const shared = "192.0.2.1"
	for i := range 400 {
		if got := h.ask(shared, fmt.Sprint("secret of ", i%20)); got != 0 {
			t.Fatalf("call %d of twenty people hears %d", i, got)
		}
	}
	if n := until(func() int { return h.ask(shared, "a guess") }, 503); n == 0 || n >= 3000 {
		t.Errorf("after people, strangers of their address are told to wait after %d calls", n)
	}
	answered := 0
	for range 500 {
		if h.ask(shared, "a guess") == 401 {
			answered++
		}
	}
	if answered > 400 {
		t.Errorf("%d of 500 more of them were answered", answered)
	}
	for i := range 20 {
		if got := h.ask(shared, fmt.Sprint("secret of new ", i)); got != 0 {
			t.Fatalf("somebody behind a flooded address hears %d", got)
		}
	}
	if got := h.ask("192.0.2.2", "a guess"); got != 401 {
		t.Errorf("another address hears %d", got)
	}
}

// Strangers who come from everywhere at once do not keep people out of a sign-in at an
// address where one of them showed lately who she is.
func TestPlacesOfPeopleAreKeptFree(t *testing.T) {
	h := newHallway(t)
	const office, hotel = "192.0.2.1", "192.0.2.2"
	if got := h.ask(office, "secret of ada"); got != 0 {
		t.Fatalf("she hears %d", got)
	}
	for i := range 2500 {
		h.guess(fmt.Sprintf("198.51.%d.%d", i/250, i%250), "a guess")
	}
	if got := h.guess(hotel, "secret of ada"); got != 503 {
		t.Errorf("in the crowd, a place that nobody knows hears %d", got)
	}
	if got := h.guess(office, "secret of grace"); got != 0 {
		t.Errorf("the crowd keeps people out of their office: %d", got)
	}
	h.rig.Advance(8 * 24 * time.Hour)
	for i := range 2500 {
		h.guess(fmt.Sprintf("198.51.%d.%d", i/250, i%250), "a guess")
	}
	if got := h.guess(office, "secret of grace"); got != 0 {
		t.Logf("after a week the place is nobody's: %d", got)
	} else {
		t.Error("a place stays somebody's for ever")
	}
}

// Nor is one person without bound, wherever she calls from; others go on.
func TestOnePersonIsBounded(t *testing.T) {
	h := newHallway(t)
	i := 0
	n := until(func() int { i++; return h.ask(fmt.Sprintf("192.0.2.%d", i%200), "secret of eve") }, 503)
	if n < 100 || n >= 3000 {
		t.Errorf("from many addresses she is told to wait after %d calls", n)
	}
	for range 500 {
		h.ask("192.0.2.250", "secret of eve")
	}
	if got := h.ask("192.0.2.250", "secret of ada"); got != 0 {
		t.Errorf("who shares her address hears %d", got)
	}
}

// A guess is counted before it is looked at: a crowd that uses up what all strangers
// have does not let guesses pass without a record.
func TestNoGuessPassesInACrowd(t *testing.T) {
	h := newHallway(t)
	const guesser = "203.0.113.9"
	i := 0
	flood := func() int { i++; return h.ask(fmt.Sprintf("198.51.%d.%d", i/250%250, i%250), "a guess") }
	if n := until(flood, 503); n >= 3000 {
		t.Fatal("a crowd is not bounded")
	}
	looked, throttled := 0, 0
	for range 50 {
		for range 50 {
			flood()
		}
		before := h.looked
		if h.guess(guesser, "a guess") == 503 {
			throttled++
			looked += h.looked - before
		}
	}
	if throttled == 0 || looked > 0 {
		t.Errorf("%d guesses were turned away, and %d of them looked at", throttled, looked)
	}
	if got := len(h.rig.Records(t, apitest.Account, "DisableKey")); got != h.looked {
		t.Errorf("%d guesses were looked at and %d are on record", h.looked, got)
	}
	// Of an address that has none left, likewise.
	h.rig.Advance(1e12)
	until(func() int { return h.guess(guesser, "a guess") }, 503)
	before := h.looked
	if got := h.guess(guesser, "secret of ada"); got == 503 && h.looked != before {
		t.Error("a guess in doubt was looked at")
	}
}
