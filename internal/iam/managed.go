package iam

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

// A managed policy stands by itself and can be attached. What it says is its
// default version: a customer chooses that, AWS's only one comes with a release.
type managed struct {
	id, account      string
	path, name       string
	description      string
	document         string // of the default version
	standard, latest int    // numbers of the default version and of the last that was made
	created, updated time.Time
	tags             []tag
	doc              policy.Doc // parsed, where it was asked for
}

// supplier is the account in the ARNs of AWS-managed policies.
const supplier = "aws"

func (m *managed) arn() string { return policyARN(m.account, m.path, m.name) }

func policyARN(account, path, name string) string {
	return "arn:aws:iam::" + account + ":policy" + path + name
}

func policyKey(id string) string { return "iam:policy/" + id }

func policyNameKey(account, name string) string {
	return "iam:policyname/" + account + "/" + fold(name)
}

// resource is the policy as decisions see it. AWS-managed ones belong to whoever
// asks: no account owns them.
func (m *managed) resource() api.Resource {
	r := api.Resource{ARN: m.arn(), Account: m.account, Type: "AWS::IAM::ManagedPolicy", Tags: tagMap(m.tags)}
	if m.account == supplier {
		r.Account = ""
	}
	return r
}

func parsedManaged(arn, document string) (policy.Doc, error) {
	p, err := policy.Parse([]byte(document), policy.Identity)
	return policy.Doc{Name: arn, Policy: p}, err
}

const selectPolicies = `SELECT p.id, p.account, p.path, p.name, p.description, v.document, p.standard, p.latest, p.created, p.updated
	FROM iam_policies p JOIN iam_policy_versions v ON v.policy = p.id AND v.number = p.standard `

func scanManaged(scan func(...any) error) (*managed, error) {
	m := &managed{}
	var created, updated int64
	err := scan(&m.id, &m.account, &m.path, &m.name, &m.description, &m.document, &m.standard, &m.latest, &created, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	m.created, m.updated = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	return m, err
}

func managedByID(q querier, id string) (*managed, error) {
	return scanManaged(q.QueryRow(selectPolicies+`WHERE p.id = ?`, id).Scan)
}

// managedByARN finds a policy, or answers nil. The snapshot remembers what was
// asked and found.
func (s *Service) managedByARN(sn *store.Snapshot, name string) (*managed, error) {
	if m := s.supplied[name]; m != nil {
		return m, nil
	}
	account, path, ok := cutPolicyARN(name)
	if !ok {
		return nil, nil
	}
	last := path[strings.LastIndex(path, "/")+1:]
	if _, err := sn.Version(policyNameKey(account, last)); err != nil {
		return nil, err
	}
	m, err := scanManaged(sn.QueryRow(selectPolicies+`WHERE p.account = ? AND p.folded = ?`, account, fold(last)).Scan)
	if m == nil || err != nil || m.arn() != name {
		return nil, err
	}
	if _, err := sn.Version(policyKey(m.id)); err != nil {
		return nil, err
	}
	m.tags, err = tagsOf(sn, m.id)
	return m, err
}

// cutPolicyARN takes the ARN of a managed policy apart; path ends with the name.
func cutPolicyARN(name string) (account, path string, ok bool) {
	a, err := arn.Parse(name)
	path, ok = strings.CutPrefix(a.Resource, "policy")
	return a.Account, path, err == nil && ok && a.Partition == "aws" && a.Service == "iam" && a.Region == "" && strings.HasPrefix(path, "/")
}

// policyTarget resolves the managed policy that an operation names.
func (s *Service) policyTarget(c *api.Call, name, action string) (*managed, []api.Demand, error) {
	account, _, ok := cutPolicyARN(name)
	if !ok {
		return nil, nil, fail("InvalidInput", "ARN %s is not valid.", name)
	}
	if account != c.Account && account != supplier {
		return nil, nil, noSuchPolicy(name) // another account's is not looked for
	}
	m, err := s.managedByARN(c.Snapshot, name)
	if err != nil {
		return nil, nil, err
	}
	if m == nil {
		return nil, api.On(action, api.Resource{ARN: name, Type: "AWS::IAM::ManagedPolicy", Missing: noSuchPolicy(name)}), nil
	}
	return m, []api.Demand{{Action: action, Resource: m.resource(), Keys: resourceTagKeys(m.tags)}}, nil
}

// toPolicy is a policy as the API describes it to an account.
func toPolicy(q querier, m *managed, account string) (shape.Policy, error) {
	attached, bounding, err := uses(q, m.id, account)
	attachable := true
	return shape.Policy{
		Arn: m.arn(), AttachmentCount: &attached, PermissionsBoundaryUsageCount: &bounding, IsAttachable: &attachable,
		CreateDate: m.created, UpdateDate: m.updated, DefaultVersionId: versionID(m.standard), Description: m.description,
		Path: m.path, PolicyId: m.id, PolicyName: m.name, Tags: m.tags,
	}, err
}

func (s *Service) newPolicy(_ context.Context, c *api.Call, in *shape.CreatePolicyInput) (*managed, []api.Demand, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, nil, err
	}
	m := &managed{
		id: newID("ANPA", 17), account: c.Account, path: in.Path, name: in.PolicyName, description: in.Description,
		document: in.PolicyDocument, standard: 1, latest: 1, created: c.Now.UTC().Truncate(time.Second), tags: in.Tags,
	}
	m.updated = m.created
	if m.path == "" {
		m.path = "/"
	}
	r := m.resource()
	r.Tags = nil
	return m, creating("iam:CreatePolicy", "iam:TagPolicy", r, in.Tags), nil
}

func (s *Service) createPolicy(_ context.Context, c *api.Call, _ *shape.CreatePolicyInput, m *managed) (api.Commit[shape.CreatePolicyOutput], error) {
	if _, err := c.Snapshot.Version(policyNameKey(m.account, m.name)); err != nil {
		return nil, err
	}
	n, err := count(c.Snapshot, `SELECT COUNT(*) FROM iam_policies WHERE account = ? AND folded = ?`, m.account, fold(m.name))
	if err != nil {
		return nil, err
	}
	if n > 0 {
		return nil, fail("EntityAlreadyExists", "A policy called %s already exists. Duplicate names are not allowed.", m.name)
	}
	if _, err := s.read(m.document, policy.Identity, maxManagedDocument); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreatePolicyOutput, error) {
		n, err := count(tx, `SELECT COUNT(*) FROM iam_policies WHERE account = ?`, m.account)
		if err != nil {
			return nil, err
		}
		if n >= maxPolicies {
			return nil, exceeded("PoliciesPerAccount", maxPolicies)
		}
		if err := insertManaged(tx, m); err != nil {
			return nil, err
		}
		if err := putTags(tx, m.id, m.tags); err != nil {
			return nil, err
		}
		p, err := toPolicy(tx, m, m.account)
		if err != nil {
			return nil, err
		}
		return &shape.CreatePolicyOutput{Policy: &p}, tx.Touch(policyKey(m.id), policyNameKey(m.account, m.name))
	}, nil
}

func insertManaged(tx *store.Tx, m *managed) error {
	if _, err := tx.Exec(`INSERT INTO iam_policies (id, account, path, name, folded, description, standard, latest, created, updated)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, m.id, m.account, m.path, m.name, fold(m.name), m.description,
		m.standard, m.latest, m.created.UnixMicro(), m.updated.UnixMicro()); err != nil {
		return err
	}
	return insertVersion(tx, m.id, m.latest, m.document, m.created)
}

func (s *Service) gottenPolicy(_ context.Context, c *api.Call, in *shape.GetPolicyInput) (*managed, []api.Demand, error) {
	return s.policyTarget(c, in.PolicyArn, "iam:GetPolicy")
}

func (s *Service) getPolicy(_ context.Context, c *api.Call, _ *shape.GetPolicyInput, m *managed) (*shape.GetPolicyOutput, error) {
	p, err := toPolicy(c.Snapshot, m, c.Account)
	return &shape.GetPolicyOutput{Policy: &p}, err
}

func (s *Service) deletedPolicy(_ context.Context, c *api.Call, in *shape.DeletePolicyInput) (*managed, []api.Demand, error) {
	return s.policyTarget(c, in.PolicyArn, "iam:DeletePolicy")
}

func (s *Service) deletePolicy(_ context.Context, _ *api.Call, _ *shape.DeletePolicyInput, m *managed) (api.Commit[shape.DeletePolicyOutput], error) {
	if m.account == supplier {
		return nil, fail("AccessDenied", "Cannot delete an AWS managed policy.")
	}
	return func(tx *store.Tx) (*shape.DeletePolicyOutput, error) {
		if err := checkUnused(tx, m); err != nil {
			return nil, err
		}
		for _, statement := range []string{
			`DELETE FROM iam_policies WHERE id = ?`, `DELETE FROM iam_policy_versions WHERE policy = ?`, `DELETE FROM iam_tags WHERE owner = ?`,
		} {
			if _, err := tx.Exec(statement, m.id); err != nil {
				return nil, err
			}
		}
		return &shape.DeletePolicyOutput{}, tx.Touch(policyKey(m.id), policyNameKey(m.account, m.name))
	}, nil
}

// checkUnused refuses to delete a policy that something still hangs on.
func checkUnused(q querier, m *managed) error {
	for _, part := range []struct{ query, message string }{
		{`SELECT COUNT(*) FROM iam_attachments WHERE policy = ?`, "Cannot delete a policy attached to entities."},
		{`SELECT COUNT(*) FROM iam_boundaries WHERE policy = ?`, "Cannot delete a policy attached to entities."},
		{`SELECT COUNT(*) - 1 FROM iam_policy_versions WHERE policy = ?`, "This policy has more than one version. Before you delete a policy, " +
			"you must delete the policy's versions. The default version is deleted with the policy."},
	} {
		n, err := count(q, part.query, m.id)
		if err != nil {
			return err
		}
		if n > 0 {
			return fail("DeleteConflict", "%s", part.message)
		}
	}
	return nil
}
