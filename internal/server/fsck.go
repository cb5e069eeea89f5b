package server

import (
	"context"
	"fmt"
	"time"

	"bawn.dev/internal/blob"
)

// orphanAge is how old sealed bytes without a row must be before fsck takes them
// for the left-overs of an interrupted upload.
const orphanAge = time.Hour

// checkObjects compares the rows that name sealed bytes with the bytes that are
// there, and collects bytes that nothing names.
func (s *Server) checkObjects(ctx context.Context, r *Report) ([]string, error) {
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	named := map[blob.Ref]bool{}
	for ref, err := range s.s3.References(ctx, sn) {
		if err != nil {
			return nil, err
		}
		named[ref] = true
	}
	var problems []string
	for ref := range named {
		b, err := s.blobs.Open(ctx, ref)
		if err != nil {
			problems = append(problems, fmt.Sprintf("the bytes %s, which an object names, are not there: %v", ref, err))
			continue
		}
		b.Close()
	}
	for stored, err := range s.blobs.Refs(ctx) {
		if err != nil {
			return nil, err
		}
		if named[stored.Ref] || s.now().Sub(stored.Created) < orphanAge {
			continue
		}
		if err := s.blobs.Delete(ctx, stored.Ref); err != nil {
			return nil, err
		}
		r.Orphans++
	}
	return problems, nil
}
