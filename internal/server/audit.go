package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/s3"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// AuditRequest asks for records, newest first. Empty fields do not restrict.
type AuditRequest struct {
	Operator string    `json:"operator"`
	Account  string    `json:"account,omitempty"`
	Person   string    `json:"person,omitempty"`   // user name or id in the identity store
	Name     string    `json:"name,omitempty"`     // of the event
	Resource string    `json:"resource,omitempty"` // an ARN, or the last part of one
	Username string    `json:"username,omitempty"`
	Key      string    `json:"key,omitempty"`    // an access key's id, or the id or ARN of a key of KMS
	Job      string    `json:"job,omitempty"`    // name or ARN: what was done to it, by it and in its name
	Reads    bool      `json:"reads,omitempty"`  // what only read, and copies of the resource
	Errors   bool      `json:"errors,omitempty"` // what failed
	Denied   bool      `json:"denied,omitempty"` // what was not allowed, or not proved
	Since    time.Time `json:"since,omitzero"`
	Until    time.Time `json:"until,omitzero"`
	Limit    int       `json:"limit,omitempty"` // 1 to trail.MaxSearch; 0: 100
	After    string    `json:"after,omitempty"` // AuditPage.Next of the page before, of the same question
	// From is the Seq after which FollowAudit begins; 0: with what comes next.
	From int64 `json:"from,omitempty"`
}

// AuditPage is some of an answer.
type AuditPage struct {
	Lines []AuditLine `json:"lines"`
	Next  string      `json:"next,omitempty"` // empty at the end; a page may be short, or empty, before it
	Read  int         `json:"read"`           // how many records were looked at
	// Pruned is the time of the newest event that is not in the record any more, if the
	// question reaches there.
	Pruned time.Time `json:"pruned,omitzero"`
	// Nobody says that no person has the name or id that was asked for any more. It was
	// taken for an id: names of who is gone are not known.
	Nobody bool `json:"nobody,omitzero"`
}

// AuditLine is one record as `bawn audit` gets it.
type AuditLine struct {
	Seq    int64          `json:"seq"`              // rises
	Person string         `json:"person,omitempty"` // the name behind onBehalfOf
	Event  jsontext.Value `json:"event,omitempty"`  // empty: nothing happened, as FollowAudit says now and then
}

// Audit finds records, newest first. Each page is recorded.
func (s *Server) Audit(ctx context.Context, in AuditRequest) (*AuditPage, error) {
	if err := s.administered(ctx, "Audit", in.Operator, in); err != nil {
		return nil, err
	}
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	search, err := s.search(ctx, sn, in)
	if err != nil {
		return nil, err
	}
	if search.Limit = in.Limit; in.Limit <= 0 {
		search.Limit = 100
	}
	search.After = in.After
	found, err := s.trail.Search(ctx, search)
	if err != nil {
		return nil, err
	}
	page := &AuditPage{Lines: make([]AuditLine, len(found.Entries)), Next: found.Next, Read: found.Read}
	pruned, err := s.trail.Pruned(ctx)
	if err != nil {
		return nil, err
	}
	if pruned.Leaves > 0 && !in.Since.After(pruned.Newest) {
		page.Pruned = pruned.Newest
	}
	if page.Nobody, err = s.nobody(sn, in.Person); err != nil {
		return nil, err
	}
	name := s.names(sn)
	for i, e := range found.Entries {
		if page.Lines[i], err = line(e, name); err != nil {
			return nil, err
		}
	}
	return page, nil
}

func (s *Server) nobody(q store.Querier, person string) (bool, error) {
	if person == "" {
		return false, nil
	}
	id, err := s.identity.UserID(q, person)
	if err != nil || id != "" {
		return false, err
	}
	name, err := s.identity.UserName(q, person)
	return name == person, err
}

// search makes queries of a question: one for each account and alternative.
func (s *Server) search(ctx context.Context, q store.Querier, in AuditRequest) (trail.Search, error) {
	one := trail.Query{
		Start: in.Since, End: in.Until, Person: in.Person, EventName: in.Name, ResourceName: in.Resource,
		Username: in.Username, ErrorsOnly: in.Errors || in.Denied,
	}
	if in.Person != "" {
		id, err := s.identity.UserID(q, in.Person)
		if err != nil {
			return trail.Search{}, err
		}
		if id != "" {
			one.Person = id
		}
	}
	ways, err := alternatives(one, in)
	if err != nil {
		return trail.Search{}, err
	}
	accounts := []string{in.Account}
	if in.Account == "" {
		if accounts, err = s.trail.Accounts(ctx); err != nil {
			return trail.Search{}, err
		}
	}
	var out trail.Search
	for _, account := range accounts {
		for _, way := range ways {
			way.Account = account
			out.Queries = append(out.Queries, way)
		}
	}
	out.Only = func(r *trail.Record) bool {
		return (!in.Denied || slices.ContainsFunc(failures(r), Denied)) && (!in.Errors || len(failures(r)) > 0) && (!in.Reads || r.ReadOnly || copiedFrom(r, in.Resource))
	}
	return out, nil
}

// alternatives are the queries that together find what is asked for.
func alternatives(one trail.Query, in AuditRequest) ([]trail.Query, error) {
	ways := []trail.Query{one}
	either := func(changes ...func(*trail.Query)) {
		var more []trail.Query
		for _, way := range ways {
			for _, change := range changes {
				changed := way
				change(&changed)
				more = append(more, changed)
			}
		}
		ways = more
	}
	if named := []string{in.Key, in.Job, in.Resource}; len(slices.DeleteFunc(named, func(s string) bool { return s == "" })) > 1 {
		return nil, fmt.Errorf("audit: a resource, a key and a job are asked for one at a time")
	}
	if in.Key != "" {
		either(func(q *trail.Query) { q.AccessKeyID = in.Key }, func(q *trail.Query) { q.ResourceName = in.Key })
	}
	if in.Job != "" {
		either(func(q *trail.Query) { q.Scope = in.Job }, func(q *trail.Query) { q.ResourceName, q.ResourceType = in.Job, "AWS::SageMaker::TrainingJob" })
	}
	if one.ErrorsOnly && (one.EventName == "" || one.EventName == deletesMany) {
		either(func(*trail.Query) {}, func(q *trail.Query) { q.ErrorsOnly, q.EventName = false, deletesMany })
	}
	if in.Reads && in.Resource == "" { // a copy is a read of something only
		yes := true
		either(func(q *trail.Query) { q.ReadOnly = &yes })
	}
	return ways, nil
}

// copiedFrom says whether a record is that of a copy of an object: it is a write, and
// reads what it copies.
func copiedFrom(r *trail.Record, arn string) bool {
	if r.EventName != "CopyObject" && r.EventName != "UploadPartCopy" {
		return false
	}
	var said struct{ CopySource string }
	if json.Unmarshal(r.RequestParameters, &said, json.MatchCaseInsensitiveNames(true)) != nil {
		return true // it is more than can be told apart: show it
	}
	source, ok := s3.CopiedFrom(said.CopySource)
	return !ok || source == strings.TrimPrefix(arn, "arn:aws:s3:::") || strings.HasSuffix(source, "/"+arn) || strings.HasSuffix(source, ":"+arn)
}

// names answers people's names, asking for each once.
func (s *Server) names(q store.Querier) func(id string) (string, error) {
	known := map[string]string{}
	return func(id string) (string, error) {
		if name, ok := known[id]; ok {
			return name, nil
		}
		name, err := s.identity.UserName(q, id)
		if err == nil {
			known[id] = name
		}
		return name, err
	}
}

func line(e trail.Entry, name func(string) (string, error)) (l AuditLine, err error) {
	l.Seq, l.Event = e.Seq, e.Event
	if b := e.Record.UserIdentity.OnBehalfOf; b != nil {
		l.Person, err = name(b.UserID)
	}
	return l, err
}
