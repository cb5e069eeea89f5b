package s3

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

const (
	sweeps   = time.Hour       // from one look at everything to the next
	patience = 5 * time.Second // after a failure, or without the lead
	page     = 500             // rows read at once
	batch    = 100             // changed in one transaction, and so in one record
)

// Run does what lifecycle rules say, until ctx ends. Rules count in days, so that a
// look at everything in each hour is enough. Among several copies of the server one
// does so. It may be killed at any moment: each step is one transaction, which looks
// again at what it ends. What fails is told to problem and tried again.
func (s *Service) Run(ctx context.Context, door *api.Door, problem func(error)) error {
	for ctx.Err() == nil {
		err := door.Store.Lead(ctx, "s3", func(ctx context.Context) error {
			for {
				pause := sweeps
				if err := s.sweep(ctx, door); err != nil && ctx.Err() == nil {
					problem(err)
					pause = time.Minute
				}
				if !wait(ctx, pause) {
					return nil
				}
			}
		})
		if err != nil && ctx.Err() == nil {
			problem(err)
			wait(ctx, patience)
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// sweep does what is due in all buckets. That one fails keeps none of the others
// waiting.
func (s *Service) sweep(ctx context.Context, door *api.Door) error {
	sn, err := door.Store.Snapshot(ctx)
	if err != nil {
		return err
	}
	names, err := store.Collect(sn, func(r *store.Rows) (name string, err error) { return name, r.Scan(&name) },
		"SELECT name FROM s3_buckets WHERE lifecycle <> '' ORDER BY name")
	sn.Close()
	if err != nil {
		return err
	}
	var failures []error
	for _, name := range names {
		if err := s.tend(ctx, door, name); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// A keeper ends what a bucket's rules end, as they were when it began.
type keeper struct {
	s      *Service
	door   *api.Door
	bucket *bucket
	rules  lifecycle
}

// tend does what is due in one bucket.
func (s *Service) tend(ctx context.Context, door *api.Door, name string) error {
	sn, err := door.Store.Snapshot(ctx)
	if err != nil {
		return err
	}
	b, err := s.get(sn, name)
	sn.Close()
	if err != nil || b == nil {
		return err
	}
	k := &keeper{s, door, b, b.rules}
	for _, prefix := range k.rules.prefixes() {
		for _, duty := range []func(context.Context, string) error{k.objects, k.versions, k.uploads} {
			if err := duty(ctx, prefix); errors.Is(err, errOtherRules) {
				return nil // they are looked at in the next sweep
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// errOtherRules says that the bucket is not what it was when its rules were read.
var errOtherRules = errors.New("s3: other rules hold now")

// An ending is one thing that a rule ends, as the record tells it.
type ending struct {
	Key     string `json:"key"`
	Version string `json:"versionId,omitempty"`
	Upload  string `json:"uploadId,omitempty"`
	Rule    string `json:"ruleId"`
	Marked  string `json:"deleteMarkerVersionId,omitempty"`
}

// end ends things, batch by batch, each in one transaction with its record. do looks
// again at one of them and ends it, or answers false: it is not due any more, or held.
func (k *keeper) end(ctx context.Context, name string, all []ending, do func(tx *store.Tx, e *ending) (bool, error)) error {
	for len(all) > 0 {
		some := all[:min(batch, len(all))]
		all = all[len(some):]
		for len(some) > 0 {
			done, err := k.endBatch(ctx, name, some, do)
			if err == nil {
				break
			}
			if !errors.Is(err, errFewer) {
				return err
			}
			some = done // the record names exactly those
		}
	}
	return nil
}

// errFewer says that not all of a batch is due after all.
var errFewer = errors.New("s3: fewer are due")

// endBatch answers those of the batch that are due.
func (k *keeper) endBatch(ctx context.Context, name string, some []ending, do func(tx *store.Tx, e *ending) (bool, error)) (done []ending, err error) {
	event := api.Event{
		Service: "s3", Name: name, Details: map[string]any{"bucketName": k.bucket.name},
		Claim: api.Claim{Kind: api.KindService, ID: "s3.amazonaws.com", Account: k.bucket.account},
	}
	for _, e := range some {
		r := api.Resource{ARN: objectARN(k.bucket.name, e.Key), Account: k.bucket.account, Type: "AWS::S3::Object"}
		event.Resources = append(event.Resources, r)
	}
	err = k.door.Happened(ctx, event, func(tx *store.Tx) error {
		done = nil
		now, err := bucketRow(tx, k.bucket.name)
		if err != nil {
			return err
		}
		if now == nil || now.id != k.bucket.id || now.lifecycle != k.bucket.lifecycle {
			return errOtherRules
		}
		for _, e := range some {
			if did, err := do(tx, &e); err != nil {
				return err
			} else if did {
				done = append(done, e)
			}
		}
		if len(done) < len(some) {
			return errFewer
		}
		event.Details["ended"] = done
		return nil
	})
	return done, err
}

// slot opens a key of the bucket for change.
func (k *keeper) slot(ctx context.Context, tx *store.Tx, key string) (*slot, error) {
	return k.s.slot(ctx, tx, k.bucket.name, k.bucket.id, key)
}

// spared says whether something did not end because it is held.
func spared(err error) bool {
	_, held := errors.AsType[*api.Error](err)
	return held
}
