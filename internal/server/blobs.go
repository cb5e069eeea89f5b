package server

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"iter"
	"os"
	"time"

	"bawn.dev/internal/blob"
	"bawn.dev/internal/config"
	"bawn.dev/internal/s3"
	"bawn.dev/internal/store"
)

// blobs is where sealed bytes are: a directory, or a bucket elsewhere.
type blobs interface {
	s3.Blobs
	Refs(ctx context.Context) iter.Seq2[blob.Stored, error]
	Healthy() error
	Close() error
}

func openBlobs(ctx context.Context, cfg config.Config) (blobs, error) {
	if cfg.Blobs == "" {
		d, err := blob.OpenDir(cfg.Path("blobs"))
		if err != nil {
			return nil, err
		}
		return d, nil
	}
	where, err := blob.ParseLocation(cfg.Blobs)
	if err != nil {
		return nil, err
	}
	owner, err := blobOwner(cfg)
	if err != nil {
		return nil, err
	}
	b, err := blob.OpenBucket(ctx, where, owner)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// blobOwner is what this data directory is called in a bucket elsewhere.
func blobOwner(cfg config.Config) (string, error) {
	path := cfg.Path("blobs.owner")
	name, err := os.ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return string(name), err
	}
	name = []byte(rand.Text())
	return string(name), config.WriteFile(path, name)
}

// A mover is a store of blobs whose space comes back when they are moved together.
type mover interface {
	Sparse(ctx context.Context) ([]blob.Stored, error)
	Copy(ctx context.Context, ref blob.Ref) (blob.Ref, error)
	Moved(ctx context.Context, from, to blob.Ref) error
}

const (
	compactEvery = 10 * time.Minute
	movedAtOnce  = 64 // blobs that share a transaction
)

// compacting moves blobs together until ctx ends.
func (s *Server) compacting(ctx context.Context) error {
	tick := time.NewTicker(compactEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := s.compact(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("sealed bytes could not be moved together and it is tried again", "err", err)
		}
	}
}

// compact moves blobs out of segments of which little is left, and says how many. The
// copy is durable before the row names it, and the row names it, durably, before the
// first goes: a crash leaves an orphan, never a row without its bytes.
func (s *Server) compact(ctx context.Context) (moved int, err error) {
	m, ok := s.blobs.(mover)
	if !ok {
		return 0, nil
	}
	s.moving.Lock()
	defer s.moving.Unlock()
	sparse, err := m.Sparse(ctx)
	if err != nil || len(sparse) == 0 {
		return 0, err
	}
	began := s.now()
	rows, err := s.holders(ctx, sparse)
	if err != nil {
		return 0, err
	}
	var batch []*move
	for _, b := range sparse {
		row, named := rows[b.Ref]
		switch {
		case named:
			batch = append(batch, &move{from: b.Ref, row: row})
		case began.Sub(b.Created) > orphanAge:
			if err := s.blobs.Delete(ctx, b.Ref); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return moved, err
			}
		}
		if len(batch) == movedAtOnce {
			n, err := s.move(ctx, m, batch)
			if moved += n; err != nil {
				return moved, err
			}
			batch = nil
		}
	}
	n, err := s.move(ctx, m, batch)
	return moved + n, err
}

// holders finds the rows that name blobs. The snapshot is of after they were found.
func (s *Server) holders(ctx context.Context, list []blob.Stored) (map[blob.Ref]s3.Holder, error) {
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	wanted := make(map[blob.Ref]bool, len(list))
	for _, b := range list {
		wanted[b.Ref] = true
	}
	rows := make(map[blob.Ref]s3.Holder, len(list))
	for h, err := range s.s3.References(ctx, sn) {
		if err != nil {
			return nil, err
		}
		if wanted[h.Ref] {
			rows[h.Ref] = h
		}
	}
	return rows, nil
}

// A move is of one blob whose row is known.
type move struct {
	from, to blob.Ref
	row      s3.Holder
	done     bool
}

func (s *Server) move(ctx context.Context, m mover, batch []*move) (moved int, err error) {
	for _, b := range batch {
		b.to, err = m.Copy(ctx, b.from)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, blob.ErrCorrupt) {
			continue // deleted meanwhile, or fsck's to tell of
		}
		if err != nil {
			return 0, err
		}
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		for _, b := range batch {
			b.done = false
			if b.to == "" {
				continue
			}
			var err error
			if b.done, err = s.s3.Move(tx, b.row, b.to); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err // the rows may name the copies or not: what they do not name are orphans
	}
	for _, b := range batch {
		switch {
		case b.done:
			moved++
			err = m.Moved(ctx, b.from, b.to)
		case b.to != "": // the object changed or went meanwhile
			err = s.blobs.Delete(ctx, b.to)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return moved, err
		}
	}
	return moved, nil
}
