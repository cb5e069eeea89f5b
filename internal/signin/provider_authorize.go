package signin

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

const (
	grantSealing seal.Purpose = "signin application code"

	// freshSignIn is how old a sign-in may be that counts as made for the request: the
	// browser comes back from it at once.
	freshSignIn = time.Minute
)

// openScopes are what an application can ask for. Others are passed over, as OpenID
// Connect wants it.
var openScopes = []string{"openid", "profile", "email", "groups", "offline_access"}

// A grant is what an authorization code stands for.
type grant struct {
	ID          string // used once; also of the family of tokens that it begins
	Application string
	Session     string
	Issuer      string
	Redirect    string
	Scopes      []string
	Nonce       string
	Challenge   string
	Expires     time.Time
}

// A request is one for a person, in order. Its session is nil where she must sign in
// first.
type request struct {
	application *Application
	session     *Session
	scopes      []string
	in          *shape.AuthorizeApplicationInput
}

// back is where the browser goes next, with the issuer's name (RFC 9207).
func (r *request) back(answer url.Values) string {
	answer.Set("iss", r.in.Issuer)
	if r.in.State != "" {
		answer.Set("state", r.in.State)
	}
	sep := "?"
	if strings.Contains(r.in.RedirectUri, "?") {
		sep = "&"
	}
	return r.in.RedirectUri + sep + answer.Encode()
}

// denied is a refusal that the application is told of.
func (r *request) denied(code, why string) *api.Error {
	e := fail("AccessDeniedException", "%s", why)
	e.Fields = map[string]string{"RedirectTo": r.back(url.Values{"error": {code}, "error_description": {why}})}
	return e
}

// askedFor checks what a browser was sent with. As long as application and redirect URI
// are in doubt it is sent nowhere.
func (s *Service) askedFor(ctx context.Context, c *api.Call, in *shape.AuthorizeApplicationInput) (*request, []api.Demand, error) {
	if err := s.checkIssuer(in.Issuer); err != nil {
		return nil, nil, err
	}
	a, _, err := application(c.Snapshot, in.ClientId)
	if err != nil {
		return nil, nil, err
	}
	if a == nil || !slices.Contains(a.RedirectURIs, in.RedirectUri) {
		return nil, nil, fail("ValidationException", "The application that sent you here is not registered, or not with the address to which you would be sent back.")
	}
	c.Note("application", a.ID)
	r := &request{application: a, in: in}
	for _, scope := range strings.Fields(in.Scope) {
		if slices.Contains(openScopes, scope) && !slices.Contains(r.scopes, scope) {
			r.scopes = append(r.scopes, scope)
		}
	}
	if err := r.check(); err != nil {
		return nil, nil, err
	}
	if r.session, err = s.fresh(ctx, c, in); err != nil {
		return nil, nil, err
	}
	if r.session == nil {
		if slices.Contains(strings.Fields(in.Prompt), "none") {
			return nil, nil, r.denied("login_required", "Nobody is signed in.")
		}
		return r, nil, nil
	}
	if err := s.prove(ctx, c, r.session); err != nil {
		return nil, nil, err
	}
	groups, err := s.groups(c.Snapshot, r.session.UserID)
	if err != nil {
		return nil, nil, err
	}
	if !a.welcomes(groups) {
		return nil, nil, r.denied("access_denied", "You are in none of the groups that may use this application.")
	}
	return r, nil, nil
}

func (r *request) check() error {
	in := r.in
	switch {
	case in.ResponseType != "code":
		return r.denied("unsupported_response_type", "The response type is code.")
	case !slices.Contains(r.scopes, "openid"):
		return r.denied("invalid_scope", "The scope has no openid in it.")
	case in.CodeChallenge == "" && in.CodeChallengeMethod != "", in.CodeChallenge != "" && (in.CodeChallengeMethod != "S256" || len(in.CodeChallenge) != 43):
		return r.denied("invalid_request", "The code challenge is of the method S256.")
	case in.CodeChallenge == "" && (!r.application.WithoutPKCE || in.Nonce == ""):
		return r.denied("invalid_request", "A code challenge is needed (PKCE, S256).")
	case in.MaxAge != nil && *in.MaxAge < 0:
		return r.denied("invalid_request", "The greatest age is not negative.")
	}
	if ways := strings.Fields(in.Prompt); slices.Contains(ways, "none") && len(ways) > 1 {
		return r.denied("invalid_request", "prompt is none, or something else.")
	}
	return nil
}

// fresh is the browser's sign-in, if it is not older than what was asked for; nil if
// there is none.
func (s *Service) fresh(ctx context.Context, c *api.Call, in *shape.AuthorizeApplicationInput) (*Session, error) {
	if in.Session == "" {
		return nil, nil
	}
	session, err := s.bySecret(ctx, c.Snapshot, in.Session, c.Now)
	if errors.Is(err, api.ErrGone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	oldest := sessionLife
	if in.MaxAge != nil {
		oldest = max(time.Duration(*in.MaxAge)*time.Second, freshSignIn)
	}
	if slices.Contains(strings.Fields(in.Prompt), "login") {
		oldest = freshSignIn
	}
	if c.Now.Sub(session.Created) > oldest {
		return nil, nil
	}
	return session, nil
}

func (s *Service) authorizeApplication(_ context.Context, c *api.Call, in *shape.AuthorizeApplicationInput, r *request) (api.Commit[shape.AuthorizeApplicationOutput], error) {
	out := &shape.AuthorizeApplicationOutput{SignIn: new(bool)}
	if r.session == nil {
		*out.SignIn = true
		return func(*store.Tx) (*shape.AuthorizeApplicationOutput, error) { return out, nil }, nil
	}
	code, err := s.sealed(grantSealing, grant{
		ID: uuid.New(), Application: r.application.ID, Session: r.session.ID, Issuer: in.Issuer, Redirect: in.RedirectUri, Scopes: r.scopes,
		Nonce: in.Nonce, Challenge: in.CodeChallenge, Expires: c.Now.Add(codeLife),
	})
	if err != nil {
		return nil, err
	}
	out.RedirectTo = r.back(url.Values{"code": {code}})
	return func(tx *store.Tx) (*shape.AuthorizeApplicationOutput, error) { return out, used(tx, r.session, c.Now) }, nil
}
