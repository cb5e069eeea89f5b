package signin

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/ssooidc"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

const (
	accessSealing seal.Purpose = "signin client access token"
	accessLife                 = time.Hour
	maxAccess                  = 4096 // characters
)

// An access token stands for a client's sign-in. It is good for as long as that is,
// and for an hour at most.
type access struct {
	Session string   `json:"s"`
	Scopes  []string `json:"o"`
	Expires int64    `json:"e"`
}

// bearer is the sign-in behind a token that may do what a scope says: an access token,
// or the secret of a sign-in itself, which the portal holds and which may do all.
func (s *Service) bearer(ctx context.Context, c *api.Call, token, scope string) (*Session, error) {
	var a access
	if len(token) > maxAccess || unseal(accessSealing, s.Key, token, nil, &a) != nil {
		return s.signedIn(ctx, c, token)
	}
	if c.Now.Unix() >= a.Expires || !slices.Contains(a.Scopes, scope) {
		return nil, gone()
	}
	in, _, err := s.clientSession(ctx, c, a.Session)
	if errors.Is(err, api.ErrGone) {
		return nil, gone()
	}
	if err != nil {
		return nil, err
	}
	return in, s.prove(ctx, c, in)
}

// signedIn is the sign-in that a secret stands for, and so who calls.
func (s *Service) signedIn(ctx context.Context, c *api.Call, secret string) (*Session, error) {
	in, err := s.bySecret(ctx, c.Snapshot, secret, c.Now)
	if errors.Is(err, api.ErrGone) {
		return nil, gone()
	}
	if err != nil {
		return nil, err
	}
	return in, s.prove(ctx, c, in)
}

// given is what CreateToken gives: a sign-in of the client's own, or more time in it.
type given struct {
	session *Session
	scopes  []string
	serial  int64 // of the refresh token; 0 for none
	changes []func(*store.Tx) error
}

// granted finds who stands behind what the client shows. Everything that is not of
// the grant is refused: it would be passed over.
func (s *Service) granted(ctx context.Context, c *api.Call, in *shape.CreateTokenInput) (*given, []api.Demand, error) {
	known, err := s.authenticated(c, in.ClientId, in.ClientSecret)
	if err != nil {
		return nil, nil, err
	}
	members := map[string][]string{deviceGrant: {"deviceCode"}, codeGrant: {"code", "codeVerifier", "redirectUri"}, refreshGrant: {"refreshToken", "scope"}}[in.GrantType]
	if members == nil {
		return nil, nil, refused("UnsupportedGrantTypeException", "The grant type is not served: authorization_code, refresh_token and "+deviceGrant+" are.")
	}
	if !known.grants(in.GrantType) {
		return nil, nil, refused("UnauthorizedClientException", "The client did not register for this grant type.")
	}
	for name, there := range map[string]bool{
		"deviceCode": in.DeviceCode != "", "code": in.Code != "", "codeVerifier": in.CodeVerifier != "", "redirectUri": in.RedirectUri != "",
		"refreshToken": in.RefreshToken != "", "scope": len(in.Scope) > 0,
	} {
		if wanted := slices.Contains(members, name); there && !wanted {
			return nil, nil, refused("InvalidRequestException", name+" does not belong to this grant type.")
		} else if wanted && !there && name != "scope" {
			return nil, nil, refused("InvalidRequestException", name+" is missing.")
		}
	}
	var g *given
	switch in.GrantType {
	case refreshGrant:
		g, err = s.refreshed(ctx, c, known, in)
	case deviceGrant:
		var a *approval
		if a, err = s.byDeviceCode(c, known, in.DeviceCode); err == nil {
			g, err = s.take(ctx, c, known, a)
		}
	case codeGrant:
		var a *approval
		if a, err = s.byAuthorizationCode(c, known, in); err == nil {
			a.source = sourceOf(c)
			g, err = s.take(ctx, c, known, a)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return g, nil, s.prove(ctx, c, g.session)
}

// take gives what was approved: once. Its second use means that somebody else has it
// too, and what was given for it ends.
func (s *Service) take(ctx context.Context, c *api.Call, known *client, a *approval) (*given, error) {
	if a.state == taken {
		return nil, s.misused(ctx, c, a.userID, a.session, "AuthorizationReused")
	}
	parent, err := s.byID(ctx, c.Snapshot, a.parent, c.Now)
	if errors.Is(err, api.ErrGone) {
		return nil, refused("InvalidGrantException", "Who approved this has signed out.")
	}
	if err != nil {
		return nil, err
	}
	in := &Session{ID: uuid.New(), UserID: parent.UserID, Created: c.Now.UTC(), Expires: parent.Expires,
		Methods: parent.Methods, Provider: parent.Provider, Source: a.source, Agent: known.Name}
	g := &given{session: in, scopes: a.scopes}
	if known.grants(refreshGrant) {
		g.serial = 1
	}
	g.changes = []func(*store.Tx) error{
		func(tx *store.Tx) error {
			done := *a
			done.state, done.session, done.expires = taken, in.ID, in.Expires
			return done.update(tx)
		},
		func(tx *store.Tx) error { return beginClient(tx, in, parent, known, a.scopes, c.Now) },
	}
	return g, nil
}

// beginClient writes a client's sign-in. It ends with the one from which it was
// approved, whose proof of the person it lives on.
func beginClient(tx *store.Tx, in, parent *Session, known *client, scopes []string, now time.Time) error {
	row := *in
	if _, err := begin(tx, &row, now); err != nil { // nobody learns its secret: it has tokens
		return err
	}
	if _, err := tx.Exec(`UPDATE signin_sessions SET expires = ? WHERE id = ?`, parent.Expires.UnixMicro(), in.ID); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM signin_clients WHERE session NOT IN (SELECT id FROM signin_sessions)`); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO signin_clients (session, parent, client, scopes, serial, rotated) VALUES (?, ?, ?, ?, 1, 0)`,
		in.ID, parent.ID, known.digest(), strings.Join(scopes, " "))
	return errors.Join(err, tx.Touch(clientKey(in.ID)))
}

func (s *Service) createToken(_ context.Context, c *api.Call, _ *shape.CreateTokenInput, g *given) (api.Commit[shape.CreateTokenOutput], error) {
	life := min(accessLife, g.session.Expires.Sub(c.Now)).Truncate(time.Second)
	seconds := int32(life / time.Second)
	out := &shape.CreateTokenOutput{TokenType: "Bearer", ExpiresIn: &seconds}
	var err error
	if out.AccessToken, err = s.sealed(accessSealing, access{g.session.ID, g.scopes, c.Now.Add(life).Unix()}); err != nil {
		return nil, err
	}
	if g.serial > 0 {
		if out.RefreshToken, err = s.sealed(refreshSealing, refresh{g.session.ID, g.serial}); err != nil {
			return nil, err
		}
	}
	return func(tx *store.Tx) (*shape.CreateTokenOutput, error) {
		for _, change := range g.changes {
			if err := change(tx); err != nil {
				return nil, err
			}
		}
		return out, nil
	}, nil
}

func (s *Service) sealed(purpose seal.Purpose, v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sealed, err := purpose.Seal(s.Key[:], raw, nil)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}
