package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/host"
	"bawn.dev/internal/spec"
)

// record is what is written down of a workload: enough to find it again, and
// nothing that it would call its own.
type record struct {
	ID        string     `json:"id"`
	Image     string     `json:"image"`
	User      spec.User  `json:"user"`
	Interface string     `json:"interface,omitzero"` // that is attached
	DiskBytes int64      `json:"diskBytes"`
	Runtime   int64      `json:"maxRuntimeSeconds"`
	Stop      spec.Stop  `json:"stop"`
	Volume    string     `json:"volume"`
	Phase     host.Phase `json:"phase"`
	// Starting, Locking and Removing are written before what they name is done,
	// and say that it may have been done in part.
	Starting bool         `json:"starting,omitzero"`
	Locking  bool         `json:"locking,omitzero"`
	Removing bool         `json:"removing,omitzero"`
	Started  time.Time    `json:"started,omitzero"`
	StopAt   time.Time    `json:"stopAt,omitzero"` // when it was first asked to end
	TimedOut bool         `json:"timedOut,omitzero"`
	Stopped  bool         `json:"stopped,omitzero"`
	Exit     *driver.Exit `json:"exit,omitzero"`
}

// deadline is when the workload's time is up.
func (r *record) deadline() time.Time {
	return r.Started.Add(time.Duration(r.Runtime) * time.Second)
}

// grace is how long it may still take to end by itself.
func (r *record) grace(now time.Time) time.Duration {
	return r.StopAt.Add(r.Stop.Grace()).Sub(now)
}

func (w *Worker) recordPath(id string) string { return w.path(recordsName, id+".json") }

// save writes a record down. The caller holds the workload's mu.
func (w *Worker) save(r record) error {
	data, err := json.Marshal(r, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	return writeFile(w.recordPath(r.ID), data)
}

// load reads all records. One that cannot be read stands for nothing: what it
// stood for is swept away with everything else that nobody ordered.
func (w *Worker) load() ([]record, error) {
	entries, err := os.ReadDir(w.path(recordsName))
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	var all []record
	for _, e := range entries {
		file := w.path(recordsName, e.Name())
		var r record
		data, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(data, &r, json.RejectUnknownMembers(true))
		}
		if err == nil && (!spec.ValidID(r.ID) || e.Name() != r.ID+".json") {
			err = errors.New("it names something else")
		}
		if err == nil {
			all = append(all, r)
			continue
		}
		if !strings.HasPrefix(e.Name(), ".") { // not one that was being written
			w.config.Log.Error("removing a workload whose record cannot be read", "file", file, "error", err)
		}
		if err := os.Remove(file); err != nil {
			return nil, fmt.Errorf("worker: %w", err)
		}
	}
	return all, nil
}

// writeFile makes a file, mode 0600, that is there whole or not at all, also after
// a crash of the machine.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("worker: %w", err), os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// removeFile is its reverse. One that does not exist is no error.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("worker: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
