package signin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
)

const (
	bearerSealing  seal.Purpose = "signin application access token"
	furtherSealing seal.Purpose = "signin application refresh token"
)

// A family is all the tokens that follow from one code. They end together: with the
// sign-in, or when one that was used up comes again, for then two have it.
type family struct {
	id          string
	application string
	session     string
	serial      int64 // of the refresh token that is good
}

func familyKey(id string) string { return "signin:family/" + id }

func familyOf(sn *store.Snapshot, id string) (*family, error) {
	if _, err := sn.Version(familyKey(id)); err != nil {
		return nil, err
	}
	f := &family{id: id}
	err := sn.QueryRow(`SELECT application, session, serial FROM signin_families WHERE id = ?`, id).Scan(&f.application, &f.session, &f.serial)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return f, err
}

func endFamily(tx *store.Tx, id string) error {
	_, err := tx.Exec(`DELETE FROM signin_families WHERE id = ?`, id)
	return errors.Join(err, tx.Touch(familyKey(id)))
}

// bearerToken and further are what the sealed tokens say.
type bearerToken struct {
	Family  string
	Scopes  []string
	Expires time.Time
}

type further struct {
	Family string
	Serial int64
	Scopes []string
	Issuer string
}

// An issue is what a token request comes to. Where it is refused and something is to be
// written down all the same, refusal says how.
type issue struct {
	application *Application
	session     *Session
	family      *family
	issuer      string
	scopes      []string
	nonce       string
	renews      bool
	refusal     string
	changes     []func(*store.Tx) error
}

func (i *issue) then(change func(*store.Tx) error) { i.changes = append(i.changes, change) }

// spoilt is the refusal of a grant that is not good, which ends what came of it.
func spoilt(id string) *issue {
	return &issue{refusal: "The code or token is not valid, or was used already.", changes: []func(*store.Tx) error{
		func(tx *store.Tx) error { return endFamily(tx, id) },
	}}
}

func badGrant() *api.Error {
	return &api.Error{Code: "ValidationException", Status: statuses["ValidationException"], Message: "The code or token is not valid, or was used already.",
		Fields: map[string]string{"error": "invalid_grant"}}
}

// redeemed finds who stands behind what an application brings. Members that do not
// belong to the grant are refused: they would be passed over.
func (s *Service) redeemed(ctx context.Context, c *api.Call, in *shape.CreateApplicationTokenInput) (*issue, []api.Demand, error) {
	if err := s.checkIssuer(in.Issuer); err != nil {
		return nil, nil, err
	}
	a, err := proven(c.Snapshot, in.ClientId, in.ClientSecret)
	if err != nil {
		return nil, nil, err
	}
	c.Note("application", a.ID)
	var i *issue
	switch {
	case in.GrantType == "authorization_code" && in.Code != "" && in.RedirectUri != "" && in.RefreshToken == "" && in.Scope == "":
		i, err = s.byGrant(ctx, c, a, in)
	case in.GrantType == "refresh_token" && in.RefreshToken != "" && in.Code == "" && in.CodeVerifier == "" && in.RedirectUri == "":
		i, err = s.byRenewal(ctx, c, a, in)
	default:
		err = &api.Error{Code: "ValidationException", Status: statuses["ValidationException"], Message: "The grant is authorization_code with its code and redirect URI, or refresh_token with its token.",
			Fields: map[string]string{"error": "unsupported_grant_type"}}
	}
	if err != nil || i.refusal != "" {
		return i, nil, err
	}
	groups, err := s.groups(c.Snapshot, i.session.UserID)
	if err != nil {
		return nil, nil, err
	}
	if !a.welcomes(groups) {
		return nil, nil, badGrant()
	}
	i.application, i.issuer = a, in.Issuer
	return i, nil, s.prove(ctx, c, i.session)
}

// byGrant is the issue behind an authorization code, if the one who brings it is the
// one who asked.
func (s *Service) byGrant(ctx context.Context, c *api.Call, a *Application, in *shape.CreateApplicationTokenInput) (*issue, error) {
	var g grant
	if unseal(grantSealing, s.Key, in.Code, nil, &g) != nil || g.Application != a.ID || g.Redirect != in.RedirectUri || g.Issuer != in.Issuer {
		return nil, badGrant()
	}
	sum := sha256.Sum256([]byte(in.CodeVerifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	if (g.Challenge != "") != (in.CodeVerifier != "") || g.Challenge != "" && subtle.ConstantTimeCompare([]byte(g.Challenge), []byte(challenge)) != 1 {
		return nil, badGrant()
	}
	var n int
	if err := c.Snapshot.QueryRow(`SELECT count(*) FROM signin_used WHERE id = ?`, usedID("application code", g.ID)).Scan(&n); err != nil {
		return nil, err
	}
	if n > 0 {
		return spoilt(g.ID), nil
	}
	if c.Now.After(g.Expires) {
		return nil, badGrant()
	}
	i := &issue{family: &family{id: g.ID, application: a.ID, session: g.Session, serial: 1}, scopes: g.Scopes, nonce: g.Nonce}
	var err error
	if i.session, err = s.lasting(ctx, c, g.Session); err != nil {
		return nil, err
	}
	i.renews = slices.Contains(g.Scopes, "offline_access")
	i.then(func(tx *store.Tx) error { return spend(tx, "application code", g.ID, i.session.Expires, c.Now) })
	i.then(func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM signin_families WHERE expires < ?`, c.Now.UnixMicro()); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO signin_families (id, application, session, serial, expires) VALUES (?, ?, ?, 1, ?)`,
			g.ID, a.ID, g.Session, i.session.Expires.UnixMicro())
		return errors.Join(err, tx.Touch(familyKey(g.ID)))
	})
	return i, nil
}

// byRenewal is the issue behind a refresh token. Each is good once.
func (s *Service) byRenewal(ctx context.Context, c *api.Call, a *Application, in *shape.CreateApplicationTokenInput) (*issue, error) {
	var r further
	if unseal(furtherSealing, s.Key, in.RefreshToken, nil, &r) != nil || r.Issuer != in.Issuer {
		return nil, badGrant()
	}
	f, err := familyOf(c.Snapshot, r.Family)
	if err != nil {
		return nil, err
	}
	if f == nil || f.application != a.ID {
		return nil, badGrant()
	}
	if f.serial != r.Serial {
		return spoilt(f.id), nil
	}
	scopes := r.Scopes
	if in.Scope != "" {
		scopes = strings.Fields(in.Scope)
		if slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(r.Scopes, scope) }) {
			return nil, &api.Error{Code: "ValidationException", Status: statuses["ValidationException"], Message: "The scope is more than was granted.",
				Fields: map[string]string{"error": "invalid_scope"}}
		}
	}
	f.serial++
	i := &issue{family: f, scopes: scopes, renews: true}
	if i.session, err = s.lasting(ctx, c, f.session); err != nil {
		return nil, err
	}
	i.then(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE signin_families SET serial = ? WHERE id = ?`, f.serial, f.id)
		return errors.Join(err, tx.Touch(familyKey(f.id)))
	})
	return i, nil
}

// lasting is a sign-in that tokens hang on.
func (s *Service) lasting(ctx context.Context, c *api.Call, id string) (*Session, error) {
	session, err := s.byID(ctx, c.Snapshot, id, c.Now)
	if errors.Is(err, api.ErrGone) {
		return nil, badGrant()
	}
	return session, err
}

func (s *Service) createApplicationToken(_ context.Context, c *api.Call, _ *shape.CreateApplicationTokenInput, i *issue) (api.Commit[shape.CreateApplicationTokenOutput], error) {
	out := &shape.CreateApplicationTokenOutput{}
	if i.refusal != "" {
		out.Error, out.ErrorDescription = "invalid_grant", i.refusal
	} else if err := s.issue(c, i, out); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateApplicationTokenOutput, error) {
		for _, change := range i.changes {
			if err := change(tx); err != nil {
				return nil, err
			}
		}
		return out, nil
	}, nil
}

// issue makes the tokens.
func (s *Service) issue(c *api.Call, i *issue, out *shape.CreateApplicationTokenOutput) error {
	keys, made, err := s.freshKeys(c.Snapshot, c.Now)
	if err != nil {
		return err
	}
	i.then(made)
	i.then(func(tx *store.Tx) error { return used(tx, i.session, c.Now) })
	life := min(accessLife, i.session.Expires.Sub(c.Now)).Truncate(time.Second)
	seconds := int32(life / time.Second)
	out.TokenType, out.ExpiresIn, out.Scope = "Bearer", &seconds, strings.Join(i.scopes, " ")
	if out.AccessToken, err = s.sealed(bearerSealing, bearerToken{i.family.id, i.scopes, c.Now.Add(life)}); err != nil {
		return err
	}
	if i.renews {
		all := further{i.family.id, i.family.serial, i.scopes, i.issuer}
		if out.RefreshToken, err = s.sealed(furtherSealing, all); err != nil {
			return err
		}
	}
	claims, err := s.personClaims(c, i.session.UserID, i.scopes)
	if err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(out.AccessToken))
	for name, value := range map[string]any{
		"iss": i.issuer, "aud": i.application.ID, "azp": i.application.ID, "iat": c.Now.Unix(), "exp": c.Now.Add(life).Unix(),
		"auth_time": i.session.Created.Unix(), "amr": amr(i.session), "sid": i.session.ID,
		"at_hash": base64.RawURLEncoding.EncodeToString(hash[:len(hash)/2]),
	} {
		claims[name] = value
	}
	if i.nonce != "" {
		claims["nonce"] = i.nonce
	}
	out.IdToken, err = s.signed(keys, jose.SignatureAlgorithm(i.application.Algorithm), claims, c.Now)
	return err
}

// amr is how a person proved herself, in RFC 8176's words.
func amr(session *Session) []string {
	ways := slices.Clone(session.Methods)
	if session.Strong() && !slices.Contains(ways, "mfa") {
		ways = append(ways, "mfa")
	}
	return ways
}

// revoked finds the family of a token that an application gives back. One that is none
// of its own is nothing to it (RFC 7009).
func (s *Service) revoked(_ context.Context, c *api.Call, in *shape.RevokeApplicationTokenInput) (string, []api.Demand, error) {
	a, err := proven(c.Snapshot, in.ClientId, in.ClientSecret)
	if err != nil {
		return "", nil, err
	}
	c.Note("application", a.ID)
	var b bearerToken
	var r further
	id := ""
	if unseal(bearerSealing, s.Key, in.Token, nil, &b) == nil {
		id = b.Family
	} else if unseal(furtherSealing, s.Key, in.Token, nil, &r) == nil {
		id = r.Family
	}
	f, err := familyOf(c.Snapshot, id)
	if err != nil || f == nil || f.application != a.ID {
		return "", nil, err
	}
	return f.id, nil, nil
}

func (s *Service) revokeApplicationToken(_ context.Context, _ *api.Call, _ *shape.RevokeApplicationTokenInput, id string) (api.Commit[shape.RevokeApplicationTokenOutput], error) {
	return func(tx *store.Tx) (*shape.RevokeApplicationTokenOutput, error) {
		return &shape.RevokeApplicationTokenOutput{}, endFamily(tx, id)
	}, nil
}
