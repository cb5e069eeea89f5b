package organizations_test

import (
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/organizations"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// An organization from before there were units and policies has all its accounts
// afterwards, under the root, and takes both.
func TestOldOrganization(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		st := open(t)
		if err := st.Migrate(t.Context(), organizations.Migrations()[:1]); err != nil {
			t.Fatal(err)
		}
		const member = "210987654321"
		err := st.Update(t.Context(), func(tx *store.Tx) error {
			for _, statement := range []string{
				`INSERT INTO organizations_organization (single, id, root, management, created) VALUES (1, 'o-0123456789', 'r-abcd', '` + apitest.Account + `', 1)`,
				`INSERT INTO organizations_accounts (id, name, email, state, joined, created, not_before)
					VALUES ('` + apitest.Account + `', 'management', 'm@example.com', 'ACTIVE', 'INVITED', 1, 0)`,
				`INSERT INTO organizations_accounts (id, name, email, state, joined, created, not_before)
					VALUES ('` + member + `', 'member', 'a@example.com', 'ACTIVE', 'CREATED', 1, 0)`,
			} {
				if _, err := tx.Exec(statement); err != nil {
					return err
				}
			}
			return tx.Touch("organizations:account/"+apitest.Account, "organizations:account/"+member)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Migrate(t.Context(), organizations.Migrations()); err != nil {
			t.Fatal(err)
		}
		orgs, err := organizations.New(organizations.Config{})
		if err != nil {
			t.Fatal(err)
		}
		sn, err := st.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{apitest.Account, member} {
			a, err := orgs.Account(t.Context(), sn, id)
			if err != nil || !a.Active || a.OrgPath != "o-0123456789/r-abcd/" || a.SCPs != nil || a.RCPs != nil {
				t.Errorf("%s: %+v %v", id, a, err)
			}
		}
		sn.Close()

		rig := apitest.Over(t, st, t.TempDir(), apitest.Options{Contribute: func(s *authz.Sources) { s.Organization = orgs }}, orgs.API())
		admin := rig.User(t, apitest.Account, "admin", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
		enabled := apitest.Must[shape.EnablePolicyTypeOutput](t, admin, "organizations:EnablePolicyType", &shape.EnablePolicyTypeInput{RootId: "r-abcd", PolicyType: scp})
		if len(enabled.Root.PolicyTypes) != 1 {
			t.Errorf("%+v", enabled.Root)
		}
		targets := apitest.Must[shape.ListTargetsForPolicyOutput](t, admin, "organizations:ListTargetsForPolicy", &shape.ListTargetsForPolicyInput{PolicyId: "p-FullAWSAccess"}).Targets
		children := apitest.Must[shape.ListChildrenOutput](t, admin, "organizations:ListChildren", &shape.ListChildrenInput{ParentId: "r-abcd", ChildType: shape.ChildTypeAccount}).Children
		if len(targets) != 3 || len(children) != 2 {
			t.Errorf("%+v %+v", targets, children)
		}
	})
}
