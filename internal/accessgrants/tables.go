package accessgrants

import (
	"database/sql"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/s3control"
	"bawn.dev/internal/store"
)

// Migrations are the room's tables. An account has at most one instance.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "accessgrants", Version: 1, SQL: []string{
		`CREATE TABLE accessgrants_instances (account TEXT PRIMARY KEY, created INTEGER NOT NULL, centre TEXT NOT NULL,
			policy TEXT NOT NULL, bindings TEXT NOT NULL, policy_at INTEGER NOT NULL, tags TEXT NOT NULL) WITHOUT ROWID`,
		`CREATE TABLE accessgrants_locations (account TEXT NOT NULL, id TEXT NOT NULL, created INTEGER NOT NULL, scope TEXT NOT NULL,
			role TEXT NOT NULL, role_id TEXT NOT NULL, tags TEXT NOT NULL, PRIMARY KEY (account, id), UNIQUE (account, scope)) WITHOUT ROWID`,
		`CREATE TABLE accessgrants_grants (account TEXT NOT NULL, id TEXT NOT NULL, created INTEGER NOT NULL, location TEXT NOT NULL,
			sub TEXT NOT NULL, kind TEXT NOT NULL, grantee TEXT NOT NULL, grantee_id TEXT NOT NULL, permission TEXT NOT NULL,
			application TEXT NOT NULL, scope TEXT NOT NULL, object TEXT NOT NULL, tags TEXT NOT NULL, PRIMARY KEY (account, id),
			UNIQUE (account, kind, grantee_id, scope, object, permission, application)) WITHOUT ROWID`,
		`CREATE INDEX accessgrants_grants_location ON accessgrants_grants (account, location)`,
	}}}
}

// versionKey is what every change of an account's instance touches, and of all below.
func versionKey(account string) string { return "accessgrants:" + account }

// An instance is an account's.
type instance struct {
	account  string
	created  time.Time
	centre   string // the identity centre whose people can be granted; empty: none
	text     string // of the resource policy, as it was put; empty: none
	policy   *policy.Doc
	bindings policy.Bindings
	policyAt time.Time
	tags     tags
}

// A location is where grants can be made, and the role that reaches it.
type location struct {
	account, id  string
	created      time.Time
	scope        string // as it was registered
	role, roleID string
	tags         tags
}

// A grant lets somebody reach part of a location.
type grant struct {
	account, id string
	created     time.Time
	location    string
	sub         string
	kind        shape.GranteeType
	grantee     string // as it was named
	granteeID   string // whom that meant: a unique id
	permission  shape.Permission
	application string // the only one by which she may come; empty: any
	scope       string
	object      shape.S3PrefixType
	tags        tags
}

type tags map[string]string

func (t tags) text() (string, error) {
	b, err := json.Marshal(map[string]string(t), json.Deterministic(true))
	return string(b), err
}

func readTags(text string) (t tags, err error) { return t, json.Unmarshal([]byte(text), &t) }

func at(micro int64) time.Time { return time.UnixMicro(micro).UTC() }

// find reads an account's instance; nil if there is none.
func find(sn *store.Snapshot, account string) (*instance, error) {
	if _, err := sn.Version(versionKey(account)); err != nil {
		return nil, err
	}
	i := &instance{account: account}
	var created, policyAt int64
	var bindings, tagText string
	err := sn.QueryRow(`SELECT created, centre, policy, bindings, policy_at, tags FROM accessgrants_instances WHERE account = ?`, account).
		Scan(&created, &i.centre, &i.text, &bindings, &policyAt, &tagText)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	i.created, i.policyAt = at(created), at(policyAt)
	if i.bindings, err = policy.ReadBindings(bindings); err != nil {
		return nil, err
	}
	if i.text != "" {
		p, err := i.bindings.Parse(i.text, policy.Resource)
		if err != nil {
			return nil, err
		}
		i.policy = &policy.Doc{Name: "resource policy of the access grants instance", Policy: p}
	}
	i.tags, err = readTags(tagText)
	return i, err
}

const locationColumns = `SELECT account, id, created, scope, role, role_id, tags FROM accessgrants_locations `

func scanLocation(r *store.Rows) (*location, error) {
	l := &location{}
	var created int64
	var tagText string
	if err := r.Scan(&l.account, &l.id, &created, &l.scope, &l.role, &l.roleID, &tagText); err != nil {
		return nil, err
	}
	var err error
	l.created = at(created)
	l.tags, err = readTags(tagText)
	return l, err
}

func findLocation(q store.Querier, account, id string) (*location, error) {
	list, err := store.Collect(q, scanLocation, locationColumns+`WHERE account = ? AND id = ?`, account, id)
	return first(list), err
}

const grantColumns = `SELECT account, id, created, location, sub, kind, grantee, grantee_id, permission, application, scope, object, tags FROM accessgrants_grants `

func scanGrant(r *store.Rows) (*grant, error) {
	g := &grant{}
	var created int64
	var tagText string
	if err := r.Scan(&g.account, &g.id, &created, &g.location, &g.sub, (*string)(&g.kind), &g.grantee, &g.granteeID, (*string)(&g.permission),
		&g.application, &g.scope, (*string)(&g.object), &tagText); err != nil {
		return nil, err
	}
	var err error
	g.created = at(created)
	g.tags, err = readTags(tagText)
	return g, err
}

func findGrant(q store.Querier, account, id string) (*grant, error) {
	list, err := store.Collect(q, scanGrant, grantColumns+`WHERE account = ? AND id = ?`, account, id)
	return first(list), err
}

func first[T any](list []*T) *T {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func count(q store.Querier, query string, args ...any) (n int, err error) {
	return n, q.QueryRow(query, args...).Scan(&n)
}
