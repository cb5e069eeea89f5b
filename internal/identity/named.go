package identity

import (
	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// Named is what an enabled person is called: her user name, how she is shown, and her
// first address, if she has one. api.ErrGone for one who was removed or disabled.
func (s *Service) Named(sn *store.Snapshot, userID string) (userName, displayName, email string, err error) {
	u, err := user(sn, userID)
	if err != nil {
		return "", "", "", err
	}
	if u == nil {
		return "", "", "", api.ErrGone
	}
	var enabled bool
	if err := sn.QueryRow(`SELECT enabled FROM identity_users WHERE id = ?`, userID).Scan(&enabled); err != nil {
		return "", "", "", err
	}
	if !enabled {
		return "", "", "", api.ErrGone
	}
	if len(u.Emails) > 0 {
		email = u.Emails[0].Value
	}
	return u.UserName, u.DisplayName, email, nil
}

// GroupsOf are the ids and names of the groups that a person is in, by name.
func (s *Service) GroupsOf(sn *store.Snapshot, userID string) (ids, names []string, err error) {
	if _, err := sn.Version(userKey(userID)); err != nil {
		return nil, nil, err
	}
	list, err := store.Collect(sn, func(r *store.Rows) (g [2]string, err error) { return g, r.Scan(&g[0], &g[1]) },
		`SELECT g.id, g.name FROM identity_memberships m JOIN identity_groups g ON g.id = m.group_id WHERE m.user_id = ? ORDER BY g.name`, userID)
	for _, g := range list {
		ids, names = append(ids, g[0]), append(names, g[1])
	}
	return ids, names, err
}

// GroupID is the id behind a group's name; empty if there is none.
func (s *Service) GroupID(q store.Querier, name string) (string, error) {
	return one(q, `SELECT id FROM identity_groups WHERE `+groupNamed, Fold(name), name)
}
