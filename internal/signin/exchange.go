package signin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssooidc"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

const (
	jwtBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	// The types of tokens that an exchange takes and gives.
	accessType  = "urn:ietf:params:oauth:token-type:access_token"
	refreshType = "urn:ietf:params:oauth:token-type:refresh_token"
	// tokenLife is how long what an exchange answers can be used.
	tokenLife = time.Hour
	// Once in sweepEvery exchanges as many of those that expired are forgotten as
	// sweepMost: more than came, and no more than others can wait for.
	sweepEvery, sweepMost = 64, 256
)

// defaultScopes come with every exchange, as AWS documents them.
var defaultScopes = []string{"openid", "aws", "sts:identity_context"}

// A proof is who a grant proves to stand behind an exchange, and since when.
type proof struct {
	userID   string
	signedIn time.Time
	until    time.Time // the end of what she proved
	scopes   []string  // that she may be given; nil: all of the application's
	parent   string    // the sign-in that it hangs on, if any
	origin   string    // the lineage that it hangs on, if any
	actor    string    // ARN of the trusted issuer, if one vouched
	line     *lineage  // that goes on; nil: a new one begins
	// use uses up what was shown. line is the lineage of what is given for it.
	use func(tx *store.Tx, line string) error
}

// exchanged demands that the application's actor policy admits the caller.
func (s *Service) exchanged(ctx context.Context, c *api.Call, in *shape.CreateTokenWithIAMInput) (*api.Application, []api.Demand, error) {
	if !strings.HasPrefix(in.ClientId, "arn:aws:sso::") {
		return nil, nil, refused("InvalidClientException", "clientId is not the ARN of an application.")
	}
	f, err := c.Resource(ctx, in.ClientId)
	if err != nil {
		return nil, nil, err
	}
	r := f.Resource
	r.RootOfTrust = true
	if r.Missing != nil {
		r.Missing = refused("InvalidClientException", "The application does not exist.")
	}
	app, _ := f.Detail.(*api.Application)
	return app, api.On("sso-oauth:CreateTokenWithIAM", r), nil
}

// asks checks a request against its grant and the application. Everything that is not
// of the grant is refused: it would be passed over.
func asks(in *shape.CreateTokenWithIAMInput, app *api.Application) error {
	granted := map[string]bool{
		jwtBearer: app.Issuers != nil, codeGrant: app.RedirectURIs != nil, refreshGrant: app.RefreshToken, tokenExchange: app.TokenExchange,
	}
	has, served := granted[in.GrantType]
	if !served {
		return refused("UnsupportedGrantTypeException", "The grant type is not served: authorization_code, refresh_token, "+jwtBearer+" and "+tokenExchange+" are.")
	}
	if !app.Enabled || !app.IAM || !has {
		return refused("UnauthorizedClientException", "The application is disabled, or has no grant of type "+in.GrantType+".")
	}
	needs := map[string][]string{
		jwtBearer: {"assertion"}, codeGrant: {"code", "codeVerifier", "redirectUri"}, refreshGrant: {"refreshToken"}, tokenExchange: {"subjectToken", "subjectTokenType"},
	}[in.GrantType]
	for name, value := range map[string]string{
		"assertion": in.Assertion, "code": in.Code, "codeVerifier": in.CodeVerifier, "redirectUri": in.RedirectUri, "refreshToken": in.RefreshToken,
		"requestedTokenType": in.RequestedTokenType, "subjectToken": in.SubjectToken, "subjectTokenType": in.SubjectTokenType,
	} {
		switch needed := slices.Contains(needs, name); {
		case needed && value == "":
			return refused("InvalidRequestException", name+" is missing.")
		case !needed && value != "" && (name != "requestedTokenType" || in.GrantType != tokenExchange):
			return refused("InvalidRequestException", name+" does not belong to this grant type.")
		}
	}
	return nil
}

func (s *Service) exchange(ctx context.Context, c *api.Call, in *shape.CreateTokenWithIAMInput, app *api.Application) (api.Commit[shape.CreateTokenWithIAMOutput], error) {
	if err := asks(in, app); err != nil {
		return nil, err
	}
	prove := map[string]func(context.Context, *api.Call, *shape.CreateTokenWithIAMInput, *api.Application) (*proof, error){
		jwtBearer: s.byAssertion, codeGrant: s.byConsent, refreshGrant: s.byRefresh, tokenExchange: s.bySubject,
	}[in.GrantType]
	p, err := prove(ctx, c, in, app)
	if err != nil {
		return nil, err
	}
	scopes, err := grantedScopes(in.Scope, app, p)
	if err != nil {
		return nil, err
	}
	if app.AssignmentRequired {
		if ok, err := s.Directory.Assigned(ctx, c.Snapshot, app.ARN, p.userID); err != nil || !ok {
			return nil, errors.Join(err, refused("AccessDeniedException", "The user is not assigned to the application."))
		}
	}
	line := p.line
	if line == nil {
		line = &lineage{
			id: uuid.New(), userID: p.userID, application: app.ARN, parent: p.parent, origin: p.origin, actor: p.actor, scopes: scopes,
			signedIn: p.signedIn, until: p.until,
		}
		if app.Background {
			line.parent, line.origin, line.until = "", "", p.signedIn.Add(backgroundLife)
		}
	}
	person := &api.Person{
		UserID: p.userID, IdentityStoreARN: app.IdentityStoreARN, InstanceARN: app.InstanceARN, ApplicationARN: app.ARN,
		CredentialID: line.id, SignedIn: line.signedIn,
	}
	err = s.Directory.Present(ctx, c.Snapshot, person)
	if errors.Is(err, api.ErrGone) {
		return nil, refused("InvalidGrantException", "The user is disabled, or was signed out.")
	}
	if err != nil {
		return nil, err
	}
	c.Note("userId", p.userID)
	c.Note("credentialId", line.id)
	out, kept, err := s.given(person, line, scopes, in.RequestedTokenType, app.RefreshToken, c.Now)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateTokenWithIAMOutput, error) {
		if p.use != nil {
			if err := p.use(tx, line.id); err != nil {
				return nil, err
			}
		}
		switch {
		case p.line != nil:
			return out, line.rotate(tx, c.Now)
		case kept:
			return out, line.insert(tx, c.Now)
		}
		return out, nil
	}, nil
}

// grantedScopes are those that were asked for, or all that can be; never more than
// the application has, nor than was proved.
func grantedScopes(asked []string, app *api.Application, p *proof) ([]string, error) {
	may := slices.Concat(defaultScopes, app.Scopes)
	if p.scopes != nil {
		may = slices.DeleteFunc(may, func(scope string) bool { return !slices.Contains(p.scopes, scope) })
	}
	for _, scope := range asked {
		if !slices.Contains(may, scope) {
			return nil, refused("InvalidScopeException", "The application has no scope "+scope+", or it was not granted.")
		}
	}
	if len(asked) > 0 {
		return asked, nil
	}
	return slices.DeleteFunc(slices.Clone(defaultScopes), func(scope string) bool { return !slices.Contains(may, scope) }), nil
}

// byAssertion proves a person by the token of an issuer that the application trusts.
func (s *Service) byAssertion(ctx context.Context, c *api.Call, in *shape.CreateTokenWithIAMInput, app *api.Application) (*proof, error) {
	t, issuer, err := s.verify(ctx, in.Assertion, app.Issuers, c.Release)
	if err != nil {
		return nil, err
	}
	value, err := t.attribute(issuer.ClaimPath)
	if err != nil {
		return nil, err
	}
	userID, err := s.Directory.FindUser(ctx, c.Snapshot, issuer.IdentityStorePath, value)
	if errors.Is(err, api.ErrGone) {
		return nil, refused("InvalidGrantException", "The token's "+issuer.ClaimPath+" matches no user, or more than one.")
	}
	if err != nil {
		return nil, err
	}
	// A token proves her when it was issued: who was signed out since is not in again by
	// one that somebody kept.
	proved := c.Now
	if latest := t.issued.Add(clockSkew); latest.Before(proved) {
		proved = latest
	}
	used := usedID(issuer.URL, t.id)
	return &proof{userID: userID, signedIn: proved, until: c.Now.Add(lineLife), actor: issuer.ARN, use: func(tx *store.Tx, _ string) error {
		return s.useUp(tx, used, t.expires.Add(2*clockSkew), c.Now)
	}}, nil
}

// useUp keeps what may not come again before it expires.
func (s *Service) useUp(tx *store.Tx, id string, expires, now time.Time) error {
	if n := s.uses.Add(1); n%sweepEvery == 1 {
		if _, err := tx.Exec(`DELETE FROM signin_used WHERE id IN (SELECT id FROM signin_used WHERE expires < ? LIMIT ?)`, now.UnixMicro(), sweepMost); err != nil {
			return err
		}
	}
	kept, err := tx.Exec(`INSERT INTO signin_used (id, expires) VALUES (?, ?)
		ON CONFLICT (id) DO UPDATE SET expires = excluded.expires WHERE signin_used.expires < ?`, id, expires.UnixMicro(), now.UnixMicro())
	if err != nil {
		return err
	}
	if n, err := kept.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, refused("InvalidGrantException", "The token was used already."))
	}
	return nil
}

// usedID is what is kept of a token that was exchanged.
func usedID(issuer, id string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(issuer+"\x00"+id)))
}

func refused(code, why string) *api.Error {
	status := http.StatusBadRequest
	if code == "InvalidClientException" {
		status = http.StatusUnauthorized
	}
	return &api.Error{Code: code, Status: status, Message: why, Fields: map[string]string{
		"error": oauthError[code], "error_description": why,
	}}
}

// oauthError is RFC 6749's word for an exception.
var oauthError = map[string]string{
	"InvalidClientException": "invalid_client", "UnsupportedGrantTypeException": "unsupported_grant_type",
	"InvalidRequestException": "invalid_request", "UnauthorizedClientException": "unauthorized_client",
	"InvalidScopeException": "invalid_scope", "InvalidGrantException": "invalid_grant",
	"AccessDeniedException": "access_denied", "ExpiredTokenException": "expired_token",
	"AuthorizationPendingException": "authorization_pending", "SlowDownException": "slow_down",
	"InvalidClientMetadataException": "invalid_client_metadata", "InvalidRedirectUriException": "invalid_redirect_uri",
}
