package organizations_test

import (
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	iamshape "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/organizations"
)

// manager is a user of the management account who has one policy.
func (h *house) manager(t testing.TB, name, statements string) api.Claim {
	t.Helper()
	u := must[iamshape.CreateUserOutput](t, h, h.admin, "iam:CreateUser", &iamshape.CreateUserInput{UserName: name}).User
	must[iamshape.PutUserPolicyOutput](t, h, h.admin, "iam:PutUserPolicy", &iamshape.PutUserPolicyInput{
		UserName: name, PolicyName: "p", PolicyDocument: `{"Version":"2012-10-17","Statement":[` + statements + `]}`})
	return api.Claim{Kind: api.KindUser, Account: apitest.Account, ID: u.UserId, Issued: h.Now()}
}

// Who may attach a policy to one unit attaches no other, and to nothing else: both
// sides are decided, and so is the type.
func TestBothSidesOfAnAttachment(t *testing.T) {
	h := newHouse(t)
	root := h.root(t)
	mine, other := h.unit(t, root, "mine"), h.unit(t, root, "other")
	h.enable(t, scp)
	h.enable(t, rcp)
	good, bad := h.policy(t, scp, "good", denyUsers), h.policy(t, scp, "bad", allowRoles)
	resource := h.policy(t, rcp, "resources", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}]}`)
	who := h.manager(t, "attacher", `
		{"Effect":"Allow","Action":"organizations:*","Resource":["arn:aws:organizations::*:ou/*/`+mine+`","arn:aws:organizations::*:policy/*/*/`+good+`"]}`)
	typed := h.manager(t, "typed", `
		{"Effect":"Allow","Action":"organizations:*","Resource":"*","Condition":{"StringEquals":{"organizations:PolicyType":"SERVICE_CONTROL_POLICY"}}}`)
	attach := func(p, target string) *shape.AttachPolicyInput {
		return &shape.AttachPolicyInput{PolicyId: p, TargetId: target}
	}
	for _, in := range []*shape.AttachPolicyInput{attach(bad, mine), attach(good, other), attach(good, root), attach("p-0000000000", mine), attach(good, "ou-0000-00000000")} {
		refused[shape.AttachPolicyOutput](t, h, who, "organizations:AttachPolicy", in, "AccessDenied")
	}
	refused[shape.AttachPolicyOutput](t, h, typed, "organizations:AttachPolicy", attach(resource, mine), "AccessDenied")
	refused[shape.EnablePolicyTypeOutput](t, h, typed, "organizations:DisablePolicyType", &shape.DisablePolicyTypeInput{RootId: root, PolicyType: rcp}, "AccessDenied")
	must[shape.AttachPolicyOutput](t, h, typed, "organizations:AttachPolicy", attach(bad, mine))
	must[shape.AttachPolicyOutput](t, h, who, "organizations:AttachPolicy", attach(good, mine))
	refused[shape.DetachPolicyOutput](t, h, who, "organizations:DetachPolicy", &shape.DetachPolicyInput{PolicyId: bad, TargetId: mine}, "AccessDenied")
	must[shape.DetachPolicyOutput](t, h, who, "organizations:DetachPolicy", &shape.DetachPolicyInput{PolicyId: good, TargetId: mine})
}

// An account moves only if the account, where it is and where it goes are allowed.
func TestThreeSidesOfAMove(t *testing.T) {
	h := newHouse(t)
	h.run(t)
	root, account := h.root(t), h.account(t, "research")
	mine, other := h.unit(t, root, "mine"), h.unit(t, root, "other")
	h.move(t, account, root, mine)
	in := &shape.MoveAccountInput{AccountId: account, SourceParentId: mine, DestinationParentId: other}
	on := func(list string) string {
		return `{"Effect":"Allow","Action":"organizations:MoveAccount","Resource":[` + list + `]}`
	}
	a, from, to := `"arn:aws:organizations::*:account/*/`+account+`"`, `"arn:aws:organizations::*:ou/*/`+mine+`"`, `"arn:aws:organizations::*:ou/*/`+other+`"`
	refused[shape.MoveAccountOutput](t, h, h.manager(t, "no-destination", on(a+","+from)), "organizations:MoveAccount", in, "AccessDenied")
	refused[shape.MoveAccountOutput](t, h, h.manager(t, "no-source", on(a+","+to)), "organizations:MoveAccount", in, "AccessDenied")
	refused[shape.MoveAccountOutput](t, h, h.manager(t, "no-account", on(from+","+to)), "organizations:MoveAccount", in, "AccessDenied")
	must[shape.MoveAccountOutput](t, h, h.manager(t, "all", on(a+","+from+","+to)), "organizations:MoveAccount", in)
}

// Tags open and close: on what is acted on, and in the request. A tag that is given
// or taken away counts with the next call.
func TestTagsDecide(t *testing.T) {
	h := newHouse(t)
	ou := h.unit(t, h.root(t), "ou")
	who := h.manager(t, "by-tag", `
		{"Effect":"Allow","Action":"organizations:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/Owner":"me"}}},
		{"Effect":"Allow","Action":"organizations:CreatePolicy","Resource":"*"},
		{"Effect":"Allow","Action":"organizations:TagResource","Resource":"arn:aws:organizations::*:policy/*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":"team"}}}`)
	describe := &shape.DescribeOrganizationalUnitInput{OrganizationalUnitId: ou}
	refused[shape.DescribeOrganizationalUnitOutput](t, h, who, "organizations:DescribeOrganizationalUnit", describe, "AccessDenied")
	must[shape.TagResourceOutput](t, h, h.admin, "organizations:TagResource", &shape.TagResourceInput{ResourceId: ou, Tags: []shape.Tag{{Key: "owner", Value: "me"}}})
	must[shape.DescribeOrganizationalUnitOutput](t, h, who, "organizations:DescribeOrganizationalUnit", describe)
	must[shape.UntagResourceOutput](t, h, h.admin, "organizations:UntagResource", &shape.UntagResourceInput{ResourceId: ou, TagKeys: []string{"OWNER"}})
	refused[shape.DescribeOrganizationalUnitOutput](t, h, who, "organizations:DescribeOrganizationalUnit", describe, "AccessDenied")

	create := func(name string, tags ...shape.Tag) *shape.CreatePolicyInput {
		return &shape.CreatePolicyInput{Type: scp, Name: name, Content: denyUsers, Tags: tags}
	}
	refused[shape.CreatePolicyOutput](t, h, who, "organizations:CreatePolicy", create("a", shape.Tag{Key: "cost"}), "AccessDenied")
	must[shape.CreatePolicyOutput](t, h, who, "organizations:CreatePolicy", create("b", shape.Tag{Key: "team"}))
	must[shape.CreatePolicyOutput](t, h, who, "organizations:CreatePolicy", create("c"))
}
