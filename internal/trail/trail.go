package trail

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
)

// Options are the trail's few settings. The zero value is the default.
type Options struct {
	Interval time.Duration // between two seals; 0 stands for 500 ms
}

// Trail is the audit.
type Trail struct {
	store  *store.Store
	signer ledger.Signer
	opts   Options
}

// Query says which records to find. Empty fields do not restrict.
type Query struct {
	Account      string // required: the trail of one account
	Start, End   time.Time
	EventID      string
	EventName    string
	EventSource  string
	Username     string
	ResourceName string
	ResourceType string
	AccessKeyID  string
	ReadOnly     *bool
	Person       string // OnBehalfOf.UserID
	ErrorsOnly   bool
	Limit        int    // 1 to 50; 0 stands for 50
	Token        string // NextToken of the page before
}

// Entry is a record as it is stored.
type Entry struct {
	Seq    int64 // rises with insertion; for Follow
	Record *Record
	Event  []byte // CloudTrail's JSON, the exact bytes under the leaf's hash
}

// Page is one answer to a Query, newest first.
type Page struct {
	Entries   []Entry
	NextToken string // empty at the end
}

// New makes the trail's tables and checks that the signer is the log's.
func New(st *store.Store, signer ledger.Signer, opts Options) (*Trail, error) {
	if signer.Origin() == "" {
		return nil, errors.New("trail: a signer is required")
	}
	return &Trail{store: st, signer: signer, opts: opts}, nil
}

var errTODO = errors.New("trail: not built yet")

// Append adds records to the change's transaction.
func (t *Trail) Append(tx *store.Tx, rs ...*Record) error { return errTODO }

// Run seals records until the context ends.
func (t *Trail) Run(ctx context.Context) error { return errTODO }

// Find returns records, newest first.
func (t *Trail) Find(ctx context.Context, q Query) (Page, error) { return Page{}, errTODO }

// Follow calls fn with every sealed record after from, in order, as they come.
func (t *Trail) Follow(ctx context.Context, from int64, fn func(Entry) error) error { return errTODO }

// Verify checks the whole log.
func (t *Trail) Verify(ctx context.Context) error { return errTODO }

// MarshalEvent gives CloudTrail's JSON of the record.
func (r *Record) MarshalEvent() ([]byte, error) { return nil, errTODO }
