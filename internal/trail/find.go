package trail

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/store"
)

// Query says which records to find. Empty fields do not restrict.
type Query struct {
	Account      string // required: the trail of one account
	Start, End   time.Time
	EventID      string
	EventName    string
	EventSource  string
	Username     string
	ResourceName string // an ARN, or the last part of one
	ResourceType string
	AccessKeyID  string
	ReadOnly     *bool
	Person       string // OnBehalfOf.UserID
	Scope        string // what the call belongs to (InScopeOf): an ARN, or the last part of one
	ErrorsOnly   bool
	Limit        int    // 1 to 50; 0 stands for 50
	Token        string // NextToken of the page before, of the same query
}

// Entry is a record as it is stored.
type Entry struct {
	Seq    int64 // rises with insertion; for Follow
	Record *Record
	Event  []byte // CloudTrail's JSON, the exact bytes under the leaf's hash

	at place
}

// Page is one answer to a Query, newest first.
type Page struct {
	Entries   []Entry
	NextToken string // empty at the end; a page may be short, or empty, before it
}

var (
	// ErrQuery says that a query is malformed.
	ErrQuery = errors.New("trail: malformed query")
	// ErrToken says that a token is not one of this query's.
	ErrToken = errors.New("trail: not a token of this query")
)

// MaxLimit is the most records in a page, as in LookupEvents.
const MaxLimit = 50

// examined bounds the records that one page reads past to find its own.
const examined = 4096

// Find returns an account's records, newest first. It sees every record that was
// committed before the call.
func (t *Trail) Find(ctx context.Context, q Query) (Page, error) {
	if q.Account == "" || q.Limit < 0 || q.Limit > MaxLimit {
		return Page{}, ErrQuery
	}
	if q.Limit == 0 {
		q.Limit = MaxLimit
	}
	at, err := q.place()
	if err != nil {
		return Page{}, err
	}
	if err := t.Seal(ctx); err != nil {
		return Page{}, err
	}
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return Page{}, err
	}
	defer n.Close()
	found, next, _, err := q.page(n, at)
	if err != nil {
		return Page{}, err
	}
	page := Page{Entries: found}
	if next != nil {
		page.NextToken = q.token(*next)
	}
	return page, nil
}

// page reads the records of one page, and answers where the next begins, nil at the
// end, and how many records it looked at.
func (q Query) page(n *store.Snapshot, at place) (entries []Entry, next *place, read int, err error) {
	wanted := q.traits()
	filtered := len(wanted) > 1 && !slices.Equal(wanted[1:], []string{""})
	j, said := q.joined(n, at), q.said()
	for read < examined {
		passed := j.passed
		places, more, err := j.next(q.Limit+1, examined-read)
		if err != nil {
			return nil, nil, read, err
		}
		rows, err := recordsAt(n, places)
		if err != nil {
			return nil, nil, read, err
		}
		for _, r := range rows {
			if !containsEach(r.event, said) {
				at = place{r.time, r.seq}
				continue
			}
			record, err := UnmarshalEvent(r.event)
			if err != nil {
				return nil, nil, read, fmt.Errorf("record %d: %w", r.seq, err)
			}
			if filtered && !containsAll(record.traits(), wanted) {
				at = place{r.time, r.seq}
				continue
			}
			if len(entries) == q.Limit {
				return entries, &at, read, nil
			}
			at = place{r.time, r.seq}
			entries = append(entries, Entry{r.seq, record, r.event, at})
		}
		read += len(places) + (j.passed-passed)/placesPerRecord
		if !more {
			return entries, nil, read, nil
		}
		at = j.at
	}
	return entries, &at, read, nil
}

// window is the time that a query is about, in microseconds.
func (q Query) window() (start, end int64) {
	start, end = math.MinInt64, math.MaxInt64
	if !q.Start.IsZero() {
		start = q.Start.UnixMicro()
	}
	if !q.End.IsZero() {
		end = q.End.UnixMicro()
	}
	return start, end
}

// recordsAt reads the records at places, in their order.
func recordsAt(q store.Querier, places []place) ([]row, error) {
	var rows []row
	for chunk := range slices.Chunk(places, MaxLimit) {
		seqs := make([]any, len(chunk))
		for i, p := range chunk {
			seqs[i] = p.seq
		}
		found, err := store.Collect(q, scanRow, "SELECT "+rowColumns+" FROM trail_records WHERE seq IN (?"+
			strings.Repeat(",?", len(seqs)-1)+")", seqs...)
		if err != nil {
			return nil, err
		}
		for _, p := range chunk {
			if i := slices.IndexFunc(found, func(r row) bool { return r.seq == p.seq }); i >= 0 {
				rows = append(rows, found[i])
			}
		}
	}
	return rows, nil
}

func containsAll(sorted, wanted []string) bool {
	for _, w := range wanted {
		if _, ok := slices.BinarySearch(sorted, w); !ok {
			return false
		}
	}
	return true
}

// token is a place, and a digest of the query that it is good for.
func (q Query) token(at place) string {
	b := binary.BigEndian.AppendUint64(q.digest(), uint64(at.time))
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(b, uint64(at.seq)))
}

func (q Query) place() (place, error) {
	if q.Token == "" {
		return beyond, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(q.Token)
	if err != nil || len(b) != 32 || string(b[:16]) != string(q.digest()) {
		return place{}, ErrToken
	}
	return place{int64(binary.BigEndian.Uint64(b[16:])), int64(binary.BigEndian.Uint64(b[24:]))}, nil
}

func (q Query) digest() []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %d %q", q.Account, q.Start.UnixMicro(), q.End.UnixMicro(), strings.Join(q.traits(), "\x00")))
	return sum[:16]
}
