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
	jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	// tokenLife is how long what an exchange answers can be used.
	tokenLife = time.Hour
)

// defaultScopes come with every exchange, as AWS documents them.
var defaultScopes = []string{"openid", "aws", "sts:identity_context"}

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

func (s *Service) exchange(ctx context.Context, c *api.Call, in *shape.CreateTokenWithIAMInput, app *api.Application) (api.Commit[shape.CreateTokenWithIAMOutput], error) {
	if in.GrantType != jwtBearer {
		return nil, refused("UnsupportedGrantTypeException", "The grant type "+in.GrantType+" is not served; "+jwtBearer+" is.")
	}
	for name, value := range map[string]string{
		"code": in.Code, "codeVerifier": in.CodeVerifier, "redirectUri": in.RedirectUri, "refreshToken": in.RefreshToken,
		"requestedTokenType": in.RequestedTokenType, "subjectToken": in.SubjectToken, "subjectTokenType": in.SubjectTokenType,
	} {
		if value != "" {
			return nil, refused("InvalidRequestException", name+" does not belong to this grant type.")
		}
	}
	if !app.Enabled || !app.IAM || app.Issuers == nil {
		return nil, refused("UnauthorizedClientException", "The application is disabled, or has no jwt-bearer grant.")
	}
	for _, scope := range in.Scope {
		if !slices.Contains(defaultScopes, scope) && !slices.Contains(app.Scopes, scope) {
			return nil, refused("InvalidScopeException", "The application has no scope "+scope+".")
		}
	}
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
	if app.AssignmentRequired {
		if ok, err := s.Directory.Assigned(ctx, c.Snapshot, app.ARN, userID); err != nil || !ok {
			return nil, errors.Join(err, refused("AccessDeniedException", "The user is not assigned to the application."))
		}
	}
	person := &api.Person{
		UserID: userID, IdentityStoreARN: app.IdentityStoreARN, InstanceARN: app.InstanceARN, ApplicationARN: app.ARN,
		CredentialID: uuid.New(), SignedIn: c.Now,
	}
	c.Note("userId", userID)
	out, err := s.tokens(person, issuer, in.Scope, c.Now)
	if err != nil {
		return nil, err
	}
	used := usedID(issuer.URL, t.id)
	return func(tx *store.Tx) (*shape.CreateTokenWithIAMOutput, error) {
		if _, err := tx.Exec(`DELETE FROM signin_used WHERE expires < ?`, c.Now.UnixMicro()); err != nil {
			return nil, err
		}
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM signin_used WHERE id = ?`, used).Scan(&n); err != nil {
			return nil, err
		}
		if n > 0 {
			return nil, refused("InvalidGrantException", "The token was used already.")
		}
		_, err := tx.Exec(`INSERT INTO signin_used (id, expires) VALUES (?, ?)`, used, t.expires.Add(2*clockSkew).UnixMicro())
		return out, err
	}, nil
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
