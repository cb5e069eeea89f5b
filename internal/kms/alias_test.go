package kms

import (
	"fmt"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

func TestAliases(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	one, two := newTestKey(t, admin, nil), newTestKey(t, admin, nil)
	create := func(name, key string) *kms.CreateAliasInput {
		return &kms.CreateAliasInput{AliasName: name, TargetKeyId: key}
	}
	apitest.Must[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", create("alias/app", one.KeyId))
	refused[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", create("alias/app", two.KeyId), "AlreadyExistsException")
	refused[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", create("app", one.KeyId), "ValidationException")
	refused[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", create("alias/a:b", one.KeyId), "InvalidAliasNameException")
	refused[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", create("alias/x", "alias/app"), "NotFoundException")

	named := func() string {
		return apitest.Must[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith("alias/app", nil)).KeyId
	}
	if got := named(); got != one.Arn {
		t.Errorf("the alias names %s", got)
	}
	apitest.Must[kms.UpdateAliasOutput](t, admin, "kms:UpdateAlias", &kms.UpdateAliasInput{AliasName: "alias/app", TargetKeyId: two.Arn})
	if got := named(); got != two.Arn {
		t.Errorf("the moved alias names %s", got)
	}
	list := apitest.Must[kms.ListAliasesOutput](t, admin, "kms:ListAliases", &kms.ListAliasesInput{KeyId: one.KeyId})
	if len(list.Aliases) != 0 {
		t.Errorf("the old key still has %v", list.Aliases)
	}
	apitest.Must[kms.DeleteAliasOutput](t, admin, "kms:DeleteAlias", &kms.DeleteAliasInput{AliasName: "alias/app"})
	refused[kms.EncryptOutput](t, admin, "kms:Encrypt", encryptWith("alias/app", nil), "NotFoundException")
	refused[kms.UpdateAliasOutput](t, admin, "kms:UpdateAlias", &kms.UpdateAliasInput{AliasName: "alias/app", TargetKeyId: one.KeyId}, "NotFoundException")
	apitest.Must[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", create("alias/app", one.KeyId))
}

func TestAliasDemandsBothSides(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil)
	onlyAlias := rig.User(t, apitest.Account, "a", document(`{"Effect":"Allow","Action":"kms:*","Resource":"arn:aws:kms:us-east-1:`+apitest.Account+`:alias/*"}`))
	onlyKey := rig.User(t, apitest.Account, "b", document(`{"Effect":"Allow","Action":"kms:*","Resource":"`+k.Arn+`"}`))
	both := rig.User(t, apitest.Account, "c", document(`{"Effect":"Allow","Action":"kms:CreateAlias","Resource":["`+k.Arn+`","arn:aws:kms:us-east-1:`+apitest.Account+`:alias/c"]}`))
	in := &kms.CreateAliasInput{AliasName: "alias/c", TargetKeyId: k.KeyId}
	refused[kms.CreateAliasOutput](t, onlyAlias, "kms:CreateAlias", in, "AccessDenied")
	refused[kms.CreateAliasOutput](t, onlyKey, "kms:CreateAlias", in, "AccessDenied")
	apitest.Must[kms.CreateAliasOutput](t, both, "kms:CreateAlias", in)
}

func TestPages(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil)
	for i := range 5 {
		apitest.Must[kms.CreateAliasOutput](t, admin, "kms:CreateAlias", &kms.CreateAliasInput{AliasName: fmt.Sprint("alias/", i), TargetKeyId: k.KeyId})
	}
	two := int32(2)
	var names []string
	in := &kms.ListAliasesInput{Limit: &two}
	for range 10 {
		out := apitest.Must[kms.ListAliasesOutput](t, admin, "kms:ListAliases", in)
		for _, a := range out.Aliases {
			names = append(names, a.AliasName)
		}
		if !*out.Truncated {
			break
		}
		in.Marker = out.NextMarker
	}
	if got := fmt.Sprint(names); got != "[alias/0 alias/1 alias/2 alias/3 alias/4]" {
		t.Error(got)
	}
	refused[kms.ListAliasesOutput](t, admin, "kms:ListAliases", &kms.ListAliasesInput{Marker: "!"}, "InvalidMarkerException")
	zero := int32(0)
	refused[kms.ListKeysOutput](t, admin, "kms:ListKeys", &kms.ListKeysInput{Limit: &zero}, "ValidationException")
}
