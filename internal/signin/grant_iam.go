package signin

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssooidc"
	"bawn.dev/internal/store"
)

// applicationPrefix tells an application of the identity centre from a client that
// anybody registered.
const applicationPrefix = "arn:aws:sso::"

// applicationClient is an application that sent a person's browser here, as her
// consent knows it. That she may not use it is heard like that there is none.
func (s *Service) applicationClient(ctx context.Context, c *api.Call, arn, userID string) (*client, error) {
	unknown := fail("ValidationException", "The application that sent you here is not one that you can use.")
	f, err := c.Resource(ctx, arn)
	if err != nil {
		return nil, unknown
	}
	app, ok := f.Detail.(*api.Application)
	if !ok || f.Missing != nil || !app.Enabled || app.RedirectURIs == nil {
		return nil, unknown
	}
	if app.AssignmentRequired {
		if ok, err := s.Directory.Assigned(ctx, c.Snapshot, arn, userID); err != nil || !ok {
			return nil, errors.Join(err, unknown)
		}
	}
	return &client{
		Name: app.Name, Scopes: slices.Concat(defaultScopes, app.Scopes), Grants: []string{codeGrant}, Redirects: app.RedirectURIs, id: arn, application: true,
	}, nil
}

// byConsent proves the person who let the application have a code, once.
func (s *Service) byConsent(ctx context.Context, c *api.Call, in *shape.CreateTokenWithIAMInput, app *api.Application) (*proof, error) {
	a, err := s.byAuthorizationCode(c, &client{id: app.ARN}, &shape.CreateTokenInput{Code: in.Code, CodeVerifier: in.CodeVerifier, RedirectUri: in.RedirectUri})
	if err != nil {
		return nil, err
	}
	if a.state == taken {
		return nil, s.shownAgain(ctx, c, app, a.userID, a.session, "AuthorizationReused")
	}
	parent, err := s.byID(ctx, c.Snapshot, a.parent, c.Now)
	if errors.Is(err, api.ErrGone) {
		return nil, refused("InvalidGrantException", "Who approved this has signed out.")
	}
	if err != nil {
		return nil, err
	}
	return &proof{userID: parent.UserID, signedIn: parent.Created, until: parent.Expires, scopes: a.scopes, parent: parent.ID, use: func(tx *store.Tx, line string) error {
		done := *a
		done.state, done.session, done.expires = taken, line, parent.Expires
		return done.update(tx)
	}}, nil
}

// byRefresh goes on with what the application has.
func (s *Service) byRefresh(ctx context.Context, c *api.Call, in *shape.CreateTokenWithIAMInput, app *api.Application) (*proof, error) {
	bad := refused("InvalidGrantException", "Invalid refresh token provided")
	var t lineRenewal
	if len(in.RefreshToken) > maxAccess || unseal(lineSealing, s.Key, in.RefreshToken, nil, &t) != nil {
		return nil, bad
	}
	l, err := lineageOf(c, t.Line)
	if errors.Is(err, api.ErrGone) {
		return nil, bad
	}
	if err != nil {
		return nil, err
	}
	if l.application != app.ARN {
		return nil, bad
	}
	if t.Serial != l.serial {
		if t.Serial == l.serial-1 && c.Now.Sub(l.rotated) < refreshRace {
			return nil, bad
		}
		return nil, s.shownAgain(ctx, c, app, l.userID, l.id, "RefreshTokenReused")
	}
	return &proof{userID: l.userID, signedIn: l.signedIn, until: l.until, scopes: l.scopes, actor: l.actor, line: l}, nil
}

// bySubject proves a person by a token that another application has of her. Nothing
// is gained by it but this application's own: not a scope, and not a minute beyond
// what she proved, unless this application has background sessions.
func (s *Service) bySubject(ctx context.Context, c *api.Call, in *shape.CreateTokenWithIAMInput, _ *api.Application) (*proof, error) {
	if in.SubjectTokenType != accessType {
		return nil, refused("InvalidRequestException", "subjectTokenType must be "+accessType+".")
	}
	if t := in.RequestedTokenType; t != "" && t != accessType && t != refreshType {
		return nil, refused("InvalidRequestException", "requestedTokenType must be "+accessType+" or "+refreshType+".")
	}
	bad := refused("InvalidGrantException", "The subject token is not valid.")
	t, err := s.openAccess(in.SubjectToken)
	if err != nil {
		return nil, bad
	}
	if !c.Now.Before(t.Expires) {
		return nil, refused("ExpiredTokenException", "The subject token has expired.")
	}
	subject := t.Person
	err = errors.Join(s.Directory.Present(ctx, c.Snapshot, &subject), going(c, t.Parent, t.Line))
	if errors.Is(err, api.ErrGone) {
		return nil, bad
	}
	if err != nil {
		return nil, err
	}
	return &proof{userID: subject.UserID, signedIn: subject.SignedIn, until: t.Until, scopes: t.Scopes, parent: t.Parent, origin: t.Line, actor: t.Actor}, nil
}

// An accessToken is what an application has of a person, to show elsewhere.
type accessToken struct {
	Person  api.Person
	Expires time.Time
	Scopes  []string
	Until   time.Time // the end of what she proved
	Parent  string    // as a lineage's
	Line    string    // its lineage, if that is kept
	Actor   string
}

func (s *Service) openAccess(text string) (*accessToken, error) {
	t := &accessToken{}
	if len(text) > maxAccess {
		return nil, errors.New("signin: the token is too long")
	}
	return t, unseal(applicationSealing, s.Key, text, nil, t)
}

// isApplication says whether a client's id names an application.
func isApplication(id string) bool { return strings.HasPrefix(id, applicationPrefix) }
