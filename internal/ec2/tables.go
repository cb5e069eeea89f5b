package ec2

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/store"
)

// Migrations are the tables of the service. A resource is a row whose body holds
// what is its kind's own: a VPC is always read and judged as a whole.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "ec2", Version: 1, SQL: []string{
		`CREATE TABLE ec2_resources (
			id TEXT PRIMARY KEY, account TEXT NOT NULL, vpc TEXT NOT NULL, kind TEXT NOT NULL,
			created INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID`,
		`CREATE INDEX ec2_resources_vpc ON ec2_resources (vpc, id)`,
		`CREATE INDEX ec2_resources_account ON ec2_resources (account, kind, id)`,
		`CREATE TABLE ec2_tokens (
			account TEXT NOT NULL, operation TEXT NOT NULL, token TEXT NOT NULL, input BLOB NOT NULL,
			resources TEXT NOT NULL, created INTEGER NOT NULL, PRIMARY KEY (account, operation, token)) WITHOUT ROWID`,
		`CREATE INDEX ec2_tokens_created ON ec2_tokens (created)`,
	}}, {Room: "ec2", Version: 2, SQL: []string{
		// Entries of prefix lists: the current version's and those that can be restored.
		`CREATE TABLE ec2_list_versions (
			list TEXT NOT NULL, version INTEGER NOT NULL, entries TEXT NOT NULL, PRIMARY KEY (list, version)) WITHOUT ROWID`,
	}}, {Room: "ec2", Version: 3, SQL: []string{
		`CREATE INDEX ec2_resources_kind ON ec2_resources (kind, id)`,
		// What the operator opened, and the endpoints that lead to endpoint services.
		`CREATE TABLE ec2_outside (
			id TEXT PRIMARY KEY, account TEXT NOT NULL, vpc TEXT NOT NULL, grp TEXT NOT NULL, name TEXT NOT NULL, ports TEXT NOT NULL,
			budget INTEGER NOT NULL, used INTEGER NOT NULL, created INTEGER NOT NULL, operator TEXT NOT NULL) WITHOUT ROWID`,
		`CREATE INDEX ec2_outside_vpc ON ec2_outside (vpc, grp)`,
		`CREATE TABLE ec2_sites (
			account TEXT NOT NULL, name TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL, created INTEGER NOT NULL,
			operator TEXT NOT NULL, PRIMARY KEY (account, name)) WITHOUT ROWID`,
		`CREATE TABLE ec2_connections (
			endpoint TEXT PRIMARY KEY, service TEXT NOT NULL, account TEXT NOT NULL, vpc TEXT NOT NULL) WITHOUT ROWID`,
		`CREATE INDEX ec2_connections_service ON ec2_connections (service, endpoint)`,
	}}}
}

const columns = "id, account, vpc, created, body"

// read makes a resource of its row.
func read(scan func(...any) error) (object, error) {
	var m meta
	var created int64
	var body string
	if err := scan(&m.ID, &m.Account, &m.VPC, &created, &body); err != nil {
		return nil, err
	}
	k := kindOf(m.ID)
	if k == nil {
		return nil, fmt.Errorf("ec2: a row has the id %q", m.ID)
	}
	o := k.empty()
	if err := json.Unmarshal([]byte(body), o, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("ec2: the row of %s: %w", m.ID, err)
	}
	m.Tags, m.Created = o.head().Tags, time.UnixMicro(created)
	*o.head() = m
	return o, nil
}

// row finds a resource by id; nil when there is none.
func row(q store.Querier, id string) (object, error) {
	o, err := read(q.QueryRow("SELECT "+columns+" FROM ec2_resources WHERE id = ?", id).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows) && kindACL.names(id):
		return defaultACLFor(q, id)
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	}
	return o, err
}

// put writes resources, new or changed.
func (s *Service) put(tx *store.Tx, all ...object) error {
	for _, o := range all {
		body, err := json.Marshal(o, json.Deterministic(true))
		if err != nil {
			return err
		}
		m := o.head()
		if _, err := tx.Exec(`INSERT INTO ec2_resources (id, account, vpc, kind, created, body) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET body = excluded.body`,
			m.ID, m.Account, m.VPC, o.kind().name, m.Created.UnixMicro(), string(body)); err != nil {
			return err
		}
	}
	return s.touch(tx, all)
}

// drop deletes resources, and what other tables have of them.
func (s *Service) drop(tx *store.Tx, all ...object) error {
	for _, o := range all {
		if _, err := tx.Exec("DELETE FROM ec2_resources WHERE id = ?", o.head().ID); err != nil {
			return err
		}
		if of, ok := o.(interface{ gone(*store.Tx) error }); ok {
			if err := of.gone(tx); err != nil {
				return err
			}
		}
	}
	return s.touch(tx, all)
}

// touch tells decisions and the reconciler what changed.
func (s *Service) touch(tx *store.Tx, all []object) error {
	if len(all) == 0 {
		return nil
	}
	seen := map[string]bool{}
	for _, o := range all {
		seen[o.kind().key(o.head().ID)] = true
		if o.head().VPC != "" {
			seen[networkKey(o.head().VPC)] = true
		}
		if far, ok := o.(outlying); ok {
			for _, id := range far.reaches() {
				seen[networkKey(id)] = true
			}
		}
	}
	keys := make([]string, 0, len(seen))
	for k := range seen {
		keys = append(keys, k)
	}
	tx.AfterCommit(s.notify)
	return tx.Touch(keys...)
}
