package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"bawn.dev/internal/blob"
	"bawn.dev/internal/config"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/pgtest"
)

func openForCompaction(t *testing.T) (*Server, config.Config) {
	t.Helper()
	return openForCompactionOn(t, "")
}

func openForCompactionOn(t *testing.T, database string) (*Server, config.Config) {
	t.Helper()
	cfg := config.Config{
		Database: database,
		Fixed:    config.Fixed{AccountID: config.DefaultAccountID, Region: config.DefaultRegion}, Data: t.TempDir(), Listen: "127.0.0.1:0",
	}
	if err := Init(context.Background(), cfg, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		t.Fatal(err)
	}
	return reopenForCompaction(t, cfg), cfg
}

func reopenForCompaction(t *testing.T, cfg config.Config) *Server {
	t.Helper()
	s, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// kept stores content and makes a row of one of the three kinds name it.
func kept(t *testing.T, s *Server, n int, content []byte) {
	t.Helper()
	ref := written(t, s, content)
	key, statement := fmt.Appendf(nil, "key-%d", n), ""
	args := []any{}
	switch n % 3 {
	case 0:
		statement = `INSERT INTO s3_objects (bucket, key, etag, size, modified, ref, kms_key, data_key, algorithm, details, proof)
			VALUES ('b', ?, '', 0, 0, ?, '', ?, '', '', ?)`
		args = []any{key, string(ref), []byte{}, []byte{}}
	case 1:
		statement = `INSERT INTO s3_versions (bucket, key, seq, version, marker, etag, size, modified, ref, kms_key, data_key, algorithm, details,
			proof, upload, tags, lock) VALUES ('b', ?, 5, 'v', FALSE, '', 0, 0, ?, '', ?, '', '', ?, '', '', '')`
		args = []any{key, string(ref), []byte{}, []byte{}}
	case 2:
		statement = `INSERT INTO s3_parts (upload, number, etag, size, modified, ref, proof) VALUES (?, 7, '', 0, 0, ?, ?)`
		args = []any{string(key), string(ref), []byte{}}
	}
	if err := s.store.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(statement, args...); return err }); err != nil {
		t.Fatal(err)
	}
}

func written(t *testing.T, s *Server, content []byte) blob.Ref {
	t.Helper()
	w, err := s.blobs.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	ref, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// contents are what the rows name.
func contents(t *testing.T, s *Server) map[string]int {
	t.Helper()
	refs, err := s.references(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for ref := range refs {
		in, err := s.blobs.Open(t.Context(), ref)
		if err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		b, err := io.ReadAll(io.NewSectionReader(in, 0, in.Size()))
		if err != nil {
			t.Fatal(err)
		}
		in.Close()
		all[string(b)]++
	}
	return all
}

// sparse makes a segment of which most is deleted, and answers what is left.
func sparse(t *testing.T, database string) (*Server, config.Config, map[string]int) {
	t.Helper()
	s, cfg := openForCompactionOn(t, database)
	var waste []blob.Ref
	left := map[string]int{}
	for n := range 30 {
		content := bytes.Repeat(fmt.Appendf(nil, "content %d ", n), 100)
		kept(t, s, n, content)
		left[string(content)]++
		for range 3 {
			waste = append(waste, written(t, s, content))
		}
	}
	for _, ref := range waste {
		if err := s.blobs.Delete(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	return reopenForCompaction(t, cfg), cfg, left
}

func segmentsOf(t *testing.T, cfg config.Config) []string {
	t.Helper()
	list, err := filepath.Glob(cfg.Path("blobs", "segments", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A segment of which little is left is rewritten: rows of every kind name the copies,
// and its file goes.
func TestCompaction(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { compaction(t, "") })
	t.Run("postgres", func(t *testing.T) { compaction(t, pgtest.Start(t).Database(t)) })
}

func compaction(t *testing.T, database string) {
	s, cfg, left := sparse(t, database)
	before := segmentsOf(t, cfg)
	if n, err := s.compact(t.Context()); n != len(left) || err != nil {
		t.Errorf("moved %d: %v", n, err)
	}
	if after := segmentsOf(t, cfg); len(before) != 1 || len(after) != 1 || before[0] == after[0] {
		t.Errorf("segments %v, then %v", before, after)
	}
	if got := contents(t, s); fmt.Sprint(got) != fmt.Sprint(left) {
		t.Errorf("%d contents of %d", len(got), len(left))
	}
	if r, err := s.Check(t.Context(), CheckRequest{Operator: "tester"}); err != nil || len(r.Problems) > 0 || r.Orphans > 0 || r.Moved > 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A crash at each point of a move leaves every content under its row, and at most
// orphans beside it, which fsck or the next move takes.
func TestCompactionCutShort(t *testing.T) {
	for cut := range 3 {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			s, cfg, left := sparse(t, "")
			m := s.blobs.(mover)
			list, err := m.Sparse(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			rows, err := s.holders(t.Context(), list)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range list {
				to, err := m.Copy(t.Context(), b.Ref)
				if err != nil {
					t.Fatal(err)
				}
				if cut > 0 {
					err := s.store.Update(t.Context(), func(tx *store.Tx) error { _, err := s.s3.Move(tx, rows[b.Ref], to); return err })
					if err != nil {
						t.Fatal(err)
					}
				}
				if cut > 1 {
					if err := m.Moved(t.Context(), b.Ref, to); err != nil {
						t.Fatal(err)
					}
					break // the others were not begun
				}
			}
			s.Close()
			s = reopenForCompaction(t, cfg)
			if got := contents(t, s); fmt.Sprint(got) != fmt.Sprint(left) {
				t.Errorf("%d contents of %d", len(got), len(left))
			}
			s.now = func() time.Time { return time.Now().Add(2 * orphanAge) }
			r, err := s.Check(t.Context(), CheckRequest{Operator: "tester"})
			if err != nil || len(r.Problems) > 0 {
				t.Errorf("%+v, %v", r, err)
			}
			if got := contents(t, s); fmt.Sprint(got) != fmt.Sprint(left) {
				t.Errorf("afterwards %d contents of %d", len(got), len(left))
			}
			n := 0
			for _, err := range s.blobs.Refs(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != len(left) {
				t.Errorf("%d blobs of %d contents", n, len(left))
			}
		})
	}
}

// What changed while it was copied is not moved: the row keeps what it says now, and
// the copy goes.
func TestCompactionOfWhatChanges(t *testing.T) {
	s, _, left := sparse(t, "")
	list, err := s.blobs.(mover).Sparse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows, err := s.holders(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	var batch []*move
	for _, b := range list {
		batch = append(batch, &move{from: b.Ref, row: rows[b.Ref]})
	}
	fresh := written(t, s, []byte("fresh"))
	err = s.store.Update(t.Context(), func(tx *store.Tx) error { _, err := s.s3.Move(tx, rows[list[0].Ref], fresh); return err })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.blobs.Delete(t.Context(), list[0].Ref); err != nil {
		t.Fatal(err)
	}
	if n, err := s.move(t.Context(), s.blobs.(mover), batch); n != len(left)-1 || err != nil {
		t.Errorf("moved %d, %v", n, err)
	}
	got := contents(t, s)
	if len(got) != len(left) || got["fresh"] != 1 {
		t.Errorf("%d contents of %d", len(got), len(left))
	}
	n := 0
	for _, err := range s.blobs.Refs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != len(left) {
		t.Errorf("%d blobs of %d contents", n, len(left))
	}
}
