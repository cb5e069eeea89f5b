package cloudtrail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/trail"
)

// How much one look takes, so that it fits in memory: what is left comes in the next.
const (
	linesRead = 500
	maxLines  = 20_000
	maxBytes  = 16 << 20
)

// A harvest is what a run selects of the records from its position to until.
type harvest struct {
	until   int64
	opening string  // what is left of the run's
	turn    *change // what comes after until; nil: nothing
	more    bool    // there may be more records
	news    bool    // there is more in it than that the service delivered
	logs    map[string]*log
}

// A log is the content of a file.
type log struct {
	content        []byte
	oldest, newest string
}

func (l *log) hash() string {
	sum := sha256.Sum256(l.content)
	return hex.EncodeToString(sum[:])
}

func (l *log) add(e *event, line []byte) {
	if len(l.content) == 0 {
		l.content = append(l.content, `{"Records":[`...)
		l.oldest, l.newest = e.Time, e.Time
	} else {
		l.content[len(l.content)-2] = ','
		l.content = l.content[:len(l.content)-1]
	}
	l.content = append(append(l.content, line...), "]}"...)
	l.oldest, l.newest = min(l.oldest, e.Time), max(l.newest, e.Time)
}

// gather reads on for a run: to a sequence number if last is not 0, and else as far as
// one look goes.
func (s *Service) gather(ctx context.Context, r *run, turns []*change, last int64) (*harvest, error) {
	chosen, err := parseChoice(r.choice)
	if err != nil {
		return nil, err
	}
	h := &harvest{until: r.position, opening: r.opening, logs: map[string]*log{}}
	n, size := 0, 0
	for n < maxLines && size < maxBytes || last > 0 {
		lines, err := s.Records.After(ctx, h.until, linesRead)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			if last > 0 && line.Seq > last {
				return h, nil
			}
			n, size, h.until = n+1, size+len(line.Event), line.Seq
			if line.Account != r.account && r.organization == "" {
				continue
			}
			if err := h.take(r, chosen, line); err != nil {
				return nil, err
			}
			if last == 0 && len(turns) > 0 && line.Account == r.account && of(line, turns[0].request) {
				h.turn, h.more = turns[0], true
				return h, nil
			}
		}
		if len(lines) < linesRead {
			return h, nil
		}
	}
	h.more = true
	return h, nil
}

func (h *harvest) take(r *run, chosen choice, line trail.Line) error {
	if h.opening != "" {
		if line.Account == r.account && of(line, h.opening) {
			h.opening = ""
		}
		return nil
	}
	var e event
	if err := json.Unmarshal(line.Event, &e); err != nil {
		return fmt.Errorf("cloudtrail: record %d: %w", line.Seq, err)
	}
	if !chosen.takes(&e) {
		return nil
	}
	h.news = h.news || !e.own()
	l := h.logs[line.Account]
	if l == nil {
		l = &log{}
		h.logs[line.Account] = l
	}
	l.add(&e, line.Event)
	return nil
}

// own says whether an event is only that the service delivered something.
func (e *event) own() bool {
	return e.UserIdentity.Type == "AWSService" && e.UserIdentity.InvokedBy == principal && e.ErrorCode == ""
}

// of says whether a record is of a request. Within strings quotes are escaped: no
// caller can write this in one.
func of(line trail.Line, request string) bool {
	return bytes.Contains(line.Event, []byte(`"requestID":"`+request+`"`))
}

func (h *harvest) accounts() []string { return slices.Sorted(maps.Keys(h.logs)) }
