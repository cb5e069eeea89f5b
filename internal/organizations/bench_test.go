package organizations_test

import (
	"fmt"
	"testing"

	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

// grown is an organization of a thousand accounts, all of them at the bottom of
// five units with five policies of each type on every level.
func grown(b *testing.B) (h *house, policy string) {
	h = newHouse(b)
	chain := []string{h.root(b)}
	h.enable(b, scp)
	h.enable(b, rcp)
	for range 5 {
		chain = append(chain, h.unit(b, chain[len(chain)-1], "deeper"))
	}
	for i, kind := range []shape.PolicyType{scp, rcp} {
		for n := range 4 {
			principal := []string{"", `"Principal":"*",`}[i]
			policy = h.policy(b, kind, fmt.Sprint(n), fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny",%s"Action":"s3:PutObject","Resource":"arn:aws:s3:::bucket-%d/*"}]}`, principal, n))
			for _, node := range chain {
				h.attach(b, policy, node)
			}
		}
	}
	err := h.Store.Update(b.Context(), func(tx *store.Tx) error {
		for i := range 998 {
			id := member(i)
			if _, err := tx.Exec(`INSERT INTO organizations_accounts (id, name, email, state, joined, created, not_before, parent) VALUES (?, ?, ?, 'ACTIVE', 'CREATED', 1, 0, ?)`,
				id, id, id, chain[5]); err != nil {
				return err
			}
			for _, kind := range []shape.PolicyType{scp, rcp} {
				if _, err := tx.Exec(`INSERT INTO organizations_attachments (target, policy, type) VALUES (?, ?, ?)`,
					id, map[shape.PolicyType]string{scp: "p-FullAWSAccess", rcp: "p-RCPFullAWSAccess"}[kind], string(kind)); err != nil {
					return err
				}
			}
			if err := tx.Touch("organizations:account/" + id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return h, policy
}

func member(i int) string { return fmt.Sprintf("7%011d", i) }

// What every call pays: nothing has changed.
func BenchmarkAccount(b *testing.B) {
	h, _ := grown(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		read(b, h, member(i%998))
	}
}

// What the first call of an account pays after anything in the tree has changed.
func BenchmarkAccountAfterAChange(b *testing.B) {
	h, policy := grown(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i%998 == 0 {
			b.StopTimer()
			must[shape.UpdatePolicyOutput](b, h, h.admin, "organizations:UpdatePolicy", &shape.UpdatePolicyInput{PolicyId: policy, Description: fmt.Sprint(i)})
			b.StartTimer()
		}
		i++
		read(b, h, member(i%998))
	}
}

func read(b *testing.B, h *house, id string) {
	sn := h.snapshot(b)
	defer sn.Close()
	a, err := h.orgs.Account(b.Context(), sn, id)
	if err != nil || len(a.SCPs) != 7 || len(a.SCPs[0]) != 5 || len(a.RCPs) != 7 {
		b.Fatalf("%+v %v", a, err)
	}
}
