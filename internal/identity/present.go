package identity

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// UserID is the id behind a user name; empty if there is none.
func (s *Service) UserID(q store.Querier, name string) (string, error) {
	return one(q, `SELECT id FROM identity_users WHERE name = ?`, Fold(name))
}

// UserName is the name behind an id; the id itself if she is no longer there.
func (s *Service) UserName(q store.Querier, id string) (string, error) {
	u, err := user(q, id)
	if err != nil || u == nil {
		return id, err
	}
	return u.UserName, nil
}

// ID is the directory's: "d-…".
func (s *Service) ID(q store.Querier) (string, error) {
	i, err := s.instance(q)
	return i.store, err
}

// FindUser finds the one enabled person with an attribute: userName or
// emails.value, compared without case. None, or more than one, is api.ErrGone.
func (s *Service) FindUser(_ context.Context, sn *store.Snapshot, path, value string) (string, error) {
	column := map[string]string{"username": "name", "emails.value": "email"}[strings.ToLower(path)]
	if column == "" {
		return "", invalid("%q is not a unique attribute: userName and emails.value are.", path)
	}
	if value == "" {
		return "", api.ErrGone
	}
	id, err := one(sn, `SELECT id FROM identity_users WHERE `+column+` = ? AND enabled LIMIT 2`, Fold(value))
	if err != nil {
		return "", err
	}
	if id == "" {
		return "", api.ErrGone
	}
	_, err = sn.Version(userKey(id))
	return id, err
}

// A standing is what Present knows of a person at an application.
type standing struct {
	welcome   bool
	notBefore int64
}

type standingKey struct {
	user, application string
	version           int64 // the application's
}

// Present implements authz.Directory. Who needs an assignment and lost it, or the
// group that had it, is gone like one who was removed, and so is everybody of an
// application that was disabled or deleted.
func (s *Service) Present(ctx context.Context, sn *store.Snapshot, p *api.Person) error {
	versions, err := sn.Versions(userKey(p.UserID), applicationKey(p.ApplicationARN))
	if err != nil {
		return err
	}
	key := standingKey{p.UserID, p.ApplicationARN, versions[1]}
	known, ok := s.standings.Get(key, versions[0])
	if !ok {
		if known, err = s.standing(ctx, sn, p); err != nil {
			return err
		}
		s.standings.Put(key, versions[0], known)
	}
	if !known.welcome || p.SignedIn.UnixMicro() < known.notBefore {
		return api.ErrGone
	}
	return nil
}

func (s *Service) standing(ctx context.Context, sn *store.Snapshot, p *api.Person) (standing, error) {
	var now standing
	err := sn.QueryRow(`SELECT enabled, not_before FROM identity_users WHERE id = ?`, p.UserID).Scan(&now.welcome, &now.notBefore)
	if errors.Is(err, sql.ErrNoRows) {
		return standing{}, nil
	}
	if err != nil || !now.welcome || p.ApplicationARN == "" { // without an application she signed in by herself
		return now, err
	}
	a, err := s.application(sn, p.ApplicationARN)
	if err != nil || a == nil || a.Shown.Status == shape.ApplicationStatusDisabled {
		return standing{}, err
	}
	if a.AssignmentRequired {
		now.welcome, err = s.Assigned(ctx, sn, p.ApplicationARN, p.UserID)
	}
	return now, err
}
