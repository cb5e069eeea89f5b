package trail

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
)

// Options are the trail's few settings. The zero value is the default.
type Options struct {
	Interval time.Duration // between two seals; 0 stands for 500 ms
	Account  string        // whose trail states what was pruned; without it nothing is
}

// Trail is the audit. Its methods may be called from many goroutines.
type Trail struct {
	store    *store.Store
	signer   ledger.Signer
	verifier ledger.Verifier
	interval time.Duration
	account  string // Options.Account
	authors  *authors

	sealing chan struct{} // holds one token: the right to seal
	head    head          // of the last seal; guarded by sealing
	peaks   peaks         // of the tree at head, if known; guarded by sealing
	signed  []byte        // the checkpoint of head; guarded by sealing
	recent  recent

	mu     sync.Mutex
	sealed chan struct{} // closed and replaced after each seal
}

// New makes the trail's tables. The signer's name is the log's for ever.
func New(st *store.Store, signer ledger.Signer, opts Options) (*Trail, error) {
	verifier, err := signer.Verifier()
	if err != nil {
		return nil, fmt.Errorf("trail: a signer is required: %w", err)
	}
	key, err := signer.Secret("rows of the trail")
	if err != nil {
		return nil, err
	}
	if err := st.Migrate(context.Background(), migrations); err != nil {
		return nil, err
	}
	t := &Trail{store: st, signer: signer, verifier: verifier, interval: opts.Interval, account: opts.Account, authors: newAuthors(key),
		sealing: make(chan struct{}, 1), sealed: make(chan struct{}), recent: recent{seed: maphash.MakeSeed()}}
	if t.interval <= 0 {
		t.interval = 500 * time.Millisecond
	}
	return t, nil
}

// Append adds records to the transaction of the change that they tell of; they
// exist if and only if it commits. Each record is completed (id, time, defaults)
// and bounded in place. A record that cannot be written fails the change.
func (t *Trail) Append(tx *store.Tx, rs ...*Record) error {
	if len(rs) == 0 {
		return nil
	}
	if err := tx.Enter(gate); err != nil {
		return err
	}
	values, err := t.stored(rs)
	if err != nil {
		return err
	}
	if err := tx.Insert(records, 4, values); err != nil {
		return fmt.Errorf("trail: append: %w", err)
	}
	return nil
}

// Write is Append in a transaction of its own, which holds nothing else: when it
// returns nil the records are durable.
func (t *Trail) Write(ctx context.Context, rs ...*Record) error {
	values, err := t.stored(rs)
	if err != nil {
		return err
	}
	if err := t.store.Insert(ctx, gate, records, 4, values); err != nil {
		return fmt.Errorf("trail: append: %w", err)
	}
	return nil
}

// stored completes records and gives their rows' values.
func (t *Trail) stored(rs []*Record) ([]any, error) {
	values := make([]any, 0, 4*len(rs))
	work := rooms.Get().(*room)
	defer rooms.Put(work)
	for _, r := range rs {
		if err := r.complete(); err != nil {
			return nil, err
		}
		event, err := r.appendEvent(work.event[:0])
		if err != nil {
			return nil, fmt.Errorf("trail: %w", err)
		}
		if len(event) > maxEvent {
			return nil, fmt.Errorf("trail: a record of %d bytes, %d at most", len(event), maxEvent)
		}
		work.event = event
		stored := work.compressed(event)
		t.recent.put(appended{stored, ledger.LeafHash(event), r.terms()})
		at := r.EventTime.UnixMicro()
		values = append(values, at, r.Account, stored, t.authors.mac(at, r.Account, stored))
	}
	return values, nil
}

// Run seals records until the context ends, or returns why the log cannot be
// continued. Of several copies one seals; what was committed before a crash and
// not sealed is sealed first.
func (t *Trail) Run(ctx context.Context) error {
	for {
		err := t.lead(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, context.Canceled) { // else another copy leads now
			return err
		}
	}
}

func (t *Trail) lead(ctx context.Context) error {
	return t.store.Lead(ctx, gate, func(ctx context.Context) error {
		tick := time.NewTicker(t.interval)
		defer tick.Stop()
		for {
			if err := t.Seal(ctx); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
	})
}
