package export_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"bawn.dev/internal/export"
	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A rig is a record that grows, and its export.
type rig struct {
	*testing.T
	store *store.Store
	trail *trail.Trail
	log   *buffer
	n     int // events so far
}

func newRig(t *testing.T, s *store.Store) *rig {
	t.Helper()
	signer, err := ledger.NewSigner("bawn.test/export", ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	must(t, err)
	must(t, s.Migrate(t.Context(), export.Migrations()))
	tr, err := trail.New(s, signer, trail.Options{Account: operator})
	must(t, err)
	return &rig{T: t, store: s, trail: tr, log: &buffer{}}
}

const operator = "999999999999"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// act records so many events, of several accounts, and seals them.
func (r *rig) act(n int) {
	r.Helper()
	for n > 0 {
		some := make([]*trail.Record, min(n, 500))
		for i := range some {
			some[i] = &trail.Record{EventTime: noon, EventSource: "s3.amazonaws.com", EventName: fmt.Sprintf("Event%d", r.n),
				Account: []string{"111111111111", "222222222222"}[r.n%2], UserAgent: strings.Repeat("<&\u2028é>", r.n%5)}
			r.n++
		}
		must(r, r.trail.Write(r.Context(), some...))
		n -= len(some)
	}
	must(r, r.trail.Seal(r.Context()))
}

// all are the lines of the whole record.
func (r *rig) all() string {
	r.Helper()
	var b strings.Builder
	for from := int64(0); ; {
		lines, err := r.trail.After(r.Context(), from, 1000)
		must(r, err)
		if len(lines) == 0 {
			return b.String()
		}
		for _, l := range lines {
			from = l.Seq
			b.Write(l.Event)
			b.WriteByte('\n')
		}
	}
}

func (r *rig) open(to string) *export.Export {
	r.Helper()
	e, err := export.New(r.Context(), export.Config{To: to, Store: r.store, Trail: r.trail, Log: slog.New(slog.NewTextHandler(r.log, nil))})
	must(r, err)
	return e
}

// running exports until it is stopped.
func (r *rig) running(to string) (e *export.Export, stop func()) {
	r.Helper()
	e = r.open(to)
	ctx, cancel := context.WithCancel(r.Context())
	var done sync.WaitGroup
	done.Go(func() { must(r, e.Run(ctx)) })
	return e, func() { cancel(); done.Wait() }
}

// settled waits until all that happened is handed on.
func (r *rig) settled(e *export.Export) {
	r.Helper()
	for r.status(e).Behind > 0 {
		select {
		case <-time.After(time.Millisecond):
		case <-r.Context().Done():
			r.Fatal("it is never handed on")
		}
	}
}

func (r *rig) status(e *export.Export) export.Status {
	r.Helper()
	n, err := r.store.Snapshot(r.Context())
	must(r, err)
	defer n.Close()
	s, err := e.Status(n)
	must(r, err)
	return s
}

// exported hands everything on, once, as a server that is started and stopped.
func (r *rig) exported(to string) {
	r.Helper()
	e, stop := r.running(to)
	r.settled(e)
	stop()
}

// sql runs a statement, as whoever can write the database.
func (r *rig) sql(query string, args ...any) {
	r.Helper()
	must(r, r.store.Update(r.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	}))
}

// same compares what was exported with what should be.
func same(t testing.TB, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range w {
		if i >= len(g) || g[i] != w[i] {
			t.Errorf("%d lines, want %d; the first that differs is %d", len(g), len(w), i)
			return
		}
	}
	t.Errorf("%d lines, want %d", len(g), len(w))
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
