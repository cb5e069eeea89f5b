package identity

import (
	"context"
	"database/sql"
	"errors"
	"regexp"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// maxPermissionSets is AWS's quota.
const maxPermissionSets = 2000

// A permissionSet is what people may be assigned to in an account: what the role
// there may do.
type permissionSet struct {
	Shown    shape.PermissionSet
	Inline   string   // policy
	Managed  []string // ARNs of AWS-managed policies
	Customer []reference
	Boundary *boundary

	revision int64 // goes up with every change that a role of it must follow
}

// A reference names a customer-managed policy of whichever account has the role.
type reference struct{ Name, Path string }

// arn is the policy that is meant in an account.
func (r reference) arn(account string) string {
	return "arn:aws:iam::" + account + ":policy" + r.Path + r.Name
}

func referenceOf(in *shape.CustomerManagedPolicyReference) reference {
	if in.Path == "" {
		return reference{in.Name, "/"}
	}
	return reference{in.Name, in.Path}
}

// A boundary is one of the two.
type boundary struct {
	Managed  string
	Customer *reference
}

func (b *boundary) arn(account string) string {
	if b.Customer != nil {
		return b.Customer.arn(account)
	}
	return b.Managed
}

// permissionSet finds one; nil if there is none.
func (s *Service) permissionSet(q store.Querier, arn string) (*permissionSet, error) {
	if _, err := q.Version(setKey(arn)); err != nil {
		return nil, err
	}
	var doc []byte
	p := new(permissionSet)
	err := q.QueryRow(`SELECT doc, revision FROM identity_permission_sets WHERE arn = ?`, arn).Scan(&doc, &p.revision)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return p, json.Unmarshal(doc, p)
}

// changeSet stores a permission set after edit, on the state that the transaction
// sees. follow says whether the roles made after it are outdated by that.
func (s *Service) changeSet(tx *store.Tx, arn string, follow bool, edit func(*permissionSet) error) error {
	p, err := s.permissionSet(tx, arn)
	if err != nil {
		return err
	}
	if p == nil {
		return noPermissionSet()
	}
	if err := edit(p); err != nil {
		return err
	}
	if follow {
		p.revision++
	}
	doc, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE identity_permission_sets SET doc = ?, revision = ? WHERE arn = ?`, doc, p.revision, arn); err != nil {
		return err
	}
	return tx.Touch(setKey(arn))
}

func noPermissionSet() *api.Error { return notFound("PermissionSet does not exist.") }

// setResource is a permission set as a decision sees it.
func (s *Service) setResource(q store.Querier, arn string) (*permissionSet, api.Resource, error) {
	p, err := s.permissionSet(q, arn)
	r := api.Resource{ARN: arn, Account: s.account, Type: "AWS::SSO::PermissionSet"}
	if err != nil {
		return nil, r, err
	}
	if p == nil {
		r.Missing = noPermissionSet()
		return nil, r, nil
	}
	r.Tags, err = tagMap(q, arn)
	return p, r, err
}

// inSet demands an action on the instance and permission set that an input names.
func inSet[In any](s *Service, action string, names func(*In) (instance, set string)) func(context.Context, *api.Call, *In) (*permissionSet, []api.Demand, error) {
	return func(_ context.Context, c *api.Call, in *In) (*permissionSet, []api.Demand, error) {
		instance, arn := names(in)
		p, r, err := s.setResource(c.Snapshot, arn)
		if err != nil {
			return nil, nil, err
		}
		_, demands, err := s.onInstance(c, action, instance, r)
		return p, demands, err
	}
}

func (s *Service) newPermissionSet(_ context.Context, c *api.Call, in *shape.CreatePermissionSetInput) (instance, []api.Demand, error) {
	i, err := s.instance(c.Snapshot)
	if err != nil {
		return i, nil, err
	}
	// What is asked for has no name yet.
	r := api.Resource{ARN: "arn:aws:sso:::permissionSet/" + i.id + "/*", Account: s.account, Type: "AWS::SSO::PermissionSet"}
	i, demands, err := s.onInstance(c, "sso:CreatePermissionSet", in.InstanceArn, r)
	if err != nil {
		return i, nil, err
	}
	demands, err = creating(demands, r, in.Tags)
	return i, demands, err
}

func (s *Service) createPermissionSet(_ context.Context, c *api.Call, in *shape.CreatePermissionSetInput, i instance) (api.Commit[shape.CreatePermissionSetOutput], error) {
	duration := in.SessionDuration
	if duration == "" {
		duration = "PT1H"
	}
	if _, err := sessionLength(duration); err != nil {
		return nil, err
	}
	p := permissionSet{Shown: shape.PermissionSet{
		PermissionSetArn: "arn:aws:sso:::permissionSet/" + i.id + "/ps-" + randomID(), Name: in.Name, Description: in.Description,
		SessionDuration: duration, CreatedDate: c.Now.UTC().Truncate(time.Second),
	}}
	doc, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreatePermissionSetOutput, error) {
		var named, all int
		if err := tx.QueryRow(`SELECT count(*), (SELECT count(*) FROM identity_permission_sets) FROM identity_permission_sets WHERE name = ?`, in.Name).Scan(&named, &all); err != nil {
			return nil, err
		}
		if named > 0 {
			return nil, conflict("PermissionSet with name %s already exists.", in.Name)
		}
		if all >= maxPermissionSets {
			return nil, tooMany("The instance has %d permission sets already.", all)
		}
		arn := p.Shown.PermissionSetArn
		if _, err := tx.Exec(`INSERT INTO identity_permission_sets (arn, name, revision, doc) VALUES (?, ?, 1, ?)`, arn, in.Name, doc); err != nil {
			return nil, err
		}
		if err := putTags(tx, arn, in.Tags); err != nil {
			return nil, err
		}
		return &shape.CreatePermissionSetOutput{PermissionSet: &p.Shown}, tx.Touch(setKey(arn))
	}, nil
}

// iso is the part of ISO 8601's durations in which a session's can be written.
var iso = regexp.MustCompile(`^PT(?:([0-9]{1,5})H)?(?:([0-9]{1,5})M)?(?:([0-9]{1,5})S)?$`)

// sessionLength reads how long a session lasts: one to twelve hours.
func sessionLength(text string) (time.Duration, error) {
	m := iso.FindStringSubmatch(text)
	var d time.Duration
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		if m != nil && m[i+1] != "" {
			n, err := strconv.Atoi(m[i+1])
			if err != nil {
				return 0, err
			}
			d += time.Duration(n) * unit
		}
	}
	if d < time.Hour || d > 12*time.Hour {
		return 0, invalid("SessionDuration must be between PT1H and PT12H.")
	}
	return d, nil
}

func (s *Service) describePermissionSet(_ context.Context, _ *api.Call, _ *shape.DescribePermissionSetInput, p *permissionSet) (*shape.DescribePermissionSetOutput, error) {
	return &shape.DescribePermissionSetOutput{PermissionSet: &p.Shown}, nil
}

// updatePermissionSet leaves what is not given. A role follows the new duration when
// it is provisioned again.
func (s *Service) updatePermissionSet(_ context.Context, _ *api.Call, in *shape.UpdatePermissionSetInput, _ *permissionSet) (api.Commit[shape.UpdatePermissionSetOutput], error) {
	if in.SessionDuration != "" {
		if _, err := sessionLength(in.SessionDuration); err != nil {
			return nil, err
		}
	}
	return func(tx *store.Tx) (*shape.UpdatePermissionSetOutput, error) {
		return &shape.UpdatePermissionSetOutput{}, s.changeSet(tx, in.PermissionSetArn, in.SessionDuration != "", func(p *permissionSet) error {
			if in.Description != "" {
				p.Shown.Description = in.Description
			}
			if in.SessionDuration != "" {
				p.Shown.SessionDuration = in.SessionDuration
			}
			return nil
		})
	}, nil
}

// deletePermissionSet refuses while somebody is assigned to it anywhere, or a role
// of it is still being taken away.
func (s *Service) deletePermissionSet(_ context.Context, _ *api.Call, in *shape.DeletePermissionSetInput, _ *permissionSet) (api.Commit[shape.DeletePermissionSetOutput], error) {
	arn := in.PermissionSetArn
	return func(tx *store.Tx) (*shape.DeletePermissionSetOutput, error) {
		var roles int
		if err := tx.QueryRow(`SELECT count(*) FROM identity_roles WHERE permission_set = ?`, arn).Scan(&roles); err != nil {
			return nil, err
		}
		if roles > 0 {
			return nil, conflict("PermissionSet is provisioned in %d accounts: delete its assignments first.", roles)
		}
		if _, err := tx.Exec(`DELETE FROM identity_permission_sets WHERE arn = ?`, arn); err != nil {
			return nil, err
		}
		if err := deleteTags(tx, arn); err != nil {
			return nil, err
		}
		return &shape.DeletePermissionSetOutput{}, tx.Touch(setKey(arn))
	}, nil
}

func (s *Service) listedPermissionSets(_ context.Context, c *api.Call, in *shape.ListPermissionSetsInput) (instance, []api.Demand, error) {
	return s.onInstance(c, "sso:ListPermissionSets", in.InstanceArn)
}

func (s *Service) listPermissionSets(_ context.Context, c *api.Call, in *shape.ListPermissionSetsInput, _ instance) (*shape.ListPermissionSetsOutput, error) {
	out := &shape.ListPermissionSetsOutput{}
	var err error
	out.PermissionSets, out.NextToken, err = texts(c, in.NextToken, in.MaxResults, `SELECT arn FROM identity_permission_sets WHERE arn > ? ORDER BY arn LIMIT ?`)
	return out, err
}

// texts is a page of a list of texts, in order. The last two parameters of the query
// are the text after which the page begins and its size.
func texts(c *api.Call, token string, size *int32, query string, args ...any) ([]string, string, error) {
	after, err := afterToken(token)
	if err != nil {
		return nil, "", err
	}
	limit := pageSize(size)
	list, err := store.Collect(c.Snapshot, func(r *store.Rows) (text string, err error) { return text, r.Scan(&text) }, query, append(args, after, limit+1)...)
	if err != nil {
		return nil, "", err
	}
	list, next := cut(list, limit, func(text string) string { return text })
	return list, pageToken(next), nil
}
