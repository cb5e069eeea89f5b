package verify

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"bawn.dev/internal/ledger"
)

// A Problem is one thing that is wrong, and where.
type Problem struct {
	Where string `json:"where"` // a file, or a leaf
	What  string `json:"what"`
}

// A Report is what a check found.
type Report struct {
	Of       string    `json:"of"`             // log, range, record, heads, trail
	Log      string    `json:"log,omitempty"`  // its name
	Size     int64     `json:"size,omitempty"` // leaves under the checkpoint
	Checked  int64     `json:"checked"`        // records or files that were read and hold
	Notes    []string  `json:"notes,omitempty"`
	Problems []Problem `json:"problems"`
	// Truncated says that there are more problems than are listed.
	Truncated bool `json:"truncated,omitempty"`
}

// maxProblems bounds the list.
const maxProblems = 100

// Witnessed adds to a report which of the checkpoints that it is about each witness
// co-signed, and when. A witness that co-signed none is a problem.
func (r *Report) Witnessed(witnesses []ledger.Witness, heads ...[]byte) {
	for _, w := range witnesses {
		seen := false
		for _, signed := range heads {
			if at, err := w.Seen(signed); err == nil {
				seen = true
				r.note("witness %s saw %s records at %s", w.Name(), sizeLine(signed), at.Format(time.RFC3339))
			}
		}
		if !seen {
			r.problem("witness "+w.Name(), "it co-signed none of the checkpoints")
		}
	}
}

// sizeLine is the size in a checkpoint that was opened.
func sizeLine(signed []byte) string {
	lines := strings.SplitN(string(signed), "\n", 3)
	return lines[1]
}

func newReport(of string) *Report { return &Report{Of: of, Problems: []Problem{}} }

func (r *Report) problem(where, format string, args ...any) {
	if len(r.Problems) >= maxProblems {
		r.Truncated = true
		return
	}
	r.Problems = append(r.Problems, Problem{where, fmt.Sprintf(format, args...)})
}

func (r *Report) note(format string, args ...any) {
	if len(r.Notes) < maxProblems {
		r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
	}
}

// open opens a file that somebody else made: a pipe in its place would never end.
func open(from fs.FS, name string) (fs.File, error) {
	info, err := fs.Stat(from, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", name)
	}
	return from.Open(name)
}

// readFile reads a file of at most so many bytes.
func readFile(from fs.FS, name string, limit int64) ([]byte, error) {
	f, err := open(from, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, name, limit)
}

// MaxFile bounds a proof, a checkpoint or a list of keys.
const MaxFile = 4 << 20

// ReadFile reads a file that somebody sent.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, path, MaxFile)
}

func readAll(f io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", name, limit)
	}
	return data, nil
}
