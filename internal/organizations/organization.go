package organizations

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"strings"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

// Bootstrap makes the organization and its management account. It says whether it
// did: an organization that exists is left as it is.
func (s *Service) Bootstrap(tx *store.Tx, accountID, name string, now time.Time) (made bool, err error) {
	if _, err := organization(tx); !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	o := org{id: "o-" + letters(10), root: "r-" + letters(4), management: accountID}
	if _, err := tx.Exec(`INSERT INTO organizations_organization (single, id, root, management, created) VALUES (1, ?, ?, ?, ?)`,
		o.id, o.root, o.management, now.UnixMicro()); err != nil {
		return false, err
	}
	return true, insertAccount(tx, o, &account{
		id: accountID, name: name, email: name + "@" + accountID + ".invalid", state: shape.AccountStateActive,
		joined: shape.AccountJoinedMethodInvited, created: now.UTC(),
	})
}

// letters is random text as ids of organizations have it.
func letters(n int) string { return strings.ToLower(rand.Text()[:n]) }

func (o org) arn() string {
	return "arn:aws:organizations::" + o.management + ":organization/" + o.id
}

func (s *Service) newOrganization(context.Context, *api.Call, *shape.CreateOrganizationInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("organizations:CreateOrganization", api.Any), nil
}

// createOrganization can only say no: every account of a Bawn belongs to its
// organization from its first moment.
func (s *Service) createOrganization(context.Context, *api.Call, *shape.CreateOrganizationInput, struct{}) (api.Commit[shape.CreateOrganizationOutput], error) {
	return nil, fail("AlreadyInOrganizationException", "The provided account is already a member of an organization.")
}

func (s *Service) describedOrganization(context.Context, *api.Call, *shape.DescribeOrganizationInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("organizations:DescribeOrganization", api.Any), nil
}

func (s *Service) describeOrganization(_ context.Context, c *api.Call, _ *shape.DescribeOrganizationInput, _ struct{}) (*shape.DescribeOrganizationOutput, error) {
	o, err := organization(c.Snapshot)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fail("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
	}
	if err != nil {
		return nil, err
	}
	management, err := accountByID(c.Snapshot, o.management)
	if err != nil {
		return nil, err
	}
	enabled, err := enabledTypes(c.Snapshot)
	if err != nil {
		return nil, err
	}
	out := &shape.Organization{
		Arn: o.arn(), Id: o.id, FeatureSet: shape.OrganizationFeatureSetAll, AvailablePolicyTypes: summaries(enabled),
		MasterAccountId: o.management, MasterAccountArn: o.nodeARN(o.management),
	}
	if management != nil {
		out.MasterAccountEmail = management.email
	}
	return &shape.DescribeOrganizationOutput{Organization: out}, nil
}
