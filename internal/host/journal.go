package host

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"
)

// A Journal is what was done on this machine as root: its host started and stopped, an
// image was brought here. Whoever does so may have no server to tell, so it is written
// down beside what it is about, durably and before it counts, and the server takes it
// into the record when it next hears of the host. Lines are only added; who is root can
// change them, as he can everything here.
type Journal struct{ root *os.Root }

// A Deed is one line of a journal.
type Deed struct {
	Seq      int64             `json:"seq"` // from 1
	Time     time.Time         `json:"time"`
	Operator string            `json:"operator"`
	Name     string            `json:"name"` // of the event: "ImportImage"
	Details  map[string]string `json:"details,omitempty"`
}

// Deeds are some of a journal's, in order.
type Deeds struct {
	Journal string `json:"journal"` // tells it from others
	Deeds   []Deed `json:"deeds"`
}

const (
	journalFile = "journal"
	maxDeeds    = 100 // in one answer
	maxDeed     = 64 << 10
)

// OpenJournal opens the journal of a data directory, or begins it. No link in the
// directory leads out of it.
func OpenJournal(data string) (*Journal, error) {
	if err := os.MkdirAll(filepath.Join(data, "host"), 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(data)
	if err != nil {
		return nil, err
	}
	return &Journal{root}, nil
}

// Close lets go of the directory.
func (j *Journal) Close() error { return j.root.Close() }

// Tell writes a deed down. When it returns nil, that is durable.
func (j *Journal) Tell(at time.Time, operator, name string, details map[string]string) error {
	f, err := j.locked(unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer f.Close()
	id, seq, end, err := scan(f, func(Deed) bool { return true })
	if err != nil {
		return err
	}
	var add []byte
	if id == "" {
		add = append([]byte(rand.Text()), '\n')
	}
	line, err := json.Marshal(Deed{seq + 1, at.UTC(), operator, name, details}, json.Deterministic(true))
	if err != nil {
		return err
	}
	if len(line) > maxDeed {
		return fmt.Errorf("host: a deed of %d bytes", len(line))
	}
	if err := f.Truncate(end); err != nil { // what a crash left of a line
		return err
	}
	if _, err := f.WriteAt(append(append(add, line...), '\n'), end); err != nil {
		return err
	}
	return f.Sync()
}

// After gives the deeds after one.
func (j *Journal) After(seq int64) (Deeds, error) {
	f, err := j.locked(unix.LOCK_SH)
	if err != nil {
		return Deeds{}, err
	}
	defer f.Close()
	out := Deeds{Deeds: []Deed{}}
	out.Journal, _, _, err = scan(f, func(d Deed) bool {
		if d.Seq > seq {
			out.Deeds = append(out.Deeds, d)
		}
		return len(out.Deeds) < maxDeeds
	})
	return out, err
}

func (j *Journal) locked(how int) (*os.File, error) {
	f, err := j.root.OpenFile("host/"+journalFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// scan reads whole lines until one is enough, and answers the journal's name, the last
// deed that it read and where that ends.
func scan(f io.Reader, more func(Deed) bool) (id string, seq, end int64, err error) {
	lines := bufio.NewReaderSize(f, 2*maxDeed)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return id, seq, end, nil // and no part of a line
		}
		if err != nil {
			return "", 0, 0, fmt.Errorf("host: the journal: %w", err)
		}
		end += int64(len(line))
		line = bytes.TrimSuffix(line, []byte("\n"))
		if id == "" {
			id = string(line)
			continue
		}
		var d Deed
		if err := json.Unmarshal(line, &d); err != nil || d.Seq != seq+1 {
			return "", 0, 0, fmt.Errorf("host: line %d of the journal is no deed: %w", seq+1, err)
		}
		seq = d.Seq
		if !more(d) {
			return id, seq, end, nil
		}
	}
}
