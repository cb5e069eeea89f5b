package server

import (
	"context"
	"errors"
	"testing"

	"bawn.dev/internal/ledger"
)

// A hungShare is a file on a share that does not answer until it is back.
type hungShare struct {
	asked chan struct{}
	back  chan struct{}
}

func (h hungShare) Ask(context.Context, ledger.Checkpoint, ledger.Extension) ([]byte, error) {
	h.asked <- struct{}{}
	<-h.back
	return []byte("line"), nil
}

// A share that hangs holds nothing up, is not asked again while it hangs, and is used
// again once it is back.
func TestShareThatHangs(t *testing.T) {
	share := hungShare{make(chan struct{}, 8), make(chan struct{})}
	m := newMemory("pin", share)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-share.asked
		cancel()
	}()
	if _, err := m.ask(ctx, ledger.Checkpoint{}, ledger.Extension{}); !errors.Is(err, errHangs) {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := m.ask(t.Context(), ledger.Checkpoint{}, ledger.Extension{}); !errors.Is(err, errHangs) {
			t.Fatal(err)
		}
	}
	if n := len(share.asked); n != 0 {
		t.Fatalf("it was asked %d times more", n)
	}
	close(share.back)
	for {
		line, err := m.ask(t.Context(), ledger.Checkpoint{}, ledger.Extension{})
		if err == nil && string(line) == "line" {
			break
		}
		if !errors.Is(err, errHangs) { // its late answer may be on the way
			t.Fatal(err)
		}
	}
}
