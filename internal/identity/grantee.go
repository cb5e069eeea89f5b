package identity

import "bawn.dev/internal/store"

// Known says whether there is a user, or a group; one of the two is asked for.
func (s *Service) Known(sn *store.Snapshot, userID, groupID string) (bool, error) {
	table, id, key := "identity_users", userID, userKey(userID)
	if groupID != "" {
		table, id, key = "identity_groups", groupID, groupKey(groupID)
	}
	if _, err := sn.Version(key); err != nil {
		return false, err
	}
	found, err := one(sn, `SELECT id FROM `+table+` WHERE id = ?`, id)
	return found != "", err
}
