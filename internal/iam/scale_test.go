package iam

import (
	"context"
	"fmt"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// populate makes roles and policies past the quotas, spread over accounts. Each
// role has two policies, one of its own, and a boundary.
func (h *house) populate(t testing.TB, roles, policies int) []string {
	t.Helper()
	var ids []string
	err := h.Store.Update(context.Background(), func(tx *store.Tx) error {
		ids = nil
		now := time.Now().UTC().Truncate(time.Second)
		var all []*managed
		for i := range policies {
			m := &managed{
				id: newID("ANPA", 17), account: apitest.Account, path: "/", name: fmt.Sprintf("p%d", i), standard: 1, latest: 1, created: now, updated: now,
				document: allow(fmt.Sprintf(`"Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::unit-%d","arn:aws:s3:::unit-%d/*"]`, i, i)),
			}
			if err := insertManaged(tx, m); err != nil {
				return err
			}
			all = append(all, m)
		}
		for i := range roles {
			e := newEntity(role, fmt.Sprintf("%012d", 100000000000+i/maxRoles), "/", fmt.Sprintf("r%d", i), now)
			e.trust, e.maxSession = trustAccount, defaultMaxSession
			m := all[i%policies]
			e.boundary = &attachment{m.id, m.arn()}
			if err := insertEntity(tx, e); err != nil {
				return err
			}
			for j := range 2 {
				if err := joinPolicy(tx, e, all[(i+j)%policies]); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(`INSERT INTO iam_inline (owner, name, document) VALUES (?, ?, ?)`, e.id, "own", allow(`"Action":"kms:Decrypt","Resource":"*"`)); err != nil {
				return err
			}
			ids = append(ids, e.id)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// BenchmarkScale is what a decision costs among ten roles and among ten thousand,
// with a thousand policies: for a role that was seen before, for one that was not,
// and for one whose policies were not either. The snapshot is left out.
func BenchmarkScale(b *testing.B) {
	for _, size := range []struct{ roles, policies int }{{10, 10}, {10000, 1000}} {
		h := newHouse(b)
		ids := h.populate(b, size.roles, size.policies)
		name := fmt.Sprintf("%d-roles-%d-policies", size.roles, size.policies)
		decide := func(b *testing.B, forget func()) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				forget()
				sn, err := h.Store.Snapshot(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				if _, err := sn.Version("bench"); err != nil { // begins the read transaction
					b.Fatal(err)
				}
				b.StartTimer()
				h.decide(b, sn, ids[i%len(ids)], i%len(ids)%size.policies)
				b.StopTimer()
				sn.Close()
				b.StartTimer()
			}
		}
		b.Run(name+"/hot", func(b *testing.B) {
			for i, id := range ids {
				h.warm(b, id, i%size.policies)
			}
			decide(b, func() {})
		})
		b.Run(name+"/cold", func(b *testing.B) {
			decide(b, func() { h.iam.entities = newCache[*api.Entity](cachedEntities) })
		})
		b.Run(name+"/parsed-anew", func(b *testing.B) {
			decide(b, func() {
				h.iam.entities, h.iam.policies = newCache[*api.Entity](cachedEntities), newCache[policy.Doc](cachedPolicies)
			})
		})
	}
}

func (h *house) warm(b *testing.B, id string, unit int) {
	sn, err := h.Store.Snapshot(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer sn.Close()
	h.decide(b, sn, id, unit)
}

// decide asks whether a role may read its unit's data.
func (h *house) decide(b *testing.B, sn *store.Snapshot, id string, unit int) {
	e, err := h.iam.Principal(b.Context(), sn, id)
	if err != nil {
		b.Fatal(err)
	}
	d := policy.Decide(&policy.Input{
		Action: "s3:GetObject", Resource: fmt.Sprintf("arn:aws:s3:::unit-%d/scan", unit), ResourceAccount: e.Account,
		Principal: policy.Principal{Kind: policy.Session, Account: e.Account, RoleARN: e.ARN, ID: e.ID + ":s",
			ARN: "arn:aws:sts::" + e.Account + ":assumed-role/" + e.Name + "/s"},
		Identity: e.Policies, Boundary: e.Boundary,
	})
	if !d.Allowed {
		b.Fatalf("%+v", d)
	}
}
