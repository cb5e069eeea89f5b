package sagemaker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"bawn.dev/internal/host"
	shape "bawn.dev/internal/shape/sagemaker"
)

// errKilled ends a worker, as a kill does.
var errKilled = errors.New("killed")

// mortal is a machine whose caller is killed at the nth call: before it was heard,
// or before its answer was.
type mortal struct {
	Machines
	n      int
	before bool
	killed bool
}

func (m *mortal) dies() bool {
	m.n--
	if m.n == 0 {
		m.killed = true
	}
	return m.n == 0
}

func tell(m *mortal, do func() error) error {
	dies := m.dies()
	if dies && m.before {
		return errKilled
	}
	if err := do(); err != nil {
		return err
	}
	if dies {
		return errKilled
	}
	return nil
}

func ask[T any](m *mortal, do func() (T, error)) (out T, err error) {
	err = tell(m, func() error {
		out, err = do()
		return err
	})
	return out, err
}

func (m *mortal) Capabilities(ctx context.Context) (host.Capabilities, error) {
	return ask(m, func() (host.Capabilities, error) { return m.Machines.Capabilities(ctx) })
}

func (m *mortal) Image(ctx context.Context, ref string) (host.Image, error) {
	return ask(m, func() (host.Image, error) { return m.Machines.Image(ctx, ref) })
}

func (m *mortal) Prepare(ctx context.Context, o host.Order) error {
	return tell(m, func() error { return m.Machines.Prepare(ctx, o) })
}

func (m *mortal) Put(ctx context.Context, id, path string, r io.Reader) error {
	return tell(m, func() error { return m.Machines.Put(ctx, id, path, r) })
}

func (m *mortal) Start(ctx context.Context, id string) error {
	return tell(m, func() error { return m.Machines.Start(ctx, id) })
}

func (m *mortal) State(ctx context.Context, id string) (host.State, error) {
	return ask(m, func() (host.State, error) { return m.Machines.State(ctx, id) })
}

func (m *mortal) Logs(ctx context.Context, id string, from int64, max int) (host.Lines, error) {
	return ask(m, func() (host.Lines, error) { return m.Machines.Logs(ctx, id, from, max) })
}

func (m *mortal) Archive(ctx context.Context, id, dir string) (io.ReadCloser, error) {
	return ask(m, func() (io.ReadCloser, error) { return m.Machines.Archive(ctx, id, dir) })
}

func (m *mortal) Remove(ctx context.Context, id string) error {
	return tell(m, func() error { return m.Machines.Remove(ctx, id) })
}

// A worker that is killed at any call is followed by a new service on the same
// store, which leads the job to the same end, and never runs it twice.
func TestKilledAtEveryCall(t *testing.T) {
	h := newHouse(t, only(train))
	key := h.grantedKey()
	for _, before := range []bool{true, false} {
		for n := 1; ; n++ {
			name := fmt.Sprintf("kill-%d-%v", n, before)
			id := h.create(h.under(name, key.KeyId))
			m := &mortal{Machines: h.machine, n: n, before: before}
			h.restart(m)
			w := &worker{Service: h.service}
			for {
				wait, err := w.step(t.Context(), id)
				if errors.Is(err, errKilled) {
					h.restart(h.machine)
					w = &worker{Service: h.service}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if wait == finished {
					break
				}
				if wait > 0 {
					h.exit(id)
				}
			}
			h.ended(name, shape.TrainingJobStatusCompleted, shape.SecondaryStatusCompleted, "")
			if h.machine.starts[name] != 1 {
				t.Errorf("%s ran %d times", name, h.machine.starts[name])
			}
			if _, left := h.machine.orders[id]; left {
				t.Errorf("%s left something on the host", name)
			}
			if left := h.grants(key); len(left) > 0 {
				t.Errorf("%s left a grant", name)
			}
			if lines := h.log(h.job(name)); len(lines) < 3 {
				t.Errorf("%s lost lines: %q", name, lines)
			}
			h.restart(h.machine)
			if !m.killed {
				if n < 10 {
					t.Fatalf("only %d calls were made", n)
				}
				break
			}
		}
	}
}

// restart puts a new service in the place of the one that the door knows.
func (h *house) restart(m Machines) {
	h.t.Helper()
	cfg := h.config
	cfg.Machines = m
	fresh, err := New(cfg)
	h.must(err)
	fresh.keys = 0
	*h.service = *fresh
}

// Two workers that lead the same job do not run it twice.
func TestTwoWorkers(t *testing.T) {
	h := newHouse(t, only(train))
	id := h.create(h.request("twice"))
	a, b := &worker{Service: h.service}, &worker{Service: h.service}
	for turn := 0; ; turn++ {
		w := a
		if turn%2 == 1 {
			w = b
		}
		wait, err := w.step(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if wait == finished {
			break
		}
		if wait > 0 {
			h.exit(id)
		}
	}
	if h.machine.starts["twice"] != 1 {
		t.Errorf("it ran %d times", h.machine.starts["twice"])
	}
}

// Trouble of ours is tried again, and not for ever.
func TestPatienceEnds(t *testing.T) {
	h := newHouse(t, only(train))
	id := h.create(h.request("unlucky"))
	h.service.Machines = &broken{h.machine}
	w := &worker{Service: h.service}
	for tries := 0; ; tries++ {
		wait, err := w.step(t.Context(), id)
		if wait == finished {
			break
		}
		if err == nil {
			continue
		}
		if tries > 2*patience {
			t.Fatal("it is tried for ever")
		}
	}
	h.ended("unlucky", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "InternalServerError: We encountered an internal error")
}

type broken struct{ Machines }

func (broken) Put(context.Context, string, string, io.Reader) error { return io.ErrUnexpectedEOF }

// Run does by itself what the other tests do step by step, with several jobs at once.
func TestRun(t *testing.T) {
	h := newHouse(t, only(train))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	cleared := make(chan struct{}, 64)
	h.service.poll = 1
	h.service.Machines = &watched{h.machine, cleared}
	go func() { ended <- h.service.Run(ctx) }()
	for i := range 4 {
		h.create(h.request(fmt.Sprint("job", i)))
	}
	for range 4 {
		<-cleared
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for i := range 4 {
		h.ended(fmt.Sprint("job", i), shape.TrainingJobStatusCompleted, shape.SecondaryStatusCompleted, "")
	}
}

type watched struct {
	Machines
	cleared chan<- struct{}
}

func (w *watched) Remove(ctx context.Context, id string) error {
	err := w.Machines.Remove(ctx, id)
	w.cleared <- struct{}{}
	return err
}
