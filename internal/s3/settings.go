package s3

import (
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/shape/s3"
)

// A tagSet is the tags of a bucket or an object. In the store it is JSON, and empty
// where there are none.
type tagSet map[string]string

func (t *tagSet) parse(s string) error { return parseSetting(s, t) }
func (t tagSet) text() string          { return settingText(t, len(t) == 0) }

// A lock holds a version of an object: until a time, or until the hold is taken
// off.
type lock struct {
	Mode  s3.ObjectLockRetentionMode `json:"mode,omitempty"`
	Until time.Time                  `json:"until,omitzero"`
	Hold  bool                       `json:"hold,omitempty"`
	Freed bool                       `json:"freed,omitempty"` // a hold was taken off, which is not the same as none
}

func (l *lock) parse(s string) error { return parseSetting(s, l) }
func (l lock) text() string          { return settingText(l, l == lock{}) }

// lockDefaults are a bucket's: whether versions can be locked at all, and for how
// long new ones are.
type lockDefaults struct {
	Enabled bool                       `json:"enabled,omitempty"`
	Mode    s3.ObjectLockRetentionMode `json:"mode,omitempty"`
	Days    int32                      `json:"days,omitempty"`
	Years   int32                      `json:"years,omitempty"`
}

func (l *lockDefaults) parse(s string) error { return parseSetting(s, l) }
func (l lockDefaults) text() string          { return settingText(l, l == lockDefaults{}) }

func parseSetting(s string, into any) error {
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), into)
}

func settingText(v any, none bool) string {
	if none {
		return ""
	}
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(err) // maps of strings and structs of scalars have a form
	}
	return string(b)
}
