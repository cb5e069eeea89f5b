// Package studio is the web pages: where people sign in, see what was assigned to
// them, fetch credentials, approve devices, and look after what they prove themselves
// with.
//
// A page can do nothing of its own. Whatever it shows or changes it asks of the
// sign-in API and the portal's API, which prove the caller by the secret in the
// browser's cookie, decide, and record. Pages work without script; script is for
// passkeys and for copying.
//
// It trusts the names of this server in its configuration, and a browser to keep the
// rules that the headers state. Whoever sends requests without a browser gets what the
// API would give him. A page elsewhere can lead a browser here and can neither post
// forms in a person's name, nor frame or read a page, nor plant a cookie, nor be where
// a sign-in leads to. Names that others chose are text wherever they are shown. What is
// stored in a bucket, though it may have this origin, cannot be a page's script.
package studio

import (
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
)

const (
	// maxForm bounds what a form may send, and patience how long it may take.
	maxForm  = 96 << 10
	patience = 30 * time.Second
)

// Config is what the pages are made of. All of it up to Log is needed.
type Config struct {
	Door   *api.Door
	Hosts  []string // the names and addresses under which pages are served
	Region string
	Log    *slog.Logger
	// Leave sends a browser to an external identity provider; nil where there is none.
	Leave func(w http.ResponseWriter, r *http.Request, to Departure)
}

// A Departure is a sign-in that goes on at an external identity provider.
type Departure struct {
	Provider string // its id
	Flow     string // sealed; what the provider's answer goes on with
	Binding  string // of the flow to this browser
	Next     string // where the sign-in leads to, on this server
}

// A Studio serves the pages.
type Studio struct {
	Config
	mux   *http.ServeMux
	pages map[string]*template.Template
	cross *http.CrossOriginProtection
}

//go:embed pages assets
var files embed.FS

// New makes the pages.
func New(cfg Config) (*Studio, error) {
	if cfg.Door == nil || cfg.Region == "" || cfg.Log == nil || len(cfg.Hosts) == 0 {
		return nil, errors.New("studio: door, hosts, region and log are all needed")
	}
	s := &Studio{Config: cfg, mux: http.NewServeMux(), pages: map[string]*template.Template{}, cross: http.NewCrossOriginProtection()}
	if err := s.parse(); err != nil {
		return nil, err
	}
	s.cross.SetDenyHandler(http.HandlerFunc(s.foreign))
	for pattern, do := range map[string]func(*visit) error{
		"GET /start":                          s.accounts,
		"GET /start/{$}":                      s.accounts,
		"POST /start/credentials":             s.credentials,
		"GET /start/signin":                   s.name,
		"POST /start/signin":                  s.begin,
		"POST /start/signin/proof":            s.proof,
		"POST /start/signout":                 s.signOut,
		"GET /start/security":                 s.security,
		"POST /start/security/rename":         s.renameDevice,
		"POST /start/security/remove":         s.removeDevice,
		"POST /start/security/app":            s.beginApp,
		"POST /start/security/app/finish":     s.finishApp,
		"POST /start/security/passkey":        s.beginPasskey,
		"POST /start/security/passkey/finish": s.finishPasskey,
		"POST /start/security/codes":          s.newCodes,
		"GET /start/password":                 s.password,
		"POST /start/password":                s.changePassword,
		"GET /start/sessions":                 s.sessions,
		"POST /start/sessions/end":            s.endSession,
		"POST /start/sessions/end-all":        s.endAll,
		"GET /device":                         s.device,
		"POST /device":                        s.decideDevice,
		"GET /authorize":                      s.authorize,
		"POST /authorize":                     s.decideAuthorize,
		"GET /start/":                         s.nowhere,
		"GET " + assets + "{name}":            s.asset,
	} {
		s.mux.Handle(pattern, s.page(do))
	}
	return s, nil
}

// assets is where scripts and styles lie. No bucket has such a name, so that no stored
// object can pass for one of them.
const assets = "/_assets/"

// Wants says whether a request is for a page. It is not when it was signed as AWS's
// clients sign: a bucket may be called start. Nor is it under a name that is not this
// server's own: who leads a browser here by a name of his gets no page.
func (s *Studio) Wants(r *http.Request) bool {
	path := r.URL.Path
	if path != "/start" && !strings.HasPrefix(path, "/start/") && !strings.HasPrefix(path, assets) && path != "/device" && path != "/authorize" {
		return false
	}
	if r.Header.Get("Authorization") != "" || !slices.Contains(s.Hosts, hostname(r.Host)) {
		return false
	}
	for name := range r.URL.Query() {
		if strings.HasPrefix(strings.ToLower(name), "x-amz-") {
			return false
		}
	}
	return true
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// ServeHTTP implements http.Handler, for the requests that it Wants.
func (s *Studio) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guard(w.Header(), r)
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.Log.Error("a page cannot bound how long a form takes", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s.cross.Handler(s.mux).ServeHTTP(w, r)
}
