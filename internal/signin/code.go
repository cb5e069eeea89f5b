package signin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
	pages "bawn.dev/internal/shape/signin"
	shape "bawn.dev/internal/shape/ssooidc"
	"bawn.dev/internal/store"
)

// codeLife is how long a client may take to come with the code that it was sent.
const codeLife = time.Minute

// verifierText is what RFC 7636 lets a code verifier be.
var verifierText = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// consentOperations are what the portal's pages call when a client asks a person.
func (s *Service) consentOperations() []api.Operation {
	return []api.Operation{
		api.Read("DescribeDevice", typedDevice(s, func(in *pages.DescribeDeviceInput) (string, string) { return in.Session, in.UserCode }), s.describeDevice),
		api.Write("ApproveDevice", typedDevice(s, func(in *pages.ApproveDeviceInput) (string, string) { return in.Session, in.UserCode }), s.approveDevice),
		api.Write("DenyDevice", typedDevice(s, func(in *pages.DenyDeviceInput) (string, string) { return in.Session, in.UserCode }), s.denyDevice),
		api.Read("DescribeAuthorization", s.describedAuthorization, s.describeAuthorization),
		api.Write("Authorize", s.authorized, s.authorize).Silent(),
	}
}

// A consent is what a client asks a person's browser for. It answers only when all of
// it is in order: a browser is sent nowhere on the word of a stranger.
type consent struct {
	client   *client
	session  *Session
	redirect string
	scopes   []string
}

// asksConsent checks what the browser was sent with. CodeChallenge, its method (S256)
// and State are required by the model.
func (s *Service) asksConsent(ctx context.Context, c *api.Call, session, clientID, redirect string, scopes []string) (*consent, error) {
	in, err := s.signedIn(ctx, c, session)
	if err != nil {
		return nil, err
	}
	var known *client
	if isApplication(clientID) {
		known, err = s.applicationClient(ctx, c, clientID, in.UserID)
	} else {
		known, err = s.openClient(clientID, c.Now)
	}
	if err != nil && isApplication(clientID) {
		return nil, err
	}
	if err != nil {
		return nil, fail("ValidationException", "The program that sent you here is not registered, or no longer. Please start again there.")
	}
	if !known.grants(codeGrant) || !known.admits(redirect) {
		return nil, fail("ValidationException", "The program that sent you here did not register the address to which you would be sent back.")
	}
	if len(scopes) == 0 {
		scopes = known.scopes()
	}
	for _, scope := range scopes {
		if !slices.Contains(known.scopes(), scope) {
			return nil, fail("ValidationException", "The program that sent you here asks for more than it registered for.")
		}
	}
	c.Note("clientName", known.Name)
	return &consent{known, in, redirect, scopes}, nil
}

func (s *Service) describedAuthorization(ctx context.Context, c *api.Call, in *pages.DescribeAuthorizationInput) (*consent, []api.Demand, error) {
	asks, err := s.asksConsent(ctx, c, in.Session, in.ClientId, in.RedirectUri, in.Scopes)
	return asks, nil, err
}

func (s *Service) describeAuthorization(_ context.Context, _ *api.Call, in *pages.DescribeAuthorizationInput, asks *consent) (*pages.DescribeAuthorizationOutput, error) {
	return &pages.DescribeAuthorizationOutput{
		ClientName: asks.client.Name, Scopes: asks.scopes, DenyTo: asks.back(url.Values{"error": {"access_denied"}, "state": {in.State}}),
	}, nil
}

func (s *Service) authorized(ctx context.Context, c *api.Call, in *pages.AuthorizeInput) (*consent, []api.Demand, error) {
	asks, err := s.asksConsent(ctx, c, in.Session, in.ClientId, in.RedirectUri, in.Scopes)
	return asks, nil, err
}

func (s *Service) authorize(_ context.Context, c *api.Call, in *pages.AuthorizeInput, asks *consent) (api.Commit[pages.AuthorizeOutput], error) {
	code := newSecret()
	a := &approval{
		id: digest(code), client: asks.client.digest(), name: asks.client.Name, scopes: asks.scopes, redirect: asks.redirect, challenge: in.CodeChallenge,
		source: sourceOf(c), agent: c.Agent(), created: c.Now, expires: c.Now.Add(codeLife), state: approved, userID: asks.session.UserID, parent: asks.session.ID,
	}
	out := &pages.AuthorizeOutput{RedirectTo: asks.back(url.Values{"code": {code}, "state": {in.State}}), ExpiresAt: a.expires}
	return func(tx *store.Tx) (*pages.AuthorizeOutput, error) { return out, a.insert(tx, c.Now) }, nil
}

// back is where the browser goes next. Only applications' redirect URIs may have a
// query of their own.
func (asks *consent) back(answer url.Values) string {
	if strings.Contains(asks.redirect, "?") {
		return asks.redirect + "&" + answer.Encode()
	}
	return asks.redirect + "?" + answer.Encode()
}

// byAuthorizationCode is the approval behind a code, if the one who shows it is the
// one who asked.
func (s *Service) byAuthorizationCode(c *api.Call, known *client, in *shape.CreateTokenInput) (*approval, error) {
	a, err := approvalWhere(c.Snapshot, "id", digest(in.Code))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(in.CodeVerifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	switch {
	case a == nil, a.userCode != "", a.client != known.digest(), a.redirect != in.RedirectUri, a.state != taken && c.Now.After(a.expires),
		!verifierText.MatchString(in.CodeVerifier), subtle.ConstantTimeCompare([]byte(challenge), []byte(a.challenge)) != 1:
		return nil, refused("InvalidGrantException", "Invalid authorization code, redirect URI or code verifier provided")
	}
	return a, nil
}
