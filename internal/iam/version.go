package iam

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

const maxVersions = 5

func (s *Service) versionOperations() []api.Operation {
	return []api.Operation{
		api.Write("CreatePolicyVersion", s.newPolicyVersion, s.createPolicyVersion),
		api.Read("GetPolicyVersion", s.gottenPolicyVersion, s.getPolicyVersion),
		api.Read("ListPolicyVersions", s.listedPolicyVersions, s.listPolicyVersions),
		api.Write("SetDefaultPolicyVersion", s.defaultedPolicyVersion, s.setDefaultPolicyVersion),
		api.Write("DeletePolicyVersion", s.deletedPolicyVersion, s.deletePolicyVersion),
	}
}

// A version is one text of a managed policy. Its number is never given again.
type version struct {
	number   int
	document string
	created  time.Time
}

func versionID(number int) string { return "v" + strconv.Itoa(number) }

// numbered is the number in a version's id, or 0.
func numbered(id string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(id, "v"))
	if err != nil || versionID(n) != id {
		return 0
	}
	return n
}

func noSuchVersion(m *managed, id string) *api.Error {
	return fail("NoSuchEntity", "Policy %s version %s does not exist or is not attachable.", m.arn(), id)
}

func insertVersion(tx *store.Tx, policyID string, number int, document string, created time.Time) error {
	_, err := tx.Exec(`INSERT INTO iam_policy_versions (policy, number, document, created) VALUES (?, ?, ?, ?)`,
		policyID, number, document, created.UnixMicro())
	return err
}

// versions are those of a policy, the newest first.
func versions(q querier, m *managed) ([]version, error) {
	if m.account == supplier {
		return []version{{m.standard, m.document, m.created}}, nil
	}
	return store.Collect(q, func(r *store.Rows) (v version, err error) {
		var created int64
		err = r.Scan(&v.number, &v.document, &created)
		v.created = time.UnixMicro(created).UTC()
		return v, err
	}, `SELECT number, document, created FROM iam_policy_versions WHERE policy = ? ORDER BY number DESC`, m.id)
}

func toVersion(m *managed, v version) shape.PolicyVersion {
	standard := v.number == m.standard
	return shape.PolicyVersion{CreateDate: v.created, IsDefaultVersion: &standard, VersionId: versionID(v.number)}
}

// ownPolicy refuses to change what AWS supplies.
func ownPolicy(m *managed) error {
	if m.account == supplier {
		return fail("AccessDenied", "Policy is outside your own account.")
	}
	return nil
}

func (s *Service) newPolicyVersion(_ context.Context, c *api.Call, in *shape.CreatePolicyVersionInput) (*managed, []api.Demand, error) {
	return s.policyTarget(c, in.PolicyArn, "iam:CreatePolicyVersion")
}

func (s *Service) createPolicyVersion(_ context.Context, c *api.Call, in *shape.CreatePolicyVersionInput, m *managed) (api.Commit[shape.CreatePolicyVersionOutput], error) {
	if err := ownPolicy(m); err != nil {
		return nil, err
	}
	if _, err := s.read(in.PolicyDocument, policy.Identity, maxManagedDocument); err != nil {
		return nil, err
	}
	v := version{m.latest + 1, in.PolicyDocument, c.Now.UTC().Truncate(time.Second)}
	standard := m.standard
	if in.SetAsDefault != nil && *in.SetAsDefault {
		standard = v.number
	}
	return func(tx *store.Tx) (*shape.CreatePolicyVersionOutput, error) {
		n, err := count(tx, `SELECT COUNT(*) FROM iam_policy_versions WHERE policy = ?`, m.id)
		if err != nil {
			return nil, err
		}
		if n >= maxVersions {
			return nil, fail("LimitExceeded", "A managed policy can have up to %d versions. "+
				"Before you create a new version, you must delete an existing version.", maxVersions)
		}
		if err := insertVersion(tx, m.id, v.number, v.document, v.created); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(`UPDATE iam_policies SET latest = ?, updated = ? WHERE id = ?`, v.number, v.created.UnixMicro(), m.id); err != nil {
			return nil, err
		}
		made := *m
		made.standard = standard
		shown := toVersion(&made, v)
		return &shape.CreatePolicyVersionOutput{PolicyVersion: &shown}, putDefault(tx, m, standard)
	}, nil
}

// putDefault says which version of a policy is in force, and tells everybody whom
// it speaks of.
func putDefault(tx *store.Tx, m *managed, number int) error {
	if number == m.standard {
		return tx.Touch(policyKey(m.id))
	}
	if _, err := tx.Exec(`UPDATE iam_policies SET standard = ? WHERE id = ?`, number, m.id); err != nil {
		return err
	}
	concerned, err := holders(tx, m.id)
	if err != nil {
		return err
	}
	return tx.Touch(append(concerned, policyKey(m.id))...)
}

func (s *Service) gottenPolicyVersion(_ context.Context, c *api.Call, in *shape.GetPolicyVersionInput) (*managed, []api.Demand, error) {
	return s.policyTarget(c, in.PolicyArn, "iam:GetPolicyVersion")
}

func (s *Service) getPolicyVersion(_ context.Context, c *api.Call, in *shape.GetPolicyVersionInput, m *managed) (*shape.GetPolicyVersionOutput, error) {
	all, err := versions(c.Snapshot, m)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if versionID(v.number) == in.VersionId {
			shown := toVersion(m, v)
			shown.Document = answered(v.document)
			return &shape.GetPolicyVersionOutput{PolicyVersion: &shown}, nil
		}
	}
	return nil, noSuchVersion(m, in.VersionId)
}

func (s *Service) listedPolicyVersions(_ context.Context, c *api.Call, in *shape.ListPolicyVersionsInput) (*managed, []api.Demand, error) {
	return s.policyTarget(c, in.PolicyArn, "iam:ListPolicyVersions")
}

// listPolicyVersions tells no documents, as AWS.
func (s *Service) listPolicyVersions(_ context.Context, c *api.Call, in *shape.ListPolicyVersionsInput, m *managed) (*shape.ListPolicyVersionsOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	all, err := versions(c.Snapshot, m)
	if err != nil {
		return nil, err
	}
	if last := numbered(p.after); p.after != "" {
		for len(all) > 0 && all[0].number >= last {
			all = all[1:]
		}
	}
	out := &shape.ListPolicyVersionsOutput{Versions: []shape.PolicyVersion{}}
	all, out.IsTruncated, out.Marker = cut(p, all, func(v version) string { return versionID(v.number) })
	for _, v := range all {
		out.Versions = append(out.Versions, toVersion(m, v))
	}
	return out, nil
}

func (s *Service) defaultedPolicyVersion(_ context.Context, c *api.Call, in *shape.SetDefaultPolicyVersionInput) (*managed, []api.Demand, error) {
	return s.policyTarget(c, in.PolicyArn, "iam:SetDefaultPolicyVersion")
}

func (s *Service) setDefaultPolicyVersion(_ context.Context, _ *api.Call, in *shape.SetDefaultPolicyVersionInput, m *managed) (api.Commit[shape.SetDefaultPolicyVersionOutput], error) {
	if err := ownPolicy(m); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.SetDefaultPolicyVersionOutput, error) {
		if err := versionThere(tx, m, in.VersionId); err != nil {
			return nil, err
		}
		return &shape.SetDefaultPolicyVersionOutput{}, putDefault(tx, m, numbered(in.VersionId))
	}, nil
}

func (s *Service) deletedPolicyVersion(_ context.Context, c *api.Call, in *shape.DeletePolicyVersionInput) (*managed, []api.Demand, error) {
	return s.policyTarget(c, in.PolicyArn, "iam:DeletePolicyVersion")
}

func (s *Service) deletePolicyVersion(_ context.Context, _ *api.Call, in *shape.DeletePolicyVersionInput, m *managed) (api.Commit[shape.DeletePolicyVersionOutput], error) {
	if err := ownPolicy(m); err != nil {
		return nil, err
	}
	number := numbered(in.VersionId)
	if number == m.standard {
		return nil, fail("DeleteConflict", "Cannot delete the default version of a policy.")
	}
	return func(tx *store.Tx) (*shape.DeletePolicyVersionOutput, error) {
		if err := versionThere(tx, m, in.VersionId); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(`DELETE FROM iam_policy_versions WHERE policy = ? AND number = ?`, m.id, number); err != nil {
			return nil, err
		}
		return &shape.DeletePolicyVersionOutput{}, tx.Touch(policyKey(m.id))
	}, nil
}

// versionThere answers NoSuchEntity for a version that a policy does not have.
func versionThere(q querier, m *managed, id string) error {
	var number int
	err := q.QueryRow(`SELECT number FROM iam_policy_versions WHERE policy = ? AND number = ?`, m.id, numbered(id)).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return noSuchVersion(m, id)
	}
	return err
}
