package signin

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/ssooidc"
	"bawn.dev/internal/store"
)

const (
	refreshSealing seal.Purpose = "signin client refresh token"
	// refreshRace is how long the last refresh token may still be shown, and be
	// refused, without harm: two programs of one person share a cached one.
	refreshRace = 30 * time.Second
)

// A refresh token is good once, for the next one. That an old one is shown means that
// two have it: the sign-in ends.
type refresh struct {
	Session string `json:"s"`
	Serial  int64  `json:"n"`
}

// A clientRow is what is kept of a client's sign-in, beside it.
type clientRow struct {
	parent, client string
	scopes         []string
	serial         int64 // of the refresh token that is good
	rotated        time.Time
}

func clientKey(session string) string { return "signin:client/" + session }

// clientSession finds a client's sign-in. It is api.ErrGone once it was ended, or the
// one from which it was approved.
func (s *Service) clientSession(ctx context.Context, c *api.Call, id string) (*Session, *clientRow, error) {
	in, err := s.byID(ctx, c.Snapshot, id, c.Now)
	if err != nil {
		return nil, nil, err
	}
	row := &clientRow{}
	var scopes string
	var rotated int64
	err = c.Snapshot.QueryRow(`SELECT parent, client, scopes, serial, rotated FROM signin_clients WHERE session = ?`, id).Scan(
		&row.parent, &row.client, &scopes, &row.serial, &rotated)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, api.ErrGone
	}
	if err != nil {
		return nil, nil, err
	}
	row.scopes, row.rotated = strings.Fields(scopes), time.UnixMicro(rotated).UTC()
	if _, err := c.Snapshot.Versions(clientKey(id), sessionKey(row.parent)); err != nil {
		return nil, nil, err
	}
	var there int
	if err := c.Snapshot.QueryRow(`SELECT count(*) FROM signin_sessions WHERE id = ? AND user_id = ?`, row.parent, in.UserID).Scan(&there); err != nil {
		return nil, nil, err
	}
	if there == 0 {
		return nil, nil, api.ErrGone
	}
	return in, row, nil
}

// refreshed gives a client more time in its sign-in, and the next refresh token.
func (s *Service) refreshed(ctx context.Context, c *api.Call, known *client, in *shape.CreateTokenInput) (*given, error) {
	bad := refused("InvalidGrantException", "Invalid refresh token provided")
	var t refresh
	if len(in.RefreshToken) > maxAccess || unseal(refreshSealing, s.Key, in.RefreshToken, nil, &t) != nil {
		return nil, bad
	}
	session, row, err := s.clientSession(ctx, c, t.Session)
	if errors.Is(err, api.ErrGone) {
		return nil, bad
	}
	if err != nil {
		return nil, err
	}
	if row.client != known.digest() {
		return nil, bad
	}
	if t.Serial != row.serial {
		if t.Serial == row.serial-1 && c.Now.Sub(row.rotated) < refreshRace {
			return nil, bad
		}
		return nil, s.misused(ctx, c, session.UserID, session.ID, "RefreshTokenReused")
	}
	scopes := in.Scope
	if len(scopes) == 0 {
		scopes = row.scopes
	}
	for _, scope := range scopes {
		if !slices.Contains(row.scopes, scope) {
			return nil, refused("InvalidScopeException", "The scope was not granted.")
		}
	}
	next := row.serial + 1
	return &given{session: session, scopes: scopes, serial: next, changes: []func(*store.Tx) error{
		func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE signin_clients SET serial = ?, rotated = ? WHERE session = ?`, next, c.Now.UnixMicro(), session.ID)
			return errors.Join(err, tx.Touch(clientKey(session.ID)))
		},
		func(tx *store.Tx) error { return used(tx, session, c.Now) },
	}}, nil
}

// misused ends a client's sign-in after something that is good once was shown again,
// and records it. The answer is a refusal like any other.
func (s *Service) misused(ctx context.Context, c *api.Call, userID, session, event string) error {
	bad := refused("InvalidGrantException", "What was shown has been used before.")
	var there int
	if err := c.Snapshot.QueryRow(`SELECT count(*) FROM signin_sessions WHERE id = ?`, session).Scan(&there); err != nil || there == 0 {
		return errors.Join(err, bad)
	}
	if s.Happened == nil {
		return errors.New("signin: a sign-in must end and nobody writes it down")
	}
	p, err := s.person(c.Snapshot, &Session{ID: session, UserID: userID})
	if err != nil {
		return err
	}
	e := api.Event{
		Service: "sso-oauth", Name: event, Claim: api.Claim{Kind: api.KindCentre, Account: s.Account, Person: p},
		Details: map[string]any{"credentialId": session, "sourceIPAddress": sourceOf(c), "requestId": c.RequestID},
	}
	if err := s.Happened(ctx, e, func(tx *store.Tx) error { return end(tx, userID, session) }); err != nil {
		return err
	}
	return bad
}
