package identity

import "bawn.dev/internal/store"

// Migrations are the room's tables. doc holds the attributes of a noun as JSON;
// what is looked up has a column of its own.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "identity", Version: 1, SQL: []string{
		`CREATE TABLE identity_instance (id INTEGER PRIMARY KEY, instance TEXT NOT NULL, store TEXT NOT NULL, created INTEGER NOT NULL)`,
		`CREATE TABLE identity_users (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, email TEXT NOT NULL, doc BLOB NOT NULL,
			enabled BOOLEAN NOT NULL, created INTEGER NOT NULL, not_before INTEGER NOT NULL)`,
		`CREATE INDEX identity_users_email ON identity_users (email)`,
		`CREATE TABLE identity_groups (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL, created INTEGER NOT NULL)`,
		`CREATE TABLE identity_memberships (id TEXT PRIMARY KEY, group_id TEXT NOT NULL, user_id TEXT NOT NULL, UNIQUE (group_id, user_id))`,
		`CREATE INDEX identity_memberships_user ON identity_memberships (user_id)`,
		`CREATE TABLE identity_applications (arn TEXT PRIMARY KEY, name TEXT NOT NULL, doc BLOB NOT NULL, created INTEGER NOT NULL)`,
		`CREATE TABLE identity_assignments (application TEXT NOT NULL, kind TEXT NOT NULL, principal TEXT NOT NULL, PRIMARY KEY (application, kind, principal))`,
		`CREATE TABLE identity_issuers (arn TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, doc BLOB NOT NULL)`,
	}}, {Room: "identity", Version: 2, SQL: []string{
		// A group from before has no doc. lower knows ASCII only: see findGroup.
		`ALTER TABLE identity_groups ADD COLUMN doc BLOB`,
		`ALTER TABLE identity_groups ADD COLUMN folded TEXT NOT NULL DEFAULT ''`,
		`UPDATE identity_groups SET folded = lower(name)`,
		`CREATE INDEX identity_groups_folded ON identity_groups (folded)`,
		`ALTER TABLE identity_memberships ADD COLUMN created INTEGER NOT NULL DEFAULT 0`,
		`ALTER TABLE identity_memberships ADD COLUMN created_by TEXT NOT NULL DEFAULT ''`,
		`CREATE INDEX identity_memberships_group_page ON identity_memberships (group_id, id)`,
		`CREATE INDEX identity_memberships_user_page ON identity_memberships (user_id, id)`,
		`DROP INDEX identity_memberships_user`,
		`CREATE TABLE identity_external_ids (kind TEXT NOT NULL, issuer TEXT NOT NULL, external TEXT NOT NULL, principal TEXT NOT NULL,
			PRIMARY KEY (kind, issuer, external)) WITHOUT ROWID`,
	}}, accessMigration, sourceMigration}
}

// accessMigration is who may enter which account, and as what. A role has one name
// as long as its row is there. revision is that of the permission set which the role
// was last made after; 0: it may not be there yet.
var accessMigration = store.Migration{Room: "identity", Version: 3, SQL: []string{
	`ALTER TABLE identity_instance ADD COLUMN name TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE identity_instance ADD COLUMN attributes BLOB`,
	`CREATE TABLE identity_permission_sets (arn TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL, doc BLOB NOT NULL)`,
	`CREATE TABLE identity_roles (account TEXT NOT NULL, permission_set TEXT NOT NULL, role TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,
		seconds INTEGER NOT NULL, PRIMARY KEY (account, permission_set))`,
	`CREATE INDEX identity_roles_set ON identity_roles (permission_set, account)`,
	`CREATE TABLE identity_account_assignments (account TEXT NOT NULL, permission_set TEXT NOT NULL, kind TEXT NOT NULL, principal TEXT NOT NULL,
		PRIMARY KEY (account, permission_set, kind, principal)) WITHOUT ROWID`,
	`CREATE INDEX identity_account_assignments_principal ON identity_account_assignments (kind, principal, account, permission_set)`,
	`CREATE TABLE identity_requests (id TEXT PRIMARY KEY, action TEXT NOT NULL, account TEXT NOT NULL, permission_set TEXT NOT NULL,
		kind TEXT NOT NULL, principal TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID`,
	`CREATE INDEX identity_requests_action ON identity_requests (action, id)`,
	`CREATE INDEX identity_requests_state ON identity_requests (state, id)`,
	`CREATE TABLE identity_tags (owner TEXT NOT NULL, folded TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
		PRIMARY KEY (owner, folded)) WITHOUT ROWID`,
}}

// The version keys of what decisions read.
func userKey(id string) string         { return "identity:user/" + id }
func groupKey(id string) string        { return "identity:group/" + id }
func applicationKey(arn string) string { return "identity:application/" + arn }
func issuerKey(arn string) string      { return "identity:issuer/" + arn }
func setKey(arn string) string         { return "identity:permissionset/" + arn }
func tagsKey(arn string) string        { return "identity:tags/" + arn }

// roleKey is the version of a role that was made, and of who may hold it.
func roleKey(arn string) string { return "identity:role/" + arn }

// instanceKey is the version of what the instance is set to.
const instanceKey = "identity:instance"
