// Package apitest is a Door to test services behind: real store, trail and
// pipeline over a loopback listener, and callers that sign their requests. Only
// the principals are made up here, in memory, where a deployment has IAM.
package apitest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/ledger"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// The accounts and the region of every rig.
const (
	Account = "123456789012"
	Other   = "210987654321"
	Region  = "us-east-1"
)

// A Rig is a running Door.
type Rig struct {
	Store *store.Store
	Trail *trail.Trail
	Door  *api.Door
	URL   string
	Dir   string // of the database; below it nothing may hold plaintext

	mu       sync.Mutex
	entities map[string]*api.Entity
	next     int // of the ids
	keys     map[string]key
	gone     map[string]bool // people
	services map[string][]policy.Doc
	ahead    time.Duration // of the machine's clock
	stopped  time.Time
}

type key struct {
	secret string
	claim  api.Claim
}

// Options change what a rig is made of.
type Options struct {
	Migrations  [][]store.Migration
	Credentials map[string]api.Credentials // besides AKIA, which the rig serves
	Principals  authz.Principals           // instead of the rig's own
	Contribute  func(*authz.Sources)
	Used        func(api.Claim, string, time.Time)
}

// NewStore opens a store and trail for a rig. Services that need the store before
// the Door is made get it here.
func NewStore(t testing.TB) (*store.Store, string) {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(context.Background(), store.Config{Path: filepath.Join(dir, "bawn.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st, dir
}

// New starts a rig over the given services.
func New(t testing.TB, opt Options, services ...*api.Service) *Rig {
	t.Helper()
	st, dir := NewStore(t)
	return Over(t, st, dir, opt, services...)
}

// Over starts a rig over a store.
func Over(t testing.TB, st *store.Store, dir string, opt Options, services ...*api.Service) *Rig {
	t.Helper()
	ctx := context.Background()
	for _, m := range opt.Migrations {
		if err := st.Migrate(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.NewSigner("bawn.test/log", private)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := trail.New(st, signer, trail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &Rig{
		Store: st, Trail: tr, Dir: dir,
		entities: map[string]*api.Entity{}, keys: map[string]key{}, gone: map[string]bool{}, services: map[string][]policy.Doc{},
	}
	sources := authz.Sources{Principals: r, Organization: r, Directory: r, ServicePolicies: r}
	if opt.Principals != nil {
		sources.Principals = opt.Principals
	} else {
		services = append(slices.Clone(services), r.principals())
	}
	if opt.Contribute != nil {
		opt.Contribute(&sources)
	}
	authorizer, err := authz.New(sources)
	if err != nil {
		t.Fatal(err)
	}
	credentials := map[string]api.Credentials{"AKIA": r}
	for prefix, source := range opt.Credentials {
		credentials[prefix] = source
	}
	r.Door, err = api.New(api.Config{
		Store: st, Trail: tr, Authorizer: authorizer, Credentials: credentials, Services: services,
		Region: Region, Account: Account, Now: r.Now, Used: opt.Used,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(r.Door.Handler(api.Origin{}))
	t.Cleanup(srv.Close)
	r.URL = srv.URL
	return r
}

// Now is the rig's clock: the machine's, moved by Advance.
func (r *Rig) Now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stopped.IsZero() {
		return r.stopped.Add(r.ahead)
	}
	return time.Now().Add(r.ahead)
}

// Stop stops the rig's clock, which then only Advance moves: for what counts calls in
// a time, and must not depend on how long they take here.
func (r *Rig) Stop() {
	now := r.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped, r.ahead = now, 0
}

// Advance moves the rig's clock.
func (r *Rig) Advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ahead += d
}

// Admin allows everything.
const Admin = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// User makes a user with identity policies and an access key.
func (r *Rig) User(t testing.TB, account, name string, policies ...string) *Caller {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	n := r.next
	e := &api.Entity{
		Kind: api.KindUser, ID: fmt.Sprintf("AIDATEST%012d", n), Name: name, Account: account,
		ARN: "arn:aws:iam::" + account + ":user/" + name, Created: time.Now(),
	}
	for i, text := range policies {
		p, err := policy.Parse([]byte(text), policy.Identity)
		if err != nil {
			t.Fatal(err)
		}
		e.Policies = append(e.Policies, policy.Doc{Name: fmt.Sprintf("policy %d of %s", i, name), Policy: p})
	}
	r.entities[e.ID] = e
	c := &Caller{rig: r, Entity: e, AccessKeyID: fmt.Sprintf("AKIATEST%012d", n), Secret: rand.Text()}
	r.keys[c.AccessKeyID] = key{c.Secret, api.Claim{Kind: api.KindUser, Account: account, ID: e.ID, Issued: time.Now()}}
	return c
}

// Principal implements authz.Principals.
func (r *Rig) Principal(_ context.Context, _ *store.Snapshot, id string) (*api.Entity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entities[id]; e != nil {
		return e, nil
	}
	return nil, api.ErrGone
}

// Credential implements api.Credentials.
func (r *Rig) Credential(_ context.Context, _ *store.Snapshot, id, token string, _ time.Time) (string, api.Claim, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.keys[id]
	if !ok || token != "" {
		return "", api.Claim{}, api.ErrGone
	}
	return k.secret, k.claim, nil
}

// RemoveKey makes an access key unknown from now on.
func (r *Rig) RemoveKey(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.keys, id)
}

// Account implements authz.Organization: two accounts of one organization.
func (r *Rig) Account(_ context.Context, _ *store.Snapshot, id string) (*api.Account, error) {
	if id != Account && id != Other {
		return nil, api.ErrGone
	}
	return &api.Account{ID: id, Active: true, Management: id == Account, OrgID: "o-testtest12", OrgPath: "o-testtest12/r-test/"}, nil
}

// Present implements authz.Directory.
func (r *Rig) Present(_ context.Context, _ *store.Snapshot, p *api.Person) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone[p.UserID] {
		return api.ErrGone
	}
	return nil
}

// RemovePerson makes a person unknown from now on.
func (r *Rig) RemovePerson(userID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone[userID] = true
}

// ServicePolicy implements authz.ServicePolicies.
func (r *Rig) ServicePolicy(principal string) []policy.Doc { return r.services[principal] }

// AllowService says what a service may do on its own.
func (r *Rig) AllowService(t testing.TB, principal, text string) {
	t.Helper()
	p, err := policy.Parse([]byte(text), policy.Identity)
	if err != nil {
		t.Fatal(err)
	}
	r.services[principal] = []policy.Doc{{Name: "service policy of " + principal, Policy: p}}
}
