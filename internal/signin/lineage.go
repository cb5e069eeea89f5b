package signin

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
)

const (
	lineSealing seal.Purpose = "signin exchanged refresh token"
	// lineLife is how long an application may go on for a person who proved herself
	// elsewhere; one with background sessions has backgroundLife, also after her
	// sign-in ended.
	lineLife       = 8 * time.Hour
	backgroundLife = 7 * 24 * time.Hour
)

// A lineage is what an application got of a person, from her proof on: each refresh
// token is good once, for the next one. It ends with her sign-in and with the lineage
// that it was exchanged from, unless the application has background sessions.
type lineage struct {
	id          string // credential id of what is made in it
	userID      string
	application string
	parent      string // her sign-in here; empty: none, or it may end
	origin      string // lineage that it was exchanged from; empty as parent is
	actor       string // trusted token issuer
	scopes      []string
	signedIn    time.Time
	until       time.Time
	serial      int64 // of the refresh token that is good
	rotated     time.Time
}

// A lineRenewal is what is sealed into a refresh token.
type lineRenewal struct {
	Line   string `json:"l"`
	Serial int64  `json:"n"`
}

var lineageMigration = store.Migration{Room: "signin", Version: 6, SQL: []string{
	`CREATE TABLE signin_lineages (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, application TEXT NOT NULL, parent TEXT NOT NULL, origin TEXT NOT NULL,
		actor TEXT NOT NULL, scopes TEXT NOT NULL, signed_in INTEGER NOT NULL, until INTEGER NOT NULL, serial INTEGER NOT NULL, rotated INTEGER NOT NULL)`,
	`CREATE INDEX signin_lineages_user ON signin_lineages (user_id)`,
	`CREATE INDEX signin_lineages_until ON signin_lineages (until)`,
}}

func lineageKey(id string) string { return "signin:lineage/" + id }

// lineageOf finds a lineage; one that is over, or whose sign-in or origin is, is
// api.ErrGone.
func lineageOf(c *api.Call, id string) (*lineage, error) {
	l := &lineage{id: id}
	var scopes string
	var signedIn, until, rotated int64
	err := c.Snapshot.QueryRow(`SELECT user_id, application, parent, origin, actor, scopes, signed_in, until, serial, rotated FROM signin_lineages WHERE id = ?`, id).
		Scan(&l.userID, &l.application, &l.parent, &l.origin, &l.actor, &scopes, &signedIn, &until, &l.serial, &rotated)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, api.ErrGone
	}
	if err != nil {
		return nil, err
	}
	l.scopes = strings.Fields(scopes)
	l.signedIn, l.until, l.rotated = time.UnixMicro(signedIn).UTC(), time.UnixMicro(until).UTC(), time.UnixMicro(rotated).UTC()
	if _, err := c.Snapshot.Version(lineageKey(id)); err != nil {
		return nil, err
	}
	if !c.Now.Before(l.until) {
		return nil, api.ErrGone
	}
	return l, going(c, l.parent, l.origin)
}

// going says whether what something hangs on is still there. That a browser was not
// used for long does not end what an application does meanwhile.
func going(c *api.Call, parent, origin string) error {
	for _, on := range []struct{ id, key, query string }{
		{parent, sessionKey(parent), `SELECT count(*) FROM signin_sessions WHERE id = ? AND expires > ?`},
		{origin, lineageKey(origin), `SELECT count(*) FROM signin_lineages WHERE id = ? AND until > ?`},
	} {
		if on.id == "" {
			continue
		}
		var there int
		if err := c.Snapshot.QueryRow(on.query, on.id, c.Now.UnixMicro()).Scan(&there); err != nil {
			return err
		}
		if _, err := c.Snapshot.Version(on.key); err != nil {
			return err
		}
		if there == 0 {
			return api.ErrGone
		}
	}
	return nil
}

func (l *lineage) insert(tx *store.Tx, now time.Time) error {
	if _, err := tx.Exec(`DELETE FROM signin_lineages WHERE until < ?`, now.UnixMicro()); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO signin_lineages (id, user_id, application, parent, origin, actor, scopes, signed_in, until, serial, rotated)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0)`, l.id, l.userID, l.application, l.parent, l.origin, l.actor, strings.Join(l.scopes, " "),
		l.signedIn.UnixMicro(), l.until.UnixMicro())
	return errors.Join(err, tx.Touch(lineageKey(l.id)))
}

func (l *lineage) rotate(tx *store.Tx, now time.Time) error {
	_, err := tx.Exec(`UPDATE signin_lineages SET serial = ?, rotated = ? WHERE id = ?`, l.serial+1, now.UnixMicro(), l.id)
	return errors.Join(err, tx.Touch(lineageKey(l.id)))
}

func endLineage(tx *store.Tx, id string) error {
	_, err := tx.Exec(`DELETE FROM signin_lineages WHERE id = ?`, id)
	return errors.Join(err, tx.Touch(lineageKey(id)))
}

// endLineages ends what every application has of a person.
func endLineages(tx *store.Tx, userID string) error {
	return endLineagesWhere(tx, `user_id = ?`, userID)
}

// endLineagesBut ends what applications have of a person by her sign-ins here, except
// by one of them. With background sessions it is not known of which one they are.
func endLineagesBut(tx *store.Tx, userID, session string) error {
	return endLineagesWhere(tx, `user_id = ? AND actor = '' AND parent <> ?`, userID, session)
}

func endLineagesWhere(tx *store.Tx, where string, values ...any) error {
	ids, err := store.Collect(tx, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT id FROM signin_lineages WHERE `+where, values...)
	for _, id := range ids {
		err = errors.Join(err, endLineage(tx, id))
	}
	return err
}

// shownAgain ends a lineage after something that is good once was shown again: two
// have it. It records that, and the answer is a refusal like any other.
func (s *Service) shownAgain(ctx context.Context, c *api.Call, app *api.Application, userID, line, event string) error {
	bad := refused("InvalidGrantException", "What was shown has been used before.")
	var there int
	if err := c.Snapshot.QueryRow(`SELECT count(*) FROM signin_lineages WHERE id = ?`, line).Scan(&there); err != nil || there == 0 {
		return errors.Join(err, bad)
	}
	if s.Happened == nil {
		return errors.New("signin: a lineage must end and nobody writes it down")
	}
	p := &api.Person{UserID: userID, InstanceARN: app.InstanceARN, IdentityStoreARN: app.IdentityStoreARN, ApplicationARN: app.ARN, CredentialID: line}
	e := api.Event{
		Service: "sso-oauth", Name: event, Claim: api.Claim{Kind: api.KindCentre, Account: s.Account, Person: p},
		Details: map[string]any{"credentialId": line, "sourceIPAddress": sourceOf(c), "requestId": c.RequestID},
	}
	if err := s.Happened(ctx, e, func(tx *store.Tx) error { return endLineage(tx, line) }); err != nil {
		return err
	}
	return bad
}
