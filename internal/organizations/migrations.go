package organizations

import "bawn.dev/internal/store"

// Migrations are the tables of the service. Times are microseconds since 1970.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "organizations", Version: 1, SQL: []string{
		// One row: there is one organization.
		`CREATE TABLE organizations_organization (
			single INTEGER PRIMARY KEY CHECK (single = 1), id TEXT NOT NULL, root TEXT NOT NULL, management TEXT NOT NULL,
			created INTEGER NOT NULL)`,
		`CREATE TABLE organizations_accounts (
			id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, state TEXT NOT NULL, joined TEXT NOT NULL,
			created INTEGER NOT NULL, not_before INTEGER NOT NULL) WITHOUT ROWID`,
		`CREATE UNIQUE INDEX organizations_accounts_email ON organizations_accounts (email)`,
		`CREATE TABLE organizations_requests (
			id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, state TEXT NOT NULL,
			reason TEXT NOT NULL, requested INTEGER NOT NULL, completed INTEGER NOT NULL) WITHOUT ROWID`,
		`CREATE INDEX organizations_requests_state ON organizations_requests (state)`,
	}}, {Room: "organizations", Version: 2, SQL: []string{
		`ALTER TABLE organizations_accounts ADD COLUMN parent TEXT NOT NULL DEFAULT ''`,
		`ALTER TABLE organizations_accounts ADD COLUMN closed INTEGER NOT NULL DEFAULT 0`,
		`UPDATE organizations_accounts SET parent = (SELECT root FROM organizations_organization WHERE single = 1)`,
		`CREATE INDEX organizations_accounts_parent ON organizations_accounts (parent, id)`,
		`CREATE TABLE organizations_units (
			id TEXT PRIMARY KEY, parent TEXT NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID`,
		`CREATE UNIQUE INDEX organizations_units_name ON organizations_units (parent, name)`,
		// A revision is never used for two contents: parsed policies are kept by it.
		`CREATE TABLE organizations_policies (
			id TEXT PRIMARY KEY, type TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL, content TEXT NOT NULL,
			revision INTEGER NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID`,
		`CREATE UNIQUE INDEX organizations_policies_name ON organizations_policies (type, name)`,
		// The policies that AWS supplies are attached like the others and have no row above.
		`CREATE TABLE organizations_attachments (
			target TEXT NOT NULL, policy TEXT NOT NULL, type TEXT NOT NULL, PRIMARY KEY (target, policy)) WITHOUT ROWID`,
		`CREATE INDEX organizations_attachments_policy ON organizations_attachments (policy, target)`,
		`CREATE TABLE organizations_types (type TEXT PRIMARY KEY) WITHOUT ROWID`,
		`CREATE TABLE organizations_tags (
			owner TEXT NOT NULL, folded TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (owner, folded)) WITHOUT ROWID`,
		// Every decision depends on the tree: a row that is there can be held until a
		// commit, so that the first change waits for what was decided before it.
		`INSERT INTO versions (key, version) VALUES ('organizations:tree', 0)`,
	}}}
}
