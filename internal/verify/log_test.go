package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/verify"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A source is a log as a server sends it.
type source struct {
	signer ledger.Signer
	key    ledger.Verifier
	lines  []string
}

func newSource(t testing.TB, n int) *source {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	s := &source{}
	s.signer, err = ledger.NewSigner("bawn.test/log", key)
	must(t, err)
	s.key, err = s.signer.Verifier()
	must(t, err)
	s.grow(n)
	return s
}

func (s *source) grow(to int) {
	for i := len(s.lines); i < to; i++ {
		s.lines = append(s.lines, fmt.Sprintf(`{"event":%d}`, i))
	}
}

// checkpoint signs the first n.
func (s *source) checkpoint(t testing.TB, n int) []byte {
	t.Helper()
	var tree ledger.Range
	for _, line := range s.lines[:n] {
		tree.Add(ledger.LeafHash([]byte(line)))
	}
	signed, err := s.signer.Sign(ledger.Checkpoint{Origin: s.signer.Origin(), Size: int64(n), Root: tree.Root()})
	must(t, err)
	return signed
}

// stream is what a server sends from a leaf on. gone are leaves without their record.
func (s *source) stream(t testing.TB, from int64, gone ...int) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(s.checkpoint(t, len(s.lines))))
	for i := int(from); i < len(s.lines); i++ {
		line := s.lines[i]
		if slices.Contains(gone, i) {
			hash := ledger.LeafHash([]byte(line))
			line = `"` + base64.StdEncoding.EncodeToString(hash[:]) + `"`
		}
		fmt.Fprintln(&b, line)
	}
	return &b
}

// copied makes or feeds a copy.
func (s *source) copied(t testing.TB, dir string) {
	t.Helper()
	m, err := verify.OpenMirror(dir, s.key)
	must(t, err)
	_, err = m.Receive(s.stream(t, m.Size()))
	must(t, err)
	must(t, m.Close())
}

func (s *source) log(dir string) verify.Log { return verify.Log{Files: os.DirFS(dir), Key: s.key} }

func wantProblems(t *testing.T, r *verify.Report, want ...string) {
	t.Helper()
	if len(r.Problems) != len(want) {
		t.Errorf("%d problems, want %d: %q", len(r.Problems), len(want), r.Problems)
		return
	}
	for i, p := range r.Problems {
		if got := p.Where + ": " + p.What; !strings.Contains(got, want[i]) {
			t.Errorf("problem %q, want %q", got, want[i])
		}
	}
}

func TestCopyGrows(t *testing.T) {
	s := newSource(t, 0)
	dir := filepath.Join(t.TempDir(), "copy")
	for _, size := range []int{1, 255, 256, 257, 300, 512, 700, 70_000} {
		s.grow(size)
		s.copied(t, dir)
		r := s.log(dir).Whole(s.checkpoint(t, 1), s.checkpoint(t, min(size, 256)))
		wantProblems(t, r)
		if r.Checked != int64(size) || r.Size != int64(size) {
			t.Errorf("%d: checked %d of %d", size, r.Checked, r.Size)
		}
	}
	for _, path := range []string{"tile/0/000", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1", "records/000", "records/273.p/112", "checkpoint"} {
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			t.Error(err)
		}
	}
	files := 0
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	}))
	if want := 274 + 2 + 1 + 274 + 1; files != want {
		t.Errorf("%d files, want %d: what a later copy made superfluous is still there", files, want)
	}
	for _, bounds := range [][2]int64{{0, 1}, {255, 257}, {69_999, 70_000}, {60_000, 66_000}} {
		r := s.log(dir).Range(bounds[0], bounds[1])
		wantProblems(t, r)
		if r.Checked != bounds[1]-bounds[0] {
			t.Errorf("%v: checked %d", bounds, r.Checked)
		}
	}
	wantProblems(t, s.log(dir).Range(69_999, 70_001), "it signs leaves 0 to 69999")
}

// Who changes a copy is found, and where.
func TestChangedCopy(t *testing.T) {
	s := newSource(t, 1000)
	whole := filepath.Join(t.TempDir(), "copy")
	s.copied(t, whole)
	edit := func(name string, change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			data, err := os.ReadFile(filepath.Join(dir, name))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, name), change(data), 0o600))
		}
	}
	swap := func(old, new string) func([]byte) []byte {
		return func(data []byte) []byte { return bytes.Replace(data, []byte(old), []byte(new), 1) }
	}
	flip := func(data []byte) []byte { data[5*32] ^= 1; return data }
	other := newSource(t, 0)
	for i := range 1000 {
		other.lines = append(other.lines, fmt.Sprintf(`{"other":%d}`, i))
	}
	old := s.checkpoint(t, 600)
	for name, c := range map[string]struct {
		attack func(*testing.T, string)
		want   []string
	}{
		"a record":              {edit("records/001", swap(`{"event":300}`, `{"event":301}`)), []string{"leaf 300: the record was changed"}},
		"a record dropped":      {edit("records/001", swap("{\"event\":300}\n", "\n")), []string{"leaf 300: the record is missing"}},
		"a record cut out":      {edit("records/001", swap("{\"event\":300}\n", "")), []string{"records/001: records/001: it does not hold 256 lines"}},
		"a record more":         {edit("records/001", swap("{\"event\":300}\n", "{\"event\":300}\n{}\n")), []string{"it does not hold 256 lines"}},
		"two exchanged":         {edit("records/001", swap("{\"event\":300}\n{\"event\":301}\n", "{\"event\":301}\n{\"event\":300}\n")), []string{"leaf 300: the record was changed", "leaf 301"}},
		"records gone":          {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "records/002"))) }, []string{"records/002"}},
		"a leaf":                {edit("tile/0/001", flip), []string{"leaf 261: the record was changed", "tile/1/000.p/3: it has another hash for leaves 256 to 511", "known checkpoint 1: the 600 records", "checkpoint: the 1000 records are not those that it signs: one of 0 to 999"}},
		"a node":                {edit("tile/1/000.p/3", func(data []byte) []byte { data[40] ^= 1; return data }), []string{"tile/1/000.p/3: it has another hash for leaves 256 to 511"}},
		"a tile gone":           {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "tile/0/002"))) }, []string{"tile/0/002", "known checkpoint 1: cannot be checked", "checkpoint: cannot be checked"}},
		"the checkpoint":        {edit("checkpoint", swap("1000", "1001")), []string{"checkpoint: ledger: not a checkpoint signed by this log's key"}},
		"another's checkpoint":  {edit("checkpoint", func([]byte) []byte { return other.checkpoint(t, 1000) }), []string{"not a checkpoint signed"}},
		"an older checkpoint":   {edit("checkpoint", func([]byte) []byte { return s.checkpoint(t, 100) }), []string{"known checkpoint 1: it signs 600 records, the files hold 100: the newest were cut off"}},
		"the checkpoint gone":   {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "checkpoint"))) }, []string{"checkpoint"}},
		"another history":       {func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)); rewritten(t, s, 700, dir) }, nil},
		"history older changed": {func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)); rewritten(t, s, 500, dir) }, []string{"known checkpoint 1: the 600 records are not those that it signs"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "copy")
			must(t, os.CopyFS(dir, os.DirFS(whole)))
			c.attack(t, dir)
			r := s.log(dir).Whole(old)
			wantProblems(t, r, c.want...)
		})
	}
}

// rewritten is the copy of a log whose record was replaced by who has the key.
func rewritten(t *testing.T, s *source, record int, dir string) {
	forged := &source{signer: s.signer, key: s.key, lines: slices.Clone(s.lines)}
	forged.lines[record] = "{}"
	forged.copied(t, dir)
}

func TestRangeOfChangedCopy(t *testing.T) {
	s := newSource(t, 1000)
	dir := filepath.Join(t.TempDir(), "copy")
	s.copied(t, dir)
	tile := filepath.Join(dir, "tile/0/001")
	data, err := os.ReadFile(tile)
	must(t, err)
	forged := ledger.LeafHash([]byte("{}"))
	copy(data[7*32:], forged[:])
	must(t, os.WriteFile(tile, data, 0o600))
	records := filepath.Join(dir, "records/001")
	text, err := os.ReadFile(records)
	must(t, err)
	must(t, os.WriteFile(records, bytes.Replace(text, []byte(`{"event":263}`), []byte("{}"), 1), 0o600))
	wantProblems(t, s.log(dir).Range(263, 264), "tile/0/001: leaves 263 to 263 are not what the checkpoint signs")
	wantProblems(t, s.log(dir).Range(600, 610))
}

// A copy takes nothing that does not extend it, and stays what it was.
func TestCopyRefuses(t *testing.T) {
	s := newSource(t, 300)
	dir := filepath.Join(t.TempDir(), "copy")
	s.copied(t, dir)
	receive := func(from *bytes.Buffer) error {
		m, err := verify.OpenMirror(dir, s.key)
		must(t, err)
		defer m.Close()
		_, err = m.Receive(from)
		return err
	}
	forged := &source{signer: s.signer, key: s.key, lines: slices.Clone(s.lines)}
	forged.lines[7] = "{}"
	forged.grow(400)
	if err := receive(forged.stream(t, 300)); err == nil || !strings.Contains(err.Error(), "does not extend") {
		t.Errorf("another history: %v", err)
	}
	shorter := &source{signer: s.signer, key: s.key, lines: s.lines[:200]}
	if err := receive(shorter.stream(t, 200)); err == nil || !strings.Contains(err.Error(), "its newest were cut off") {
		t.Errorf("a shorter log: %v", err)
	}
	s.grow(600)
	if err := receive(bytes.NewBuffer(s.stream(t, 300).Bytes()[:3000])); err == nil {
		t.Error("a stream that broke off passed")
	}
	if err := receive(newSource(t, 600).stream(t, 300)); err == nil {
		t.Error("another log passed")
	}
	wantProblems(t, s.log(dir).Whole(s.checkpoint(t, 300)))
	s.copied(t, dir)
	wantProblems(t, s.log(dir).Whole(s.checkpoint(t, 300)))
}

func TestRecordsThatAreGone(t *testing.T) {
	s := newSource(t, 300)
	dir := filepath.Join(t.TempDir(), "copy")
	m, err := verify.OpenMirror(dir, s.key)
	must(t, err)
	gone, err := m.Receive(s.stream(t, 0, 3, 299))
	must(t, err)
	must(t, m.Close())
	if gone != 2 {
		t.Errorf("%d leaves without their record", gone)
	}
	wantProblems(t, s.log(dir).Whole(), "leaf 3: the record is missing", "leaf 299: the record is missing")
}

func TestProofs(t *testing.T) {
	s := newSource(t, 600)
	dir := filepath.Join(t.TempDir(), "copy")
	s.copied(t, dir)
	p, err := s.log(dir).Proof(300)
	must(t, err)
	r, record := verify.Record(s.key, p.Text())
	wantProblems(t, r)
	if string(record) != `{"event":300}` {
		t.Errorf("%s", record)
	}
	changed := p
	changed.Record = []byte(`{"event":301}`)
	r, record = verify.Record(s.key, changed.Text())
	wantProblems(t, r, "leaf 300: ledger: the proof does not hold")
	if record != nil {
		t.Error("a record that is not proven was given")
	}
	r, _ = verify.Record(newSource(t, 0).key, p.Text())
	wantProblems(t, r, "not a checkpoint signed by this log's key")
	r, _ = verify.Record(s.key, []byte("nonsense"))
	wantProblems(t, r, "not in the format")

	prove := s.log(dir).Prove
	wantProblems(t, verify.Heads(s.key, s.checkpoint(t, 200), s.checkpoint(t, 600), prove))
	wantProblems(t, verify.Heads(s.key, s.checkpoint(t, 600), s.checkpoint(t, 200), prove))
	wantProblems(t, verify.Heads(s.key, s.checkpoint(t, 600), s.checkpoint(t, 600), nil))
	forged := &source{signer: s.signer, key: s.key, lines: slices.Clone(s.lines)}
	forged.lines[7] = "{}"
	wantProblems(t, verify.Heads(s.key, forged.checkpoint(t, 200), s.checkpoint(t, 600), prove), "is not proven")
	wantProblems(t, verify.Heads(s.key, forged.checkpoint(t, 600), s.checkpoint(t, 600), nil), "the log has two histories")
}
