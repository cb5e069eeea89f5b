// Package scim lets an identity provider provision people and groups by SCIM 2.0
// (RFC 7643 and 7644), as Okta and Entra ID speak it.
//
// It is a translator and owns nothing but its tokens: whatever it reads or changes
// of the directory it asks of identitystore through the one door, as the service
// scim.sso.amazonaws.com, whose policy names those operations and no others. Each
// leaves its record, with the id of the token in it. What one request changes may be
// several operations (a group and its members); when one fails, those before it are
// undone as far as they were additions.
//
// It trusts who holds a token with the whole directory, and with nothing else: he
// can bring people in, change and remove them, but can reach no other API. Whoever
// holds none learns that there is such an endpoint; his attempts are recorded and
// bounded. What a token's holder sends is bounded in size, depth and number before
// it is looked at. Ids, times and external ids that other issuers gave are not his
// to set. Requests that change one resource and come to one server take turns, so
// that a precondition (If-Match) holds until the change is made.
package scim

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/api"
	"bawn.dev/internal/cache"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// Principal is the service as whom the directory is asked.
const Principal = "scim.sso.amazonaws.com"

// Prefix is the path below which requests are served.
const Prefix = "/scim/v2"

// maxBody bounds a request's body, and patience how long it may take to come.
const (
	maxBody  = 1 << 20
	patience = 30 * time.Second
)

// A Directory is what is asked of the identity centre beside its API: nothing that
// is anybody's.
type Directory interface {
	ID(q store.Querier) (string, error)
	Count(q store.Querier) (people, groups int, err error)
	// Created is when a user was made; she may be gone since.
	Created(q store.Querier, id string) (time.Time, error)
}

// Config is what a Server is made of. Everything is needed.
type Config struct {
	Store     *store.Store
	Door      *api.Door
	Directory Directory
	Account   string   // management account
	Hosts     []string // names under which it answers
	Now       func() time.Time
	Log       *slog.Logger
}

// A Server answers SCIM requests.
type Server struct {
	Config
	storeID string
	pages   *cache.Cache[pageKey, string]
	turns   [64]sync.Mutex // by resource
	seed    maphash.Seed
}

// New makes a server. The directory must have been made.
func New(ctx context.Context, cfg Config) (*Server, error) {
	sn, err := cfg.Store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	s := &Server{Config: cfg, pages: cache.New[pageKey, string](maxPages, nil), seed: maphash.MakeSeed()}
	s.storeID, err = cfg.Directory.ID(sn)
	return s, err
}

// ServicePolicy says what the service may do: what SCIM is made of.
func ServicePolicy() []policy.Doc {
	p, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[
		"identitystore:CreateUser","identitystore:DescribeUser","identitystore:UpdateUser","identitystore:DeleteUser","identitystore:ListUsers","identitystore:GetUserId",
		"identitystore:CreateGroup","identitystore:DescribeGroup","identitystore:UpdateGroup","identitystore:DeleteGroup","identitystore:ListGroups","identitystore:GetGroupId",
		"identitystore:CreateGroupMembership","identitystore:DeleteGroupMembership","identitystore:GetGroupMembershipId",
		"identitystore:ListGroupMemberships","identitystore:ListGroupMembershipsForMember"],
		"Resource":["arn:aws:identitystore::*:identitystore/*","arn:aws:identitystore:::user/*","arn:aws:identitystore:::group/*","arn:aws:identitystore:::membership/*"]}]}`), policy.Identity)
	if err != nil {
		return nil // and the service may do nothing; a test reads it
	}
	return []policy.Doc{{Name: "service policy of " + Principal, Policy: p}}
}

// Wants says whether a request is SCIM's. A bucket may be called scim: who signs
// his request as AWS's clients do asks for that.
func Wants(r *http.Request) bool {
	if r.URL.Path != Prefix && !strings.HasPrefix(r.URL.Path, Prefix+"/") {
		return false
	}
	return !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-") && !r.URL.Query().Has("X-Amz-Algorithm")
}

// A request is one on its way through the server.
type request struct {
	*http.Request
	ctx  context.Context
	call *api.Call // as the service, for the token's holder
	by   string    // id of the token
	base string    // of locations
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	ctx := context.WithoutCancel(hr.Context()) // who hangs up must not lose the record
	w.Header().Set("Cache-Control", "no-store")
	host, _, err := net.SplitHostPort(hr.Host)
	if err != nil {
		host = hr.Host
	}
	if !s.answersTo(host) {
		s.fail(w, faultf(http.StatusMisdirectedRequest, "", "This server does not answer to that name."))
		return
	}
	origin := &api.Origin{TLS: hr.TLS != nil}
	origin.SourceIP, _, _ = net.SplitHostPort(hr.RemoteAddr)
	text, _ := strings.CutPrefix(hr.Header.Get("Authorization"), "Bearer ")
	id, err := s.verify(ctx, text, s.Now())
	if errors.Is(err, errToken) {
		s.turnAway(ctx, w, hr, origin)
		return
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	r := &request{Request: hr, ctx: ctx, by: id, base: "http://" + hr.Host + Prefix}
	if origin.TLS {
		r.base = "https://" + hr.Host + Prefix
	}
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.fail(w, err)
		return
	}
	hr.Body = http.MaxBytesReader(w, hr.Body, maxBody)
	r.call, err = s.Door.BeginAt(ctx, api.Claim{Kind: api.KindService, ID: Principal, Account: s.Account, AccessKeyID: id}, "", origin)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.route(w, r)
}

func (s *Server) answersTo(host string) bool {
	for _, h := range s.Hosts {
		if strings.EqualFold(h, strings.Trim(host, "[]")) {
			return true
		}
	}
	return false
}

// turnAway refuses who brings no valid token.
func (s *Server) turnAway(ctx context.Context, w http.ResponseWriter, hr *http.Request, origin *api.Origin) {
	ok, err := s.Door.TurnedAway(ctx, api.Stranger{Service: Principal, Name: "Authenticate", Agent: hr.UserAgent(), Origin: origin, Reason: errToken.Error()})
	switch {
	case err != nil:
		s.fail(w, err)
	case !ok:
		s.fail(w, faultf(http.StatusTooManyRequests, "", "Too many requests without a valid token."))
	default:
		w.Header().Set("WWW-Authenticate", `Bearer realm="scim"`)
		s.fail(w, faultf(http.StatusUnauthorized, "", "The bearer token is missing or not valid."))
	}
}

// body reads a request's body as an object.
func (r *request) body() (object, error) {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "application/scim+json", "application/json":
	default:
		return nil, faultf(http.StatusUnsupportedMediaType, "", "The body is application/scim+json.")
	}
	var o object
	err := json.UnmarshalRead(r.Body, &o)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, faultf(http.StatusRequestEntityTooLarge, "", "The body is longer than %d bytes.", maxBody)
	}
	if err != nil || o == nil {
		return nil, badSyntax("The body is not a JSON object, or says something twice.")
	}
	return o, nil
}

// fail answers an error.
func (s *Server) fail(w http.ResponseWriter, err error) {
	f := asFault(err)
	if f == nil {
		s.Log.Error("a SCIM request failed", "err", err)
		f = faultf(http.StatusInternalServerError, "", "An internal error occurred. The log has it.")
	}
	s.answer(w, f.status, f.body())
}

// answer writes an object; nil is no body.
func (s *Server) answer(w http.ResponseWriter, status int, o object) {
	if o == nil {
		w.WriteHeader(status)
		return
	}
	if meta, ok := o["meta"].(object); ok && meta["version"] != nil {
		w.Header().Set("ETag", meta["version"].(string))
		if status == http.StatusCreated {
			w.Header().Set("Location", meta["location"].(string))
		}
	}
	raw, err := json.Marshal(o, json.Deterministic(true), jsontext.EscapeForHTML(true))
	if err != nil {
		s.Log.Error("a SCIM answer cannot be written", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/scim+json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // a client that went away has no use for the rest
}

// turn waits for the requests before that change a resource.
func (s *Server) turn(id string) func() {
	m := &s.turns[maphash.String(s.seed, id)%uint64(len(s.turns))]
	m.Lock()
	return m.Unlock
}
