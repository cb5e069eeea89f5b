package verify_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/verify"
)

// state adds the event of a pruning.
func (s *source) state(t *testing.T, signer ledger.Signer, leaves int64) {
	t.Helper()
	signed, err := signer.SignPruning(ledger.Pruning{Leaves: leaves, Newest: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	must(t, err)
	text, err := json.Marshal(map[string]any{"eventName": "PruneRecord", "requestParameters": map[string]any{"statement": string(signed)}})
	must(t, err)
	s.lines = append(s.lines, string(text))
}

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// received makes a copy of a log of which leaves are gone.
func (s *source) received(t *testing.T, gone ...int) (dir string, unsaid, pruned int64) {
	t.Helper()
	dir = t.TempDir()
	m, err := verify.OpenMirror(dir, s.key)
	must(t, err)
	unsaid, err = m.Receive(s.stream(t, 0, gone...))
	must(t, err)
	must(t, m.Close())
	return dir, unsaid, m.Pruned()
}

func TestPrunedLog(t *testing.T) {
	s := newSource(t, 1000)
	s.state(t, s.signer, 600)
	s.grow(1500)
	dir, unsaid, pruned := s.received(t, upTo(600)...)
	if unsaid != 0 || pruned != 600 {
		t.Errorf("%d came without their record, %d as pruned", unsaid, pruned)
	}
	r := s.log(dir).Whole()
	wantProblems(t, r)
	if r.Checked != 900 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "600 of the first 600 records are not here: the log says that these were pruned, the newest of them of 2026-01-02T03:04:05Z") {
		t.Errorf("%+v", r)
	}
	r = s.log(dir).Range(590, 610)
	wantProblems(t, r)
	if r.Checked != 10 || len(r.Notes) != 1 {
		t.Errorf("%+v", r)
	}
	wantProblems(t, s.log(dir).Range(700, 710))

	// A copy from before keeps what it has, and takes what is new.
	older := t.TempDir()
	before := newSource(t, 0)
	*before = *s
	before.lines = s.lines[:900]
	before.copied(t, older)
	m, err := verify.OpenMirror(older, s.key)
	must(t, err)
	if unsaid, err = m.Receive(s.stream(t, m.Size(), upTo(600)...)); err != nil || unsaid != 0 || m.Pruned() != 0 {
		t.Errorf("%d, %d, %v", unsaid, m.Pruned(), err)
	}
	must(t, m.Close())
	r = s.log(older).Whole()
	wantProblems(t, r)
	if r.Checked != 1500 || len(r.Notes) != 0 {
		t.Errorf("%+v", r)
	}
}

// What is missing and was not said to be, by a record of this log that its key signed, is
// missing.
func TestPruningsThatAreNone(t *testing.T) {
	other := newSource(t, 0)
	for name, c := range map[string]struct {
		make func(t *testing.T, s *source)
		gone []int
		want string
	}{
		"none":                      {func(*testing.T, *source) {}, []int{0}, "leaf 0: the record is missing"},
		"fewer":                     {func(t *testing.T, s *source) { s.state(t, s.signer, 300) }, upTo(301), "leaf 300: the record is missing"},
		"one later":                 {func(t *testing.T, s *source) { s.state(t, s.signer, 300) }, []int{400}, "leaf 400: the record is missing"},
		"another's":                 {func(t *testing.T, s *source) { s.state(t, other.signer, 300) }, []int{0}, "leaf 0: the record is missing"},
		"of records that follow it": {func(t *testing.T, s *source) { s.state(t, s.signer, 501) }, []int{499}, "leaf 499: the record is missing"},
		"itself gone":               {func(t *testing.T, s *source) { s.state(t, s.signer, 300) }, []int{0, 500}, "leaf 0: the record is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSource(t, 500)
			c.make(t, s)
			s.grow(700)
			dir, unsaid, _ := s.received(t, c.gone...)
			if unsaid == 0 {
				t.Error("the copy says nothing")
			}
			r := s.log(dir).Whole()
			if len(r.Problems) == 0 || fmt.Sprint(r.Problems[0].Where, ": ", r.Problems[0].What) != c.want {
				t.Errorf("%q", r.Problems)
			}
		})
	}
	t.Run("a line in the files that is in no log", func(t *testing.T) {
		s := newSource(t, 700)
		dir, _, _ := s.received(t, 0)
		said := newSource(t, 0)
		said.state(t, s.signer, 300)
		path := filepath.Join(dir, "records", "001")
		text, err := os.ReadFile(path)
		must(t, err)
		lines := strings.Split(string(text), "\n")
		lines[200] = said.lines[0]
		must(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
		wantProblems(t, s.log(dir).Whole(), "leaf 0: the record is missing", "leaf 456: the record was changed")
		wantProblems(t, s.log(dir).Range(0, 1), "leaf 0: the record is missing")
	})
}
