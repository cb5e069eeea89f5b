package sts_test

import (
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/sts"
)

func TestWhoseKey(t *testing.T) {
	h := newHouse(t)
	role := h.role(t, "r", trust(anyone, assume, ""), document(admin))
	out, err := h.assume(h.admin, &shape.AssumeRoleInput{RoleArn: role}, t)
	if err != nil {
		t.Fatal(err)
	}
	theirs := h.roleIn(t, h.other, "theirs", trust(`{"AWS":"`+account+`"}`, assume, ""), document(admin))
	far, err := h.assume(h.admin, &shape.AssumeRoleInput{RoleArn: theirs}, t)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(id string) (*shape.GetAccessKeyInfoOutput, *api.Error) {
		return apitest.CallAs[shape.GetAccessKeyInfoOutput](t, h.Rig, h.admin, "", "sts:GetAccessKeyInfo", &shape.GetAccessKeyInfoInput{AccessKeyId: id})
	}
	for id, want := range map[string]string{
		h.key.AccessKeyID: account, h.other.AccessKeyID: apitest.Other,
		out.Credentials.AccessKeyId: account, far.Credentials.AccessKeyId: apitest.Other,
	} {
		if got, err := ask(id); err != nil || got.Account != want {
			t.Errorf("%s is of %v, %v, not %s", id, got, err, want)
		}
	}
	// An id tells its account as AWS's do, and not whether there is one.
	if got, err := ask("ASIAY34FZKBOKMUTVV7A"); err != nil || got.Account != "609629065308" {
		t.Errorf("%v, %v", got, err)
	}
	for _, id := range []string{"AKIAIOSFODNN7EXAMPLE", "ASIAAAAAAAAAAAAAAAAA", "ASIA0000000000000000", "ASIAABCDEFGHIJKLMNOPQ", "AROAABCDEFGHIJKLMNOPQ"} {
		if got, err := ask(id); err == nil || err.Code != "ValidationError" {
			t.Errorf("%s is of %v, %v", id, got, err)
		}
	}
	_, poor := h.user(t, "poor")
	refused[shape.GetAccessKeyInfoOutput](t, h, poor, "sts:GetAccessKeyInfo", &shape.GetAccessKeyInfoInput{AccessKeyId: h.key.AccessKeyID}, "AccessDenied")
}

func TestAuthorizationMessages(t *testing.T) {
	h := newHouse(t)
	const plain = `{"allowed":false,"explicitDeny":true}`
	sealed, err := h.sts.SealMessage(account, []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	decode := func(who api.Claim, text string) (*shape.DecodeAuthorizationMessageOutput, *api.Error) {
		return apitest.CallAs[shape.DecodeAuthorizationMessageOutput](t, h.Rig, who, "", "sts:DecodeAuthorizationMessage", &shape.DecodeAuthorizationMessageInput{EncodedMessage: text})
	}
	if out, err := decode(h.admin, sealed); err != nil || out.DecodedMessage != plain {
		t.Errorf("%v, %v", out, err)
	}
	role := h.role(t, "r", trust(anyone, assume, ""))
	made, refusal := h.assume(h.admin, &shape.AssumeRoleInput{RoleArn: role}, t)
	if refusal != nil {
		t.Fatal(refusal)
	}
	for name, text := range map[string]string{
		"a cut one": sealed[:len(sealed)-1], "a longer one": sealed + "A", "a changed one": "B" + sealed[1:], "text": plain,
		"a session token": made.Credentials.SessionToken, "one letter": "A",
	} {
		if _, err := decode(h.admin, text); err == nil || err.Code != "InvalidAuthorizationMessageException" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := decode(h.other, sealed); err == nil || err.Code != "InvalidAuthorizationMessageException" {
		t.Errorf("another account's administrator reads it: %v", err)
	}
	_, poor := h.user(t, "poor")
	if _, err := decode(poor, sealed); err == nil || err.Code != "AccessDenied" {
		t.Errorf("who has no permission reads it: %v", err)
	}
	if _, err := h.sts.SealMessage(account, []byte(strings.Repeat("a", 7001))); err == nil {
		t.Error("a message is sealed that could not be decoded")
	}
	long, err := h.sts.SealMessage(account, []byte(strings.Repeat("a", 7000)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode(h.admin, long); err != nil {
		t.Errorf("the longest message: %v", err)
	}
	if _, err := h.open(t, h.sts, made.Credentials.AccessKeyId, sealed); err == nil {
		t.Error("a message opens as a token")
	}
}
