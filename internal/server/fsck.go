package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"bawn.dev/internal/blob"
)

// orphanAge is how old sealed bytes without a row must be before fsck takes them
// for the left-overs of an interrupted upload.
const orphanAge = time.Hour

// checkObjects compares the rows that name sealed bytes with the bytes that are
// there, and collects bytes that nothing names. Calls go on meanwhile: what is not
// where a row said is only a problem if a row still says so.
func (s *Server) checkObjects(ctx context.Context, r *Report) ([]string, error) {
	// What is found may be as old as the rows that were read: a list of all bytes takes
	// longer than an upload waits for its row.
	began := s.now()
	missing, err := s.references(ctx)
	if err != nil {
		return nil, err
	}
	for stored, err := range s.blobs.Refs(ctx) {
		if err != nil {
			return nil, err
		}
		if _, named := missing[stored.Ref]; named {
			delete(missing, stored.Ref)
			continue
		}
		if began.Sub(stored.Created) < orphanAge {
			continue
		}
		if err := s.blobs.Delete(ctx, stored.Ref); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		r.Orphans++
	}
	if len(missing) == 0 {
		return nil, nil
	}
	now, err := s.references(ctx)
	if err != nil {
		return nil, err
	}
	var problems []string
	for ref := range missing {
		if _, still := now[ref]; !still {
			continue
		}
		b, err := s.blobs.Open(ctx, ref)
		if err != nil {
			problems = append(problems, fmt.Sprintf("the bytes %s, which an object names, are not there: %v", ref, err))
			continue
		}
		b.Close()
	}
	return problems, nil
}

// references are the blobs that rows name now.
func (s *Server) references(ctx context.Context) (map[blob.Ref]struct{}, error) {
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	all := map[blob.Ref]struct{}{}
	for h, err := range s.s3.References(ctx, sn) {
		if err != nil {
			return nil, err
		}
		all[h.Ref] = struct{}{}
	}
	return all, nil
}
