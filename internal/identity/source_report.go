package identity

import (
	"errors"
	"time"
	"unicode/utf8"

	"bawn.dev/internal/api"
)

// A SourceReport is what came of reading a directory.
type SourceReport struct {
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`

	People int `json:"people"` // as the directory has them
	Groups int `json:"groups"`

	Created  int `json:"created"`  // people and groups
	Changed  int `json:"changed"`  // people and groups
	Enabled  int `json:"enabled"`  // people
	Disabled int `json:"disabled"` // people
	Joined   int `json:"joined"`   // memberships
	Left     int `json:"left"`     // memberships

	// Problems are entries of which something could not be taken, of so many.
	Problems []SourceProblem `json:"problems,omitzero"`
	Troubled int             `json:"troubled"`
	// Error is why no more was done; what was done stands, and the next time goes on.
	Error string `json:"error,omitzero"`
}

// A SourceProblem is why an entry, or a change of it, could not be taken. Both texts
// are the directory's, in part.
type SourceProblem struct {
	Entry string `json:"entry"`
	Why   string `json:"why"`
}

const (
	maxProblems = 100
	maxText     = 500
)

// problem notes one; no reason is none.
func (r *SourceReport) problem(entry, why string) {
	if why == "" {
		return
	}
	if r.Troubled++; len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, SourceProblem{short(entry), short(why)})
	}
}

func short(text string) string {
	if len(text) <= maxText {
		return text
	}
	text = text[:maxText]
	for !utf8.ValidString(text) && len(text) > maxText-utf8.UTFMax {
		text = text[:len(text)-1]
	}
	return text + "…"
}

// refused notes that the directory here did not take something. Other errors end the
// run: they are not the entry's.
func (r *SourceReport) refused(entry string, err error) error {
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		return err
	}
	switch e.Code {
	case "ConflictException", "ValidationException", "ServiceQuotaExceededException", "ResourceNotFoundException":
		r.problem(entry, e.Message)
		return nil
	}
	return err
}

// details are the report for the record: numbers, and why it ended.
func (r *SourceReport) details(name string) map[string]any {
	d := map[string]any{
		"directory": name, "people": r.People, "groups": r.Groups, "created": r.Created, "changed": r.Changed, "enabled": r.Enabled,
		"disabled": r.Disabled, "joined": r.Joined, "left": r.Left, "problems": r.Troubled,
	}
	if r.Error != "" {
		d["error"] = r.Error
	}
	return d
}
