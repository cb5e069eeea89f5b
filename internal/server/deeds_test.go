package server_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"bawn.dev/internal/host"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
	machine "bawn.dev/internal/worker"
)

// What root did on the host is in the record once the server hears of it: once, in
// order, with its own time and operator, also what was done while no server ran.
func TestDeedsOnTheHostAreRecorded(t *testing.T) {
	b := servertest.Start(t)
	journal, err := host.OpenJournal(b.Config.Data)
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	tell := func(name, image string) {
		t.Helper()
		if err := journal.Tell(at, "grace", name, map[string]string{"name": image}); err != nil {
			t.Fatal(err)
		}
	}
	tell("ImportImage", "before the host")
	stop := hosted(t, b, journal)
	heard := func(want ...string) {
		t.Helper()
		if got := deedsOf(t, b, len(want)); !slices.Equal(got, want) {
			t.Errorf("recorded %q, not %q", got, want)
		}
	}
	heard("before the host")
	b.Stop()
	tell("ImportImage", "without a server")
	b.Restart(t)
	heard("before the host", "without a server")
	stop()
	tell("ImportImage", "without a host")
	hosted(t, b, journal)
	heard("before the host", "without a server", "without a host")
	b.Restart(t)
	tell("StopHost", "last")
	heard("before the host", "without a server", "without a host", "last")
	page, err := b.Trail().Find(t.Context(), trail.Query{Account: b.Config.AccountID, EventName: "ImportImage"})
	if err != nil || len(page.Entries) != 3 {
		t.Fatalf("%+v, %v", page, err)
	}
	for _, e := range page.Entries {
		if r := e.Record; !r.EventTime.Equal(at) || r.UserIdentity.Type != "Operator" || r.UserIdentity.UserName != "grace" || len(faultsOf(e.Event)) > 0 {
			t.Errorf("recorded %s: %v", e.Event, faultsOf(e.Event))
		}
	}
}

// hosted answers for a host without any power.
func hosted(t *testing.T, b *servertest.Bawn, journal *host.Journal) (stop func()) {
	t.Helper()
	s, err := host.Listen(host.ServerConfig{Data: b.Config.Data, User: os.Geteuid(), Machine: machine.Unable{}, Log: slog.New(slog.DiscardHandler), Journal: journal})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	stop = func() {
		cancel()
		if err, first := <-ended; err != nil && first {
			t.Error(err)
		}
	}
	t.Cleanup(func() { cancel() })
	return stop
}

// deedsOf waits until the record has so many of a host's deeds, and names them in order.
func deedsOf(t *testing.T, b *servertest.Bawn, n int) (names []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	enough := errors.New("enough")
	err := b.Trail().Follow(ctx, 0, func(e trail.Entry) error {
		if e.Record.UserIdentity.UserName != "grace" {
			return nil
		}
		var in struct{ Name string }
		unmarshal(t, e.Record.RequestParameters, &in)
		if names = append(names, in.Name); len(names) == n {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("after %q: %v", names, err)
	}
	return names
}
