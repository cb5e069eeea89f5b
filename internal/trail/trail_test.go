package trail_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
	"bawn.dev/internal/trail"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newSigner(t testing.TB) ledger.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	s, err := ledger.NewSigner("bawn.test/trail", key)
	must(t, err)
	return s
}

func newTrail(t testing.TB, s *store.Store, signer ledger.Signer) *trail.Trail {
	t.Helper()
	tr, err := trail.New(s, signer, trail.Options{})
	must(t, err)
	return tr
}

// full is a record with every field set.
func full() *trail.Record {
	return &trail.Record{
		EventID: "11111111-2222-4333-8444-555555555555", RequestID: "req-1", ParentRequestID: "req-0",
		EventTime: noon, EventSource: "kms.amazonaws.com", EventName: "Decrypt", Region: "us-east-1", Account: "123456789012",
		UserIdentity: trail.UserIdentity{
			Type: "AssumedRole", PrincipalID: "AROAEXAMPLE:job-1", ARN: "arn:aws:sts::123456789012:assumed-role/Train/job-1",
			AccountID: "123456789012", AccessKeyID: "ASIAEXAMPLE",
			SessionContext: &trail.SessionContext{
				SessionIssuer: trail.SessionIssuer{Type: "Role", PrincipalID: "AROAEXAMPLE",
					ARN: "arn:aws:iam::123456789012:role/Train", AccountID: "123456789012", UserName: "Train"},
				CreationDate: noon.Add(-time.Hour), MFA: true, SourceIdentity: "ada",
			},
			OnBehalfOf: &trail.OnBehalfOf{UserID: "user-ada", IdentityStoreARN: "arn:aws:identitystore::123456789012:identitystore/d-1234567890"},
			InvokedBy:  "s3.amazonaws.com",
		},
		SourceIP: "192.0.2.7", UserAgent: "aws-cli/2.13", VpcEndpointID: "vpce-1", VpcEndpointAccountID: "123456789012",
		RequestParameters:   jsontext.Value(`{"encryptionContext":{"aws:s3:arn":"arn:aws:s3:::data"}}`),
		ResponseElements:    jsontext.Value(`{"keyId":"k"}`),
		AdditionalEventData: jsontext.Value(`{"bytes":3}`),
		ErrorCode:           "AccessDenied", ErrorMessage: "no", ReadOnly: true,
		Resources: []trail.Resource{{ARN: "arn:aws:kms:us-east-1:123456789012:key/abc", Account: "123456789012", Type: "AWS::KMS::Key"}},
		EventType: "AwsApiCall", EventCategory: "Management", ManagementEvent: true,
		TLS: trail.TLS{Version: "TLSv1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", Host: "kms.us-east-1.amazonaws.com"},
	}
}

// minute is a small record, i minutes after noon.
func minute(i int) *trail.Record {
	return &trail.Record{EventTime: noon.Add(time.Duration(i) * time.Minute), EventSource: "s3.amazonaws.com",
		EventName: fmt.Sprintf("Event%d", i), Account: "123456789012", ReadOnly: i%2 == 0,
		UserIdentity: trail.UserIdentity{Type: "IAMUser", UserName: []string{"ada", "bob", "cy"}[i%3]}}
}

func add(t testing.TB, s *store.Store, tr *trail.Trail, rs ...*trail.Record) {
	t.Helper()
	must(t, s.Update(t.Context(), func(tx *store.Tx) error { return tr.Append(tx, rs...) }))
}

func eventNames(p trail.Page) []string {
	names := []string{}
	for _, e := range p.Entries {
		names = append(names, e.Record.EventName)
	}
	return names
}

func TestTrail(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		for name, test := range map[string]func(*testing.T, *store.Store){
			"FindsWhatJustHappened": findsWhatJustHappened,
			"NoChangeNoRecord":      noChangeNoRecord,
			"FindsByEverything":     findsByEverything,
			"Pages":                 pages,
			"AccountsApart":         accountsApart,
			"HostileStrings":        hostileStrings,
			"Refuses":               refuses,
			"SealsAfterRestart":     sealsAfterRestart,
			"RefusesAnotherKey":     refusesAnotherKey,
			"TwoCopies":             twoCopies,
			"Follows":               follows,
			"Tampering":             tampering,
		} {
			t.Run(name, func(t *testing.T) { test(t, open(t)) })
		}
	})
}

func findsWhatJustHappened(t *testing.T, s *store.Store) {
	tr := newTrail(t, s, newSigner(t))
	add(t, s, tr, full())
	p, err := tr.Find(t.Context(), trail.Query{Account: "123456789012"})
	must(t, err)
	if len(p.Entries) != 1 || p.NextToken != "" {
		t.Fatalf("found %d records, token %q", len(p.Entries), p.NextToken)
	}
	if diff := cmp.Diff(full(), p.Entries[0].Record); diff != "" {
		t.Error(diff)
	}
	must(t, tr.Verify(t.Context()))
}

func noChangeNoRecord(t *testing.T, s *store.Store) {
	tr := newTrail(t, s, newSigner(t))
	refused := errors.New("refused")
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		must(t, tr.Append(tx, full()))
		return refused
	})
	if !errors.Is(err, refused) {
		t.Fatal(err)
	}
	p, err := tr.Find(t.Context(), trail.Query{Account: "123456789012"})
	must(t, err)
	if len(p.Entries) != 0 {
		t.Error("a change that failed left a record")
	}
}

func findsByEverything(t *testing.T, s *store.Store) {
	tr := newTrail(t, s, newSigner(t))
	add(t, s, tr, full())
	for i := range 10 {
		add(t, s, tr, minute(i))
	}
	yes, no := true, false
	for _, c := range []struct {
		query trail.Query
		want  int
	}{
		{trail.Query{}, 11},
		{trail.Query{EventID: full().EventID}, 1},
		{trail.Query{EventID: "another"}, 0},
		{trail.Query{EventName: "Event3"}, 1},
		{trail.Query{EventSource: "s3.amazonaws.com"}, 10},
		{trail.Query{Username: "ada"}, 4},
		{trail.Query{Username: "job-1"}, 1},
		{trail.Query{ResourceName: "abc"}, 1},
		{trail.Query{ResourceName: "arn:aws:kms:us-east-1:123456789012:key/abc"}, 1},
		{trail.Query{ResourceName: "ab"}, 0},
		{trail.Query{ResourceType: "AWS::KMS::Key"}, 1},
		{trail.Query{AccessKeyID: "ASIAEXAMPLE"}, 1},
		{trail.Query{ReadOnly: &yes}, 6},
		{trail.Query{ReadOnly: &no}, 5},
		{trail.Query{Person: "user-ada"}, 1},
		{trail.Query{ErrorsOnly: true}, 1},
		{trail.Query{Username: "ada", ReadOnly: &no}, 2},
		{trail.Query{Username: "ada", EventName: "Event4"}, 0},
		{trail.Query{Start: noon.Add(2 * time.Minute), End: noon.Add(4 * time.Minute)}, 3},
		{trail.Query{Start: noon.Add(time.Hour)}, 0},
	} {
		c.query.Account = "123456789012"
		p, err := tr.Find(t.Context(), c.query)
		must(t, err)
		if len(p.Entries) != c.want || p.NextToken != "" {
			t.Errorf("%+v found %q, want %d", c.query, eventNames(p), c.want)
		}
	}
}

func pages(t *testing.T, s *store.Store) {
	tr := newTrail(t, s, newSigner(t))
	var want []string
	for i := range 17 {
		add(t, s, tr, minute(i), minute(i)) // two of the same time
		want = append(want, fmt.Sprintf("Event%d", i), fmt.Sprintf("Event%d", i))
	}
	slices.Reverse(want)
	q := trail.Query{Account: "123456789012", Limit: 3}
	var got []string
	for {
		p, err := tr.Find(t.Context(), q)
		must(t, err)
		got = append(got, eventNames(p)...)
		if p.NextToken == "" {
			break
		}
		other := q
		other.Token, other.Username = p.NextToken, "ada"
		if _, err := tr.Find(t.Context(), other); !errors.Is(err, trail.ErrToken) {
			t.Errorf("another query's token: %v", err)
		}
		q.Token = p.NextToken
	}
	if !slices.Equal(got, want) {
		t.Errorf("paged through %q", got)
	}
	for _, token := range []string{"x", "AAAA", strings.Repeat("A", 43)} {
		q.Token = token
		if _, err := tr.Find(t.Context(), q); !errors.Is(err, trail.ErrToken) {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

func accountsApart(t *testing.T, s *store.Store) {
	tr := newTrail(t, s, newSigner(t))
	other := full()
	other.Account, other.EventID = "210987654321", ""
	add(t, s, tr, full(), other)
	for _, q := range []trail.Query{{}, {Username: "job-1"}, {ResourceName: "abc"}} {
		q.Account = "210987654321"
		p, err := tr.Find(t.Context(), q)
		must(t, err)
		if len(p.Entries) != 1 || p.Entries[0].Record.Account != q.Account {
			t.Errorf("%+v found %d records", q, len(p.Entries))
		}
	}
	if _, err := tr.Find(t.Context(), trail.Query{}); !errors.Is(err, trail.ErrQuery) {
		t.Errorf("a query of no account: %v", err)
	}
}

func hostileStrings(t *testing.T, s *store.Store) {
	tr := newTrail(t, s, newSigner(t))
	long := strings.Repeat("é", 1<<20)
	r := minute(1)
	r.UserAgent, r.ErrorMessage, r.UserIdentity.UserName = long, "a\x00b\xff\n\u2028\"", "x\x00"+long
	r.Resources = []trail.Resource{{ARN: "arn:aws:s3:::" + long}}
	r.RequestParameters = jsontext.Value(`{"a":"` + long + `","b":"stays"}`)
	r.AdditionalEventData = jsontext.Value("{" + shortMembers(20_000) + "}")
	add(t, s, tr, r)
	p, err := tr.Find(t.Context(), trail.Query{Account: "123456789012"})
	must(t, err)
	if len(p.Entries) != 1 {
		t.Fatalf("found %d", len(p.Entries))
	}
	if n := len(p.Entries[0].Event); n > 8<<10 {
		t.Errorf("the record takes %d bytes", n)
	}
	if got := p.Entries[0].Record; !strings.HasSuffix(got.UserAgent, "é…") || len(got.UserAgent) > 1024 ||
		got.ErrorMessage != "a\uFFFDb\uFFFD\n\u2028\"" ||
		string(got.RequestParameters) != `{"a":{"omitted":true,"originalSize":2097154,"reason":"too long"},"b":"stays"}` ||
		string(got.AdditionalEventData) != `{"omitted":true,"originalSize":188891,"reason":"too long"}` {
		t.Errorf("stored as %.100q %q %s %s", got.UserAgent, got.ErrorMessage, got.RequestParameters, got.AdditionalEventData)
	}
	must(t, tr.Verify(t.Context()))
}

func shortMembers(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf("%q:1", fmt.Sprint(i))
	}
	return strings.Join(members, ",")
}

func refuses(t *testing.T, s *store.Store) {
	tr := newTrail(t, s, newSigner(t))
	for what, spoil := range map[string]func(*trail.Record){
		"no account":        func(r *trail.Record) { r.Account = "" },
		"no name":           func(r *trail.Record) { r.EventName = "" },
		"not JSON":          func(r *trail.Record) { r.RequestParameters = jsontext.Value(`{"a":`) },
		"not an object":     func(r *trail.Record) { r.ResponseElements = jsontext.Value(`[1]`) },
		"two values":        func(r *trail.Record) { r.AdditionalEventData = jsontext.Value(`{} {}`) },
		"duplicate members": func(r *trail.Record) { r.RequestParameters = jsontext.Value(`{"a":1,"a":2}`) },
		"many resources":    func(r *trail.Record) { r.Resources = make([]trail.Resource, 1000) },
	} {
		r := full()
		spoil(r)
		if err := s.Update(t.Context(), func(tx *store.Tx) error { return tr.Append(tx, r) }); err == nil {
			t.Errorf("%s: appended", what)
		}
	}
	if _, err := trail.New(s, ledger.Signer{}, trail.Options{}); err == nil {
		t.Error("a trail without a signer")
	}
}

func sealsAfterRestart(t *testing.T, s *store.Store) {
	signer := newSigner(t)
	tr := newTrail(t, s, signer)
	for i := range 300 {
		add(t, s, tr, minute(i))
		if i == 20 {
			must(t, tr.Seal(t.Context()))
		}
	}
	again := newTrail(t, s, signer)
	must(t, again.Seal(t.Context()))
	must(t, again.Verify(t.Context()))
	signed, err := again.Checkpoint(t.Context())
	must(t, err)
	v, err := signer.Verifier()
	must(t, err)
	if c, err := v.Open(signed); err != nil || c.Size != 300 {
		t.Errorf("checkpoint %+v, %v", c, err)
	}
}

func refusesAnotherKey(t *testing.T, s *store.Store) {
	tr := newTrail(t, s, newSigner(t))
	add(t, s, tr, minute(1))
	must(t, tr.Seal(t.Context()))
	other := newTrail(t, s, newSigner(t))
	add(t, s, other, minute(2))
	if err := other.Seal(t.Context()); !errors.Is(err, ledger.ErrCheckpoint) {
		t.Errorf("another key continued the log: %v", err)
	}
}

// twoCopies has two trails on one database append and seal at once.
func twoCopies(t *testing.T, s *store.Store) {
	signer := newSigner(t)
	a, b := newTrail(t, s, signer), newTrail(t, s, signer)
	var wg sync.WaitGroup
	for i, tr := range []*trail.Trail{a, b, a, b} {
		wg.Go(func() {
			for j := range 10 {
				if err := s.Update(t.Context(), func(tx *store.Tx) error { return tr.Append(tx, minute(i*10+j)) }); err != nil {
					t.Error(err)
				}
				if err := tr.Seal(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, a.Verify(t.Context()))
	p, err := b.Find(t.Context(), trail.Query{Account: "123456789012"})
	must(t, err)
	if len(p.Entries) != 40 {
		t.Errorf("found %d of 40", len(p.Entries))
	}
}

func follows(t *testing.T, s *store.Store) {
	tr := newTrail(t, s, newSigner(t))
	for i := range 5 {
		add(t, s, tr, minute(i))
	}
	ctx, stop := context.WithCancel(t.Context())
	running := make(chan error, 1)
	go func() { running <- tr.Run(ctx) }()
	done := errors.New("done")
	var got []string
	var last int64
	for _, until := range []string{"Event3", "Event6"} {
		err := tr.Follow(ctx, last, func(e trail.Entry) error {
			got, last = append(got, e.Record.EventName), e.Seq
			if e.Record.EventName == "Event4" {
				add(t, s, tr, minute(5), minute(6)) // while it follows
			}
			if e.Record.EventName == until {
				return done
			}
			return nil
		})
		if !errors.Is(err, done) {
			t.Fatal(err)
		}
	}
	stop()
	must(t, <-running)
	if want := []string{"Event0", "Event1", "Event2", "Event3", "Event4", "Event5", "Event6"}; !slices.Equal(got, want) {
		t.Errorf("followed %q", got)
	}
}
