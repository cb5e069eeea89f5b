package iam

import (
	"crypto/rand"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// A kind says whether an entity is a user, a group or a role.
type kind string

const (
	user  kind = "User"
	group kind = "Group"
	role  kind = "Role"
)

func (k kind) noun() string { return strings.ToLower(string(k)) }

// An entity is a row of users, groups or roles, with its tags. A group is no
// principal: it makes no calls, and no policy can name it.
type entity struct {
	kind        kind
	id, account string
	path, name  string
	description string
	trust       string // of a role, as it was written
	maxSession  time.Duration
	created     time.Time
	notBefore   time.Time
	tags        []tag
	boundary    *attachment // nil for none
}

// newID makes a unique id. Those of IAM are four letters for the kind and 17
// more; those of access keys 16.
func newID(prefix string, n int) string { return prefix + rand.Text()[:n] }

func newEntity(k kind, account, path, name string, now time.Time) *entity {
	prefix := map[kind]string{user: "AIDA", group: groupID, role: "AROA"}[k]
	if path == "" {
		path = "/"
	}
	return &entity{kind: k, id: newID(prefix, 17), account: account, path: path, name: name, created: now.UTC().Truncate(time.Second)}
}

func (e *entity) arn() string { return entityARN(e.kind, e.account, e.path, e.name) }

func entityARN(k kind, account, path, name string) string {
	return "arn:aws:iam::" + account + ":" + k.noun() + path + name
}

func (e *entity) folded() string { return fold(e.name) }

// key is the version key of the entity and of all that belongs to it.
func (e *entity) key() string { return entityKey(e.id) }

func entityKey(id string) string { return "iam:entity/" + id }

// nameKey is the version key of what a name stands for, nothing included.
func nameKey(k kind, account, name string) string {
	return "iam:" + k.noun() + "name/" + account + "/" + fold(name)
}

// resource is the entity as decisions see it.
func (e *entity) resource() api.Resource {
	return api.Resource{ARN: e.arn(), Account: e.account, Type: "AWS::IAM::" + string(e.kind), Tags: tagMap(e.tags)}
}

// demand asks for an action on the entity.
func (e *entity) demand(action string) api.Demand {
	return api.Demand{Action: action, Resource: e.resource(), Keys: resourceTagKeys(e.tags)}
}

// named finds a user, group or role of an account by its name, or answers nil. The
// snapshot remembers both what the name stood for and what was found.
func named(sn *store.Snapshot, k kind, account, name string) (*entity, error) {
	if _, err := sn.Version(nameKey(k, account, name)); err != nil {
		return nil, err
	}
	e, err := entityByName(sn, k, account, name)
	if e == nil || err != nil || e.name != name {
		return nil, err
	}
	return e, complete(sn, e)
}

// complete makes the entity a dependency and reads its tags and boundary.
func complete(sn *store.Snapshot, e *entity) error {
	if _, err := sn.Version(e.key()); err != nil {
		return err
	}
	var err error
	if e.tags, err = tagsOf(sn, e.id); err != nil {
		return err
	}
	e.boundary, err = boundaryOf(sn, e.id)
	return err
}

// target resolves the entity that an operation names and demands an action on it.
func target(c *api.Call, k kind, name, action string) (*entity, []api.Demand, error) {
	e, err := named(c.Snapshot, k, c.Account, name)
	if err != nil {
		return nil, nil, err
	}
	if e == nil {
		missing := api.Resource{
			ARN: entityARN(k, c.Account, "/", name), Account: c.Account, Type: "AWS::IAM::" + string(k), Missing: noSuch(k, name),
		}
		return nil, api.On(action, missing), nil
	}
	return e, []api.Demand{guarded(c, e, e.demand(action))}, nil
}

// userOrCaller is target for operations that act on the caller when they name no
// user.
func userOrCaller(c *api.Call, name, action string) (*entity, []api.Demand, error) {
	if name != "" {
		return target(c, user, name, action)
	}
	claim := c.Claim()
	if claim.Kind != api.KindUser {
		return nil, nil, invalid("Must specify userName when calling with non-User credentials")
	}
	e, err := entityByID(c.Snapshot, claim.ID)
	if err != nil {
		return nil, nil, err
	}
	if e == nil {
		return nil, nil, api.ErrGone
	}
	if err := complete(c.Snapshot, e); err != nil {
		return nil, nil, err
	}
	return e, []api.Demand{e.demand(action)}, nil
}

// checkEmpty refuses to delete an entity that something still hangs on.
func checkEmpty(q querier, e *entity) error {
	for _, part := range []struct{ table, owner, message string }{
		{"iam_members", "user_id", "Cannot delete entity, must remove users from group first."},
		{"iam_members", "group_id", "Cannot delete entity, must remove users from group first."},
		{"iam_attachments", "owner", "Cannot delete entity, must detach all policies first."},
		{"iam_inline", "owner", "Cannot delete entity, must delete policies first."},
		{"iam_access_keys", "owner", "Cannot delete entity, must delete access keys first."},
		{"iam_devices", "owner", "Cannot delete entity, must delete MFA device first."},
	} {
		n, err := count(q, `SELECT COUNT(*) FROM `+part.table+` WHERE `+part.owner+` = ?`, e.id)
		if err != nil {
			return err
		}
		if n > 0 {
			return fail("DeleteConflict", "%s", part.message)
		}
	}
	return nil
}

// deleteEntity removes an entity and tells every trust policy that named it.
func deleteEntity(tx *store.Tx, e *entity) error {
	if err := checkEmpty(tx, e); err != nil {
		return err
	}
	trusting, err := store.Collect(tx, func(r *store.Rows) (string, error) {
		var owner string
		err := r.Scan(&owner)
		return entityKey(owner), err
	}, `SELECT owner FROM iam_bindings WHERE id = ?`, e.id)
	if err != nil {
		return err
	}
	for _, statement := range []string{
		`DELETE FROM iam_entities WHERE id = ?`, `DELETE FROM iam_tags WHERE owner = ?`, `DELETE FROM iam_bindings WHERE owner = ?`,
		`DELETE FROM iam_last_used WHERE id = ?`, `DELETE FROM iam_boundaries WHERE owner = ?`,
	} {
		if _, err := tx.Exec(statement, e.id); err != nil {
			return err
		}
	}
	return tx.Touch(append(trusting, e.key(), nameKey(e.kind, e.account, e.name))...)
}

// room refuses one more entity than the quota of an account allows.
func room(q querier, k kind, account string) error {
	limit, quota := map[kind]int{user: maxUsers, group: maxGroups, role: maxRoles}[k], string(k)+"sPerAccount"
	n, err := count(q, `SELECT COUNT(*) FROM iam_entities WHERE account = ? AND kind = ?`, account, string(k))
	if err != nil {
		return err
	}
	if n >= limit {
		return exceeded(quota, limit)
	}
	return nil
}

// listEntities reads a page of users, groups or roles, in the order of their names.
func listEntities(sn *store.Snapshot, k kind, account, prefix string, p page) ([]*entity, error) {
	return store.Collect(sn, func(r *store.Rows) (*entity, error) { return scanEntity(r.Scan) },
		`SELECT `+entityColumns+` FROM iam_entities WHERE account = ? AND kind = ? AND folded > ? AND substr(path, 1, ?) = ?
			ORDER BY folded LIMIT ?`, account, string(k), p.after, len(prefix), prefix, p.limit+1)
}

// anything is the resource of a list: AWS asks for its whole kind below a path.
func anything(c *api.Call, action string, k kind, prefix string) []api.Demand {
	if prefix == "" {
		prefix = "/"
	}
	return api.On(action, api.Resource{ARN: "arn:aws:iam::" + c.Account + ":" + k.noun() + prefix, Type: "AWS::IAM::" + string(k)})
}
