package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/arn"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/cache"
	"bawn.dev/internal/shape"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
	"bawn.dev/internal/wire"
)

// A Service is one API: its model and the operations that are served of it.
type Service struct {
	Model *shape.Service
	// Prefix is what its actions and records begin with: "s3", "sso".
	Prefix     string
	Operations []Operation
	Resolver   Resolver // may be nil
	// Sharing says which pages of other sites may see its answers; nil: none.
	Sharing Sharing
}

// Principal is the service's name as a principal: "kms.amazonaws.com".
func (s *Service) Principal() string { return s.Prefix + ".amazonaws.com" }

// Credentials finds what an access key id and session token stand for, and the
// secret that signs for them. An unknown or disabled one is ErrGone; an expired
// one ErrExpired, and the claim then says whose it was, if that is known.
type Credentials interface {
	Credential(ctx context.Context, sn *store.Snapshot, accessKeyID, token string, now time.Time) (secret string, claim Claim, err error)
}

// ErrExpired says that a session token was good once.
var ErrExpired = errors.New("the security token included in the request is expired")

// Recorder makes records durable: with a change, or by themselves. *trail.Trail is it.
type Recorder interface {
	Append(tx *store.Tx, rs ...*trail.Record) error
	Write(ctx context.Context, rs ...*trail.Record) error
}

// Config is what a Door is made of. Everything is needed but Log.
type Config struct {
	Store      *store.Store
	Trail      Recorder
	Authorizer *authz.Authorizer
	// Credentials by the first four letters of the access key id: "AKIA", "ASIA".
	Credentials map[string]Credentials
	Services    []*Service
	Hosts       []string // names under which virtual-host S3 is served, besides AWS's own
	Region      string
	Account     string // in whose trail calls of unknown callers are recorded
	Now         func() time.Time
	Log         *slog.Logger
	// Used, when set, hears of every credential that a call was signed with: its
	// claim, the service called ("s3") and when. It must return at once.
	Used func(claim Claim, service string, now time.Time)
	// Messages, when set, seals what a refusal of EC2's tells whoever may decode it in
	// an account.
	Messages func(account string, plain []byte) (string, error)
}

// A Door leads every call through the pipeline.
type Door struct {
	Config
	router    *wire.Router
	byModel   map[string]*entry // "package.Operation"
	byAction  map[string]*entry // "kms:Decrypt", for Invoke
	resolvers map[string][]Resolver
	limit     limiter // of refusals
	opens     limiter // of open operations
	suites    map[uint16]string
	signing   *cache.Cache[signing, []byte]
}

type entry struct {
	service *Service
	op      *Operation
	model   *shape.Operation
	inside  *wire.Match // for calls without a request
}

// New connects a Door. It refuses an operation that the service's model does not
// know, a served model operation without a handler, and two of the same name.
func New(cfg Config) (*Door, error) {
	if cfg.Store == nil || cfg.Trail == nil || cfg.Authorizer == nil || cfg.Now == nil || cfg.Region == "" || cfg.Account == "" || len(cfg.Credentials) == 0 {
		return nil, errors.New("api: the door needs store, trail, authorizer, credentials, region and clock")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d := &Door{Config: cfg, byModel: map[string]*entry{}, byAction: map[string]*entry{}, resolvers: map[string][]Resolver{}, suites: map[uint16]string{},
		signing: cache.New[signing, []byte](cachedSigning, nil)}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		d.suites[suite.ID] = suite.Name
	}
	var models []*shape.Service
	for _, s := range cfg.Services {
		models = append(models, s.Model)
		if err := d.register(s); err != nil {
			return nil, err
		}
	}
	var err error
	d.router, err = wire.NewRouter(models...)
	if err != nil {
		return nil, err
	}
	d.router = d.router.WithHosts(cfg.Hosts...)
	for _, e := range d.byAction {
		e.inside = d.router.Inside(e.service.Model, e.op.Name)
	}
	return d, nil
}

func (d *Door) register(s *Service) error {
	known := map[string]*shape.Operation{}
	for _, m := range s.Model.Operations {
		known[m.Name] = m
	}
	for i := range s.Operations {
		op := &s.Operations[i]
		m := known[op.Name]
		if m == nil {
			return fmt.Errorf("api: %s has no operation %s", s.Model.Name, op.Name)
		}
		delete(known, op.Name)
		if op.actions == nil {
			op.actions = []string{s.Prefix + ":" + op.Name}
		}
		e := &entry{service: s, op: op, model: m}
		name := s.Prefix + ":" + op.Name
		if d.byAction[name] != nil {
			return fmt.Errorf("api: two operations %s", name)
		}
		d.byAction[name] = e
		d.byModel[s.Model.Package+"."+op.Name] = e
	}
	for name := range known {
		return fmt.Errorf("api: nothing serves %s of %s", name, s.Model.Name)
	}
	if s.Resolver != nil {
		d.resolvers[s.Prefix] = append(d.resolvers[s.Prefix], s.Resolver)
	}
	return nil
}

// foreign asks the owner of an ARN for the resource.
func (d *Door) foreign(ctx context.Context, sn *store.Snapshot, name string) (*Foreign, error) {
	a, err := arn.Parse(name)
	if err != nil {
		return nil, &Error{Code: "ValidationException", Status: 400, Message: fmt.Sprintf("%q is not an ARN", name)}
	}
	for _, resolve := range d.resolvers[a.Service] {
		if r, err := resolve(ctx, sn, name); r != nil || err != nil {
			return r, err
		}
	}
	return nil, &Error{Code: "ValidationException", Status: 400, Message: "nothing here is named " + name}
}

// Entries lists every operation that the door serves, by action.
func (d *Door) Entries() []Entry {
	var out []Entry
	for name, e := range d.byAction {
		out = append(out, Entry{
			Name: name, Service: e.service, Model: e.model, Actions: e.op.actions,
			ReadOnly: e.op.ReadOnly(), Undeniable: e.op.undeniable,
			Open: e.op.credential.kind == open, NewInput: e.op.newInput,
		})
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// An Entry describes a served operation, for documentation and for the tests
// that run over all of them.
type Entry struct {
	Name       string // "kms:Decrypt"
	Service    *Service
	Model      *shape.Operation
	Actions    []string
	ReadOnly   bool
	Undeniable string
	Open       bool
	NewInput   func() any
}
