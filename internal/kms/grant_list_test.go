package kms

import (
	"fmt"
	"slices"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

func TestListsOfGrants(t *testing.T) { onBoth(t, listsOfGrants) }

func listsOfGrants(t *testing.T, rig *apitest.Rig) {
	admin, foreign := rig.User(t, apitest.Account, "admin", apitest.Admin), rig.User(t, apitest.Other, "admin", apitest.Admin)
	poor := rig.User(t, apitest.Account, "poor")
	k, other := newTestKey(t, admin, nil), newTestKey(t, admin, nil)
	var own, theirs []string // of the retiring principals
	for i := range 7 {
		in := &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: poor.Entity.ARN, RetiringPrincipal: admin.Entity.ARN, Operations: toEncrypt, Name: fmt.Sprint("n", i)}
		switch i {
		case 1:
			in.GranteePrincipal = admin.Entity.ARN
		case 2:
			in.RetiringPrincipal = foreign.Entity.ARN
		case 3:
			in.KeyId = other.KeyId
		case 4:
			in.RetiringPrincipal = ""
		}
		id := newGrantTo(t, admin, in).GrantId
		switch in.RetiringPrincipal {
		case admin.Entity.ARN:
			own = append(own, id)
		case foreign.Entity.ARN:
			theirs = append(theirs, id)
		}
	}
	three := int32(3)
	var all []string
	for in := (&kms.ListGrantsInput{KeyId: k.Arn, Limit: &three}); ; {
		out := apitest.Must[kms.ListGrantsOutput](t, admin, "kms:ListGrants", in)
		for _, g := range out.Grants {
			all = append(all, g.GrantId)
			if g.KeyId != k.Arn || g.IssuingAccount != rootARN || !slices.Equal(g.Operations, toEncrypt) || g.CreationDate.IsZero() || g.Constraints != nil {
				t.Errorf("%+v", g)
			}
		}
		if in.Marker = out.NextMarker; !*out.Truncated {
			break
		}
		if len(out.Grants) != 3 {
			t.Fatalf("a page of %d", len(out.Grants))
		}
	}
	if slices.Sort(all); len(slices.Compact(all)) != 6 {
		t.Errorf("%d grants", len(all))
	}
	mine := apitest.Must[kms.ListGrantsOutput](t, admin, "kms:ListGrants", &kms.ListGrantsInput{KeyId: k.KeyId, GranteePrincipal: admin.Entity.ARN}).Grants
	if len(mine) != 1 || mine[0].Name != "n1" {
		t.Errorf("%+v", mine)
	}
	refused[kms.ListGrantsOutput](t, admin, "kms:ListGrants", &kms.ListGrantsInput{KeyId: k.KeyId, GrantId: "x"}, "InvalidGrantIdException")
	refused[kms.ListGrantsOutput](t, admin, "kms:ListGrants", &kms.ListGrantsInput{KeyId: k.KeyId, GranteePrincipal: "nobody"}, "InvalidArnException")
	refused[kms.ListGrantsOutput](t, admin, "kms:ListGrants", &kms.ListGrantsInput{KeyId: k.KeyId, Marker: "!"}, "InvalidMarkerException")
	refused[kms.ListGrantsOutput](t, poor, "kms:ListGrants", &kms.ListGrantsInput{KeyId: k.KeyId}, "AccessDenied")

	// What can be retired by principals of one's own account, whoever's the key is.
	retirable := func(c *apitest.Caller) (ids []string) {
		for _, g := range apitest.Must[kms.ListRetirableGrantsOutput](t, c, "kms:ListRetirableGrants", &kms.ListRetirableGrantsInput{RetiringPrincipal: c.Entity.ARN}).Grants {
			ids = append(ids, g.GrantId)
		}
		return ids
	}
	slices.Sort(own)
	if got := retirable(admin); !slices.Equal(got, own) {
		t.Errorf("%v, not %v", got, own)
	}
	if got := retirable(foreign); !slices.Equal(got, theirs) {
		t.Errorf("%v, not %v", got, theirs)
	}
	refused[kms.ListRetirableGrantsOutput](t, poor, "kms:ListRetirableGrants", &kms.ListRetirableGrantsInput{RetiringPrincipal: poor.Entity.ARN}, "AccessDenied")
	for _, name := range []string{foreign.Entity.ARN, foreign.Entity.ID, admin.Entity.ID, "arn:aws:iam::" + apitest.Account + ":user/none"} {
		refused[kms.ListRetirableGrantsOutput](t, admin, "kms:ListRetirableGrants", &kms.ListRetirableGrantsInput{RetiringPrincipal: name}, "InvalidArnException")
	}
}

func TestBoto3Grants(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	rig.User(t, apitest.Account, "batch")
	rig.Python(t, admin, `
k = client("kms")
key = k.create_key()["KeyMetadata"]["KeyId"]
who = "arn:aws:iam::123456789012:user/batch"
made = k.create_grant(KeyId=key, GranteePrincipal=who, Operations=["Decrypt", "Encrypt"], Name="batch",
    Constraints={"EncryptionContextSubset": {"Department": "IT"}}, RetiringPrincipal="arn:aws:iam::123456789012:user/admin")
assert len(made["GrantId"]) == 64 and made["GrantToken"], made
(one,) = [g for p in k.get_paginator("list_grants").paginate(KeyId=key) for g in p["Grants"]]
assert one["GrantId"] == made["GrantId"] and one["GranteePrincipal"] == who and one["Operations"] == ["Decrypt", "Encrypt"], one
assert one["Constraints"] == {"EncryptionContextSubset": {"Department": "IT"}} and one["IssuingAccount"].endswith(":root"), one
assert [g["Name"] for g in k.list_retirable_grants(RetiringPrincipal=one["RetiringPrincipal"])["Grants"]] == ["batch"]
refused(k.encrypt, "InvalidGrantTokenException", KeyId=key, Plaintext=b"x", GrantTokens=["x"])
k.encrypt(KeyId=key, Plaintext=b"x", GrantTokens=[made["GrantToken"]])
refused(k.create_grant, "ValidationException", KeyId=key, GranteePrincipal=who, Operations=["Sign"])
refused(k.create_grant, "ValidationException", KeyId=key, GranteePrincipal=who, Operations=["Everything"])
refused(k.create_grant, "InvalidArnException", KeyId=key, GranteePrincipal="batch", Operations=["Decrypt"])
e = refused(k.retire_grant, "DryRunOperationException", GrantToken=made["GrantToken"], DryRun=True)
assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 412
k.retire_grant(GrantToken=made["GrantToken"])
refused(k.revoke_grant, "NotFoundException", KeyId=key, GrantId=made["GrantId"])
assert k.list_grants(KeyId=key)["Grants"] == []
`)
}

// BenchmarkGranted encrypts as one who may by grant alone, on a key with as many grants
// as it can have: all of them others', or all her own for other contexts.
func BenchmarkGranted(b *testing.B) {
	for _, many := range []struct {
		name   string
		grants int
		own    bool
	}{{"one", 0, false}, {"others", maxGrants - 1, false}, {"own", maxGrants - 1, true}} {
		b.Run(many.name, func(b *testing.B) {
			rig := newRig(b)
			admin, user := rig.User(b, apitest.Account, "admin", apitest.Admin), rig.User(b, apitest.Account, "user")
			k := newTestKey(b, admin, nil)
			newGrantTo(b, admin, &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: user.Entity.ARN, Operations: toEncrypt, Constraints: subset("job=mine")})
			err := rig.Store.Update(b.Context(), func(tx *store.Tx) error {
				for i := range many.grants {
					holder := principal{user.Entity.ARN, user.Entity.ID}
					if !many.own {
						holder = principal{fmt.Sprint("arn:aws:iam::", apitest.Account, ":user/", i), fmt.Sprintf("AIDA%017d", i)}
					}
					g := &grant{id: fmt.Sprintf("%064d", i), key: k.KeyId, issuer: apitest.Account, grantee: holder, operations: setOf(toEncrypt...),
						constraint: constraint{subsetContext, map[string]string{"job": fmt.Sprint("arn:aws:sagemaker:us-east-1:1:job/", i)}}}
					if err := insertGrant(tx, g, ""); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			call := caller(b, rig, user)
			in := encryptWith(k.KeyId, map[string]string{"job": "mine", "purpose": "bench"})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := api.Invoke[kms.EncryptOutput](b.Context(), call, "kms:Encrypt", in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
