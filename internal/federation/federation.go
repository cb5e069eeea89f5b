// Package federation is the addresses at which browsers come back from external
// identity providers, and those of Bawn as an OpenID provider for applications.
//
// It decides nothing: each request becomes one operation of the sign-in API, as its
// sender could call it, which decides and records. It trusts the names of this server
// in its configuration. Whoever sends requests gets what the API would give him; a
// page elsewhere can lead a browser here, and what it brings is used in the browser in
// which it began or nowhere; pages show text of others as text, load nothing, and
// cannot be framed.
package federation

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/signin"
)

// Web serves the addresses. All of it up to Log is needed.
type Web struct {
	Door    *api.Door
	Origins func() []string // this server's addresses, as "https://bawn.example.org:4680"
	// Session is the secret of the browser's sign-in; empty for none.
	Session func(r *http.Request) string
	// Binding is what the browser's flows are bound to.
	Binding func(w http.ResponseWriter, r *http.Request) string
	// SignIn is the address at which a person signs in and is led on from.
	SignIn func(next string) string
	// Entered goes on with a sign-in that a provider vouched for.
	Entered func(w http.ResponseWriter, r *http.Request, next string, out *shape.ContinueSignInOutput)
	// Metadata describes this server, at one of its addresses, to a SAML provider.
	Metadata func(origin, provider string) string
	// SignedOut tells a browser that its sign-in has ended.
	SignedOut func(w http.ResponseWriter)
	Log       *slog.Logger

	once sync.Once
	mux  *http.ServeMux
}

const (
	// maxPost bounds a form, of which a SAML response is the longest.
	maxPost  = 1 << 20
	patience = 30 * time.Second
)

// issuerPath is below which Bawn is an OpenID provider.
const issuerPath = "/oidc"

var providerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)

// Wants says whether a request is for one of the addresses.
func (h *Web) Wants(r *http.Request) bool {
	for _, prefix := range []string{issuerPath + "/", "/oauth2/callback/", "/saml/"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-") && !r.URL.Query().Has("X-Amz-Algorithm")
		}
	}
	return false
}

// ServeHTTP implements http.Handler, for the requests that it Wants.
func (h *Web) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.once.Do(h.build)
	h.mux.ServeHTTP(w, r)
}

func (h *Web) build() {
	h.mux = http.NewServeMux()
	for pattern, do := range map[string]func(*asking) error{
		"GET " + issuerPath + "/.well-known/openid-configuration": h.discovery,
		"GET " + issuerPath + "/keys":                             h.keys,
		"GET " + issuerPath + "/authorize":                        h.authorize,
		"POST " + issuerPath + "/authorize":                       h.authorize,
		"POST " + issuerPath + "/token":                           h.token,
		"POST " + issuerPath + "/revoke":                          h.revoke,
		"GET " + issuerPath + "/userinfo":                         h.userinfo,
		"POST " + issuerPath + "/userinfo":                        h.userinfo,
		"GET " + issuerPath + "/logout":                           h.logout,
		"POST " + issuerPath + "/logout":                          h.logout,
		"GET /oauth2/callback/{provider}":                         h.callback,
		"POST /saml/acs/{provider}":                               h.acs,
		"GET /saml/continue":                                      h.proceed,
		"GET /saml/metadata/{provider}":                           h.metadata,
	} {
		h.mux.Handle(pattern, h.serve(do))
	}
}

// An asking is one request on its way.
type asking struct {
	w      http.ResponseWriter
	r      *http.Request
	ctx    context.Context
	visit  *api.Visit
	origin string
	form   url.Values // of query or body, whichever the method has
}

// received takes a request for one of this server's names; nil where it was answered.
func (h *Web) received(w http.ResponseWriter, r *http.Request) *asking {
	guard(w.Header())
	a := &asking{w: w, r: r, ctx: context.WithoutCancel(r.Context()), visit: h.Door.Visit(r), form: r.URL.Query()}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if a.origin = scheme + "://" + r.Host; !slices.Contains(h.Origins(), a.origin) {
		h.page(a, http.StatusMisdirectedRequest, "This server does not answer to that name.")
		return nil
	}
	return a
}

func (h *Web) serve(do func(*asking) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := h.received(w, r)
		if a == nil {
			return
		}
		if r.Method == http.MethodPost {
			r.Body = http.MaxBytesReader(w, r.Body, maxPost)
			if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience)); err != nil {
				h.failed(a, err)
				return
			}
			if err := r.ParseForm(); err != nil {
				h.page(a, http.StatusBadRequest, "The form cannot be read.")
				return
			}
			a.form = r.PostForm
		}
		for _, values := range a.form {
			if len(values) > 1 { // which of them is meant, others may judge otherwise
				h.page(a, http.StatusBadRequest, "The request says something twice.")
				return
			}
		}
		if err := do(a); err != nil {
			h.failed(a, err)
		}
	})
}

// guard sets what every answer tells the browser.
func guard(header http.Header) {
	header.Set("Content-Security-Policy", "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
}

var plainPage = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{{if .To}}<meta http-equiv="refresh" content="0;url={{.To}}">{{end}}
<title>Sign in</title></head><body><main><h1>Sign in</h1><p>{{.Text}}</p>{{if .To}}<p><a href="{{.To}}">Go on</a></p>{{else}}<p><a href="/start">Begin again</a></p>{{end}}</main></body></html>
`))

func (h *Web) page(a *asking, status int, text string) {
	h.shown(a, status, struct{ Text, To string }{text, ""})
}

func (h *Web) shown(a *asking, status int, what any) {
	a.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	a.w.WriteHeader(status)
	if err := plainPage.Execute(a.w, what); err != nil {
		h.Log.Debug("a page was not taken to its end", "err", err)
	}
}

// failed tells a person what went wrong.
func (h *Web) failed(a *asking, err error) {
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		h.Log.Error("a sign-in failed", "err", err)
		e = &api.Error{Status: http.StatusInternalServerError, Message: "Something went wrong here. The server's log says what."}
	}
	h.page(a, statusOf(e), e.Message)
}

// statusOf is an error's status. One that was found by the constraints of the API has
// none of its own.
func statusOf(e *api.Error) int {
	switch {
	case e.Status != 0:
		return e.Status
	case e.Server:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// to sends the browser on. A page elsewhere may have posted what led here, so what
// follows is a GET.
func (a *asking) to(address string) error {
	a.w.Header().Set("Location", address)
	a.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// Leave sends a browser to the provider that a flow was begun with. It does so by a
// page, for a browser whose form has led here may be kept from going elsewhere at once.
func (h *Web) Leave(w http.ResponseWriter, r *http.Request, flow, binding, next string) {
	a := h.received(w, r)
	if a == nil {
		return
	}
	out, err := api.Visited[shape.BeginFederationOutput](a.ctx, a.visit, "signin:BeginFederation",
		&shape.BeginFederationInput{Flow: flow, Binding: binding, Origin: a.origin, Next: next})
	if err != nil {
		h.failed(a, err)
		return
	}
	h.shown(a, http.StatusOK, struct{ Text, To string }{"You are being sent to your organization's sign-in page.", out.Location})
}

// callback takes an OIDC provider's answer.
func (h *Web) callback(a *asking) error {
	out, err := api.Visited[shape.AcceptCodeOutput](a.ctx, a.visit, "signin:AcceptCode", &shape.AcceptCodeInput{
		Provider: a.r.PathValue("provider"), Binding: h.Binding(a.w, a.r), State: a.form.Get("state"), Code: a.form.Get("code"),
		Error: a.form.Get("error"), Issuer: a.form.Get("iss"),
	})
	if err != nil {
		return err
	}
	return h.finish(a, out.State)
}

// acs takes a SAML provider's answer. The browser keeps back its cookies from what
// another site posts, so it is sent on to where it shows them.
func (h *Web) acs(a *asking) error {
	out, err := api.Visited[shape.AcceptAssertionOutput](a.ctx, a.visit, "signin:AcceptAssertion", &shape.AcceptAssertionInput{
		Provider: a.r.PathValue("provider"), Response: a.form.Get("SAMLResponse"), RelayState: a.relay(),
	})
	if err != nil {
		return err
	}
	return a.to("/saml/continue?" + url.Values{"state": {out.State}}.Encode())
}

// relay is the state that a provider carried. What cannot be one of ours is none.
func (a *asking) relay() string {
	if state := a.form.Get("RelayState"); len(state) >= 16 && len(state) <= 128 {
		return state
	}
	return ""
}

func (h *Web) proceed(a *asking) error { return h.finish(a, a.form.Get("state")) }

func (h *Web) finish(a *asking, state string) error {
	out, err := api.Visited[shape.FinishFederationOutput](a.ctx, a.visit, "signin:FinishFederation",
		&shape.FinishFederationInput{State: state, Binding: h.Binding(a.w, a.r)})
	if err != nil {
		return err
	}
	result := shape.ContinueSignInOutput(*out.Result)
	h.Entered(a.w, a.r, out.Next, &result)
	return nil
}

// metadata describes Bawn to a SAML provider. It says nothing of whether there is one.
func (h *Web) metadata(a *asking) error {
	name := a.r.PathValue("provider")
	if !providerName.MatchString(name) {
		h.page(a, http.StatusNotFound, "There is no such page.")
		return nil
	}
	a.w.Header().Set("Content-Type", "application/samlmetadata+xml")
	_, err := a.w.Write([]byte(h.Metadata(a.origin, name)))
	return err
}
