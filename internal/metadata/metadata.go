// Package metadata is the container credentials endpoint: what a workload's SDK
// finds at 169.254.170.2 under AWS_CONTAINER_CREDENTIALS_RELATIVE_URI. It hands a
// workload short-lived credentials of its execution role, and nobody else anything.
//
// It trusts the listener that it is served on: opened inside one VPC's namespace,
// where a connection's remote address is that of the interface that made it and
// cannot be forged. A workload is told by that address and by an unguessable token
// in the path, both of which must be its own. Nothing that a request says about
// itself is believed: no header names a caller.
//
// Whoever controls a workload can get that workload's credentials, as often as the
// rate allows, and learn nothing about other workloads, not even that they exist:
// every other request gets the same refusal. Whoever makes a workload's program
// fetch a URL of his choice must know its token, and a request that came through a
// proxy or under another host's name is refused.
//
// Every call asks the [Minter] again, so that a person or role that was removed
// gets nothing from the next call on.
package metadata

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/netlimit"
)

// Prefix begins the path; a token follows.
const Prefix = "/v2/credentials/"

// MaxLife is the longest that credentials may live.
const MaxLife = time.Hour

// Connections bounds what may be open at once at the endpoint of one VPC.
var Connections = netlimit.Limits{PerSource: 32, Total: 1024}

// Credentials are those of a workload's execution role.
type Credentials struct {
	RoleARN         string
	AccessKeyID     string
	SecretAccessKey string
	Token           string
	Expiration      time.Time // at most [MaxLife] from now
}

// Minter makes credentials for a workload, after it has checked anew that its role,
// account and person may have them; [ErrDenied] when they may not (any more).
type Minter interface {
	Mint(ctx context.Context, workloadID string) (Credentials, error)
}

// Workload is one that may ask.
type Workload struct {
	ID string
	// Token is what [Hash] makes of the token in its path.
	Token [sha256.Size]byte
}

// Directory knows the workloads.
type Directory interface {
	// At returns the running workload that has an interface with this address in a
	// VPC, or [ErrUnknown].
	At(ctx context.Context, vpcID string, address netip.Addr) (Workload, error)
}

// Failures that implementations report.
var (
	ErrDenied  = errors.New("metadata: the workload may not have credentials")
	ErrUnknown = errors.New("metadata: no workload has this address")
)

// NewToken returns a fresh token, 260 random bits, for a workload's path.
func NewToken() string { return strings.ToLower(rand.Text() + rand.Text()) }

// Hash is what is kept of a token.
func Hash(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// Path is the value of AWS_CONTAINER_CREDENTIALS_RELATIVE_URI.
func Path(token string) string { return Prefix + token }

// Config is what a Handler works with. All fields are required.
type Config struct {
	VPC       string // whose namespace it is served in
	Directory Directory
	Minter    Minter
	Log       *slog.Logger // hears failures; no token or key
}

// Handler answers the workloads of one VPC. Serve it with [Server].
type Handler struct {
	config Config
	limit  *limiter
}

// New returns a Handler.
func New(c Config) (*Handler, error) {
	if c.VPC == "" || c.Directory == nil || c.Minter == nil || c.Log == nil {
		return nil, errors.New("metadata: want a VPC, a directory, a minter and a log")
	}
	return &Handler{c, newLimiter()}, nil
}

// Server returns an HTTP server around a Handler whose bounds fit it.
func Server(h *Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(h.config.Log.Handler(), slog.LevelDebug),
	}
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		refuse(w, http.StatusForbidden)
		return
	}
	from := remote.Addr().Unmap()
	// Before anything is looked up or compared: guessing is slow.
	if !h.limit.allow(from, time.Now()) {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests)
		return
	}
	token, ok := asked(r)
	if !ok {
		refuse(w, http.StatusNotFound)
		return
	}
	workload, err := h.config.Directory.At(r.Context(), h.config.VPC, from)
	hash := Hash(token)
	switch {
	case errors.Is(err, ErrUnknown) || err == nil && subtle.ConstantTimeCompare(hash[:], workload.Token[:]) != 1:
		refuse(w, http.StatusNotFound)
		return
	case err != nil:
		h.fail(w, "finding a workload", err)
		return
	}
	c, err := h.config.Minter.Mint(r.Context(), workload.ID)
	if errors.Is(err, ErrDenied) {
		refuse(w, http.StatusForbidden)
		return
	}
	if err == nil {
		err = c.check(time.Now())
	}
	if err != nil {
		h.fail(w, "minting credentials for "+workload.ID, err)
		return
	}
	answer(w, c)
}

func (h *Handler) fail(w http.ResponseWriter, what string, err error) {
	h.config.Log.Error(what, "vpc", h.config.VPC, "error", err)
	refuse(w, http.StatusInternalServerError)
}

// The names under which the endpoint is asked for. Another one would be a page in
// somebody's browser that had its own name lead here.
var names = [...]string{"169.254.170.2", "169.254.170.2:80"}

// asked returns the token that a request is about, if it is of the one form that
// SDKs send. The raw target is looked at, so that no cleaning or decoding makes
// one path of two.
func asked(r *http.Request) (token string, ok bool) {
	token, ok = strings.CutPrefix(r.RequestURI, Prefix)
	named := r.Host == names[0] || r.Host == names[1]
	forwarded := r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" || r.Header.Get("Via") != ""
	return token, ok && named && !forwarded && r.Method == http.MethodGet && r.ContentLength == 0 && token != "" && len(token) <= 128
}

// check refuses credentials that outlive the promise, or are none.
func (c Credentials) check(now time.Time) error {
	switch {
	case c.RoleARN == "" || c.AccessKeyID == "" || c.SecretAccessKey == "" || c.Token == "":
		return errors.New("metadata: the credentials are not whole")
	case !c.Expiration.After(now) || c.Expiration.After(now.Add(MaxLife)):
		return errors.New("metadata: the credentials live too long, or no more")
	}
	return nil
}

// answer writes what AWS's endpoint does: see "IAM roles for tasks" in the Amazon
// ECS developer guide.
func answer(w http.ResponseWriter, c Credentials) {
	body, err := json.Marshal(struct {
		RoleArn, AccessKeyId, SecretAccessKey, Token, Expiration string
	}{c.RoleARN, c.AccessKeyID, c.SecretAccessKey, c.Token, c.Expiration.UTC().Format(time.RFC3339)})
	if err != nil {
		refuse(w, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body) // who hung up does not hear it
}

// refuse says no more than a status does.
func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write([]byte(`{"code":"` + http.StatusText(status) + `","message":"no credentials here"}`))
}
