package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"
)

// PruneEvent is the name of the event that states a pruning.
const PruneEvent = "PruneRecord"

// A Pruning says that the records under a log's first leaves may be gone: whoever keeps
// the log let them go. The leaves stay, and every proof with them.
type Pruning struct {
	Leaves int64     // so many, from the first
	Newest time.Time // of their events
}

// ErrPruning says that a statement is none of a pruning, or not signed by the key.
var ErrPruning = errors.New("ledger: not a pruning signed by this log's key")

// text is the body of the note. Its first line is no log's name: it is never taken
// for a checkpoint.
func (p Pruning) text(origin string) string {
	return fmt.Sprintf("%s/pruned\n%d\n%s\n", origin, p.Leaves, p.Newest.UTC().Format(time.RFC3339Nano))
}

// SignPruning returns the statement as a signed note.
func (s Signer) SignPruning(p Pruning) ([]byte, error) {
	if s.note == nil || p.Leaves < 1 {
		return nil, ErrPruning
	}
	return note.Sign(&note.Note{Text: p.text(s.note.Name())}, s.note)
}

// OpenPruning checks a signed statement and returns what it says.
func (v Verifier) OpenPruning(signed []byte) (Pruning, error) {
	if v.note == nil || len(signed) > maxCheckpoint {
		return Pruning{}, ErrPruning
	}
	n, err := note.Open(signed, note.VerifierList(v.note))
	if err != nil {
		return Pruning{}, fmt.Errorf("%w: %w", ErrPruning, err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 {
		return Pruning{}, ErrPruning
	}
	var p Pruning
	if p.Leaves, err = decimal(lines[1]); err != nil {
		return Pruning{}, ErrPruning
	}
	if p.Newest, err = time.Parse(time.RFC3339Nano, lines[2]); err != nil || p.text(v.note.Name()) != n.Text {
		return Pruning{}, ErrPruning
	}
	return p, nil
}

// PruningIn returns what a record states, if it is one of a [PruneEvent] whose statement
// this log's key signed. It does not check that the record is in the log.
func (v Verifier) PruningIn(record []byte) (Pruning, bool) {
	if !bytes.Contains(record, []byte(`"`+PruneEvent+`"`)) {
		return Pruning{}, false
	}
	var e struct {
		Name       string `json:"eventName"`
		Parameters struct {
			Statement string `json:"statement"`
		} `json:"requestParameters"`
	}
	if json.Unmarshal(record, &e) != nil || e.Name != PruneEvent {
		return Pruning{}, false
	}
	p, err := v.OpenPruning([]byte(e.Parameters.Statement))
	return p, err == nil
}
