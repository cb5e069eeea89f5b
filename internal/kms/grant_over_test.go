package kms

import (
	"slices"
	"sync"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// What a service made for a role and some work ends with the work, and nothing else
// does: not what bears another name, nor what others gave the role under that name.
func TestRetireNamed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		rig, service := newRigWith(t, open(t), t.TempDir())
		admin, foreign := rig.User(t, apitest.Account, "admin", apitest.Admin), rig.User(t, apitest.Other, "admin", apitest.Admin)
		role, other := rig.Role(t, apitest.Account, "worker"), rig.Role(t, apitest.Account, "other")
		k, second := newTestKey(t, admin, nil), newTestKey(t, admin, nil)
		theirs := newTestKey(t, foreign, nil)
		give := func(by *apitest.Caller, key *kms.KeyMetadata, grantee, retiring *apitest.Caller, name string) string {
			in := &kms.CreateGrantInput{KeyId: key.Arn, GranteePrincipal: grantee.Entity.ARN, Operations: toEncrypt, Name: name}
			if retiring != nil {
				in.RetiringPrincipal = retiring.Entity.ARN
			}
			return newGrantTo(t, by, in).GrantId
		}
		ended := []string{give(admin, k, role, role, "work"), give(admin, second, role, role, "work")}
		kept := []string{
			give(admin, k, role, role, "work-2"), give(admin, k, role, nil, "work"), give(admin, k, other, other, "work"), give(admin, k, other, role, "work"),
		}
		foreigns := give(foreign, theirs, role, role, "work")

		claim := *role.Claim
		claim.Person = &api.Person{UserID: "ada", IdentityStoreARN: "arn:aws:identitystore::" + apitest.Account + ":identitystore/d-1234567890"}
		var all sync.WaitGroup
		for range 3 { // as after a kill, and at once
			all.Go(func() {
				if err := service.RetireNamed(t.Context(), rig.Store, claim, "work"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()

		var left []string
		for _, g := range append(grantsOf(t, admin, k.KeyId), grantsOf(t, admin, second.KeyId)...) {
			left = append(left, g.GrantId)
		}
		slices.Sort(left)
		slices.Sort(kept)
		if !slices.Equal(left, kept) {
			t.Errorf("%v are left, not %v", left, kept)
		}
		if g := grantsOf(t, foreign, theirs.KeyId); len(g) != 1 || g[0].GrantId != foreigns {
			t.Errorf("of another account's: %v", g)
		}
		refused[kms.EncryptOutput](t, role, "kms:Encrypt", encryptWith(second.Arn, nil), "AccessDenied")
		apitest.Must[kms.EncryptOutput](t, role, "kms:Encrypt", encryptWith(k.Arn, nil))

		records := rig.Records(t, apitest.Account, "RetireGrant")
		if len(records) != len(ended) {
			t.Errorf("%d records", len(records))
		}
		for _, r := range records {
			if r.UserIdentity.OnBehalfOf == nil || r.UserIdentity.OnBehalfOf.UserID != "ada" || r.EventType != "AwsServiceEvent" || len(r.Resources) != 1 {
				t.Errorf("%+v", r)
			}
		}
	})
}
