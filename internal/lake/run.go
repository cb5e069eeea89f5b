package lake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits bound what a question may cost.
type Limits struct {
	Events int64 // looked at
	Rows   int   // of the result, and groups on the way
	Bytes  int   // of the result
	Memory int   // for what is kept on the way, about
}

// ErrTooMuch says that a question met one of its limits.
var ErrTooMuch = errors.New("the query takes too much")

func tooMuch(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTooMuch, fmt.Sprintf(format, args...))
}

// A Source calls fn with every event that may be asked for, in any order, until fn
// fails, and returns its error. What the hint does not ask for it may leave out.
type Source func(ctx context.Context, hint Hint, fn func(event []byte) error) error

// A Result is an answer. All values are text, as CloudTrail Lake has them; what is NULL
// is empty.
type Result struct {
	Columns []string
	Rows    [][]string
	Events  int64 // looked at
	Matched int64
	Bytes   int64 // of events looked at
}

type run struct {
	*Statement
	limits Limits
	now    time.Time
	out    Result
	rows   []found
	groups map[string]*group
	memory int
	seen   map[string]bool
}

// errDone ends a question that needs no more events.
var errDone = errors.New("done")

// Run answers a question. It ends with the context; the result so far tells what was
// looked at also where it fails.
func (s *Statement) Run(ctx context.Context, source Source, limits Limits, now time.Time) (*Result, error) {
	r := &run{Statement: s, limits: limits, now: now.UTC(), groups: map[string]*group{}, seen: map[string]bool{}}
	for _, c := range s.columns {
		r.out.Columns = append(r.out.Columns, c.name)
	}
	if s.all {
		r.out.Columns = members
	}
	err := source(ctx, s.hint(r.now), func(event []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return r.look(event)
	})
	if errors.Is(err, errDone) {
		err = nil
	}
	if err == nil && s.grouped {
		err = r.close(ctx)
	}
	if err == nil {
		err = r.finish()
	}
	return &r.out, err
}

// look asks one event.
func (r *run) look(raw []byte) error {
	if r.limit == 0 && !r.grouped {
		return errDone
	}
	if r.out.Events++; r.out.Events > r.limits.Events {
		return tooMuch("more than %d events: narrow it by eventTime", r.limits.Events)
	}
	r.out.Bytes += int64(len(raw))
	e := &env{now: r.now}
	var err error
	if e.event, err = read(raw); err != nil {
		return err
	}
	if r.where != nil && r.where.value(e) != true {
		return e.spent()
	}
	r.out.Matched++
	if r.grouped {
		return cmp.Or(r.add(e), e.spent())
	}
	if err := cmp.Or(r.show(e), e.spent()); err != nil {
		return err
	}
	if r.limit >= 0 && len(r.order) == 0 && len(r.rows) >= r.limit {
		return errDone
	}
	return nil
}

// read takes an event apart. A member with a value that has no place here, such as a
// number beyond all bounds, stands as its text: one event must not keep the others from
// being seen.
func read(raw []byte) (event map[string]any, err error) {
	if json.Unmarshal(raw, &event) == nil {
		return event, nil
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(raw, &members, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)); err != nil {
		return nil, err
	}
	event = make(map[string]any, len(members))
	for name, member := range members {
		var v any
		if json.Unmarshal(member, &v) != nil {
			v = strings.ToValidUTF8(string(member), "\uFFFD")
		}
		event[name] = v
	}
	return event, nil
}

// spent is why what an event was asked cannot be believed.
func (e *env) spent() error {
	if e.steps > maxSteps {
		return tooMuch("it takes too long on one event: use shorter patterns and fewer conditions")
	}
	return nil
}

// keep counts what is held in memory.
func (r *run) keep(bytes int) error {
	if r.memory += bytes; r.memory > r.limits.Memory {
		return tooMuch("its groups and rows do not fit into memory: narrow it by eventTime, or group it by less")
	}
	return nil
}

// show adds a row.
func (r *run) show(e *env) error {
	f := found{cells: make([]string, 0, len(r.out.Columns))}
	if r.all {
		for _, name := range members {
			f.cells = append(f.cells, r.cell(e.event[name], name == "eventTime"))
		}
	}
	for _, c := range r.columns {
		f.cells = append(f.cells, r.cell(c.node.value(e), false))
	}
	for _, o := range r.order {
		f.order = append(f.order, o.node.value(e))
	}
	if r.distinct {
		key := string(encoded(f.cells))
		if r.seen[key] {
			return nil
		}
		r.seen[key] = true
		if err := r.keep(overhead + len(key)); err != nil {
			return err
		}
	}
	if err := r.keep(f.size()); err != nil {
		return err
	}
	r.rows = append(r.rows, f)
	return r.trim()
}

func (r *run) cell(v any, time bool) string {
	if s, ok := v.(string); ok && time {
		if t, ok := moment(s); ok {
			return shown(t)
		}
	}
	return strings.ToValidUTF8(shown(v), "\uFFFD")
}
