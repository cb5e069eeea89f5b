package iam

import (
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/iam"
)

// policy makes a customer-managed policy and answers its ARN.
func (h *house) policy(t testing.TB, name, document string) string {
	t.Helper()
	return must[shape.CreatePolicyOutput](t, h, h.admin, "iam:CreatePolicy", &shape.CreatePolicyInput{PolicyName: name, PolicyDocument: document}).Policy.Arn
}

// Who may make users and roles only within a boundary gets nobody beyond it: not
// by leaving it out, by another, by taking it away, or by changing what it says.
func TestDelegation(t *testing.T) {
	h := newHouse(t)
	limit := h.policy(t, "limit", allow(`"Action":["s3:*","iam:ListUsers"],"Resource":"*"`))
	other := h.policy(t, "other", apitest.Admin)
	must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "free", AssumeRolePolicyDocument: trustAccount})
	must[shape.AttachRolePolicyOutput](t, h, h.admin, "iam:AttachRolePolicy", &shape.AttachRolePolicyInput{RoleName: "free", PolicyArn: reader})
	must[shape.PutRolePolicyOutput](t, h, h.admin, "iam:PutRolePolicy", &shape.PutRolePolicyInput{RoleName: "free", PolicyName: "p", PolicyDocument: apitest.Admin})
	must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "elsewhere", AssumeRolePolicyDocument: trustAccount, PermissionsBoundary: other})

	c := h.user(t, "delegate", allow(`"Action":["iam:CreateRole","iam:CreateUser","iam:PutRolePermissionsBoundary","iam:PutUserPermissionsBoundary",
		"iam:AttachRolePolicy","iam:AttachUserPolicy","iam:DetachRolePolicy","iam:PutRolePolicy","iam:PutUserPolicy","iam:DeleteRolePolicy"],
		"Resource":"*","Condition":{"StringEquals":{"iam:PermissionsBoundary":"`+limit+`"}}},
		{"Effect":"Allow","Action":["iam:CreateAccessKey","iam:TagRole","iam:UpdateRole"],"Resource":"*"`))

	// What it may.
	must[shape.CreateRoleOutput](t, h, c, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "ours", AssumeRolePolicyDocument: trustAccount, PermissionsBoundary: limit,
		Tags: []shape.Tag{{Key: "a", Value: "b"}}})
	must[shape.AttachRolePolicyOutput](t, h, c, "iam:AttachRolePolicy", &shape.AttachRolePolicyInput{RoleName: "ours", PolicyArn: admins})
	must[shape.DetachRolePolicyOutput](t, h, c, "iam:DetachRolePolicy", &shape.DetachRolePolicyInput{RoleName: "ours", PolicyArn: admins})
	must[shape.PutRolePolicyOutput](t, h, c, "iam:PutRolePolicy", &shape.PutRolePolicyInput{RoleName: "ours", PolicyName: "p", PolicyDocument: apitest.Admin})
	must[shape.DeleteRolePolicyOutput](t, h, c, "iam:DeleteRolePolicy", &shape.DeleteRolePolicyInput{RoleName: "ours", PolicyName: "p"})
	must[shape.CreateUserOutput](t, h, c, "iam:CreateUser", &shape.CreateUserInput{UserName: "strong", PermissionsBoundary: limit})
	must[shape.PutUserPolicyOutput](t, h, c, "iam:PutUserPolicy", &shape.PutUserPolicyInput{UserName: "strong", PolicyName: "p", PolicyDocument: apitest.Admin})

	// The boundary holds, however much the user is allowed.
	k := must[shape.CreateAccessKeyOutput](t, h, c, "iam:CreateAccessKey", &shape.CreateAccessKeyInput{UserName: "strong"}).AccessKey
	strong := &apitest.Caller{AccessKeyID: k.AccessKeyId, Secret: k.SecretAccessKey}
	must[shape.ListUsersOutput](t, h, strong, "iam:ListUsers", &shape.ListUsersInput{})
	refused[shape.ListRolesOutput](t, h, strong, "iam:ListRoles", &shape.ListRolesInput{}, "AccessDenied")
	refused[shape.DeleteUserPermissionsBoundaryOutput](t, h, strong, "iam:DeleteUserPermissionsBoundary", &shape.DeleteUserPermissionsBoundaryInput{UserName: "strong"}, "AccessDenied")

	// What it may not: make somebody without, or with another,
	for _, b := range []string{"", other, admins, strings.ToUpper(limit), limit + "2", "*"} {
		refused[shape.CreateRoleOutput](t, h, c, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "x", AssumeRolePolicyDocument: trustAccount, PermissionsBoundary: b}, "AccessDenied")
		refused[shape.CreateUserOutput](t, h, c, "iam:CreateUser", &shape.CreateUserInput{UserName: "x", PermissionsBoundary: b}, "AccessDenied")
		refused[shape.PutRolePermissionsBoundaryOutput](t, h, c, "iam:PutRolePermissionsBoundary", &shape.PutRolePermissionsBoundaryInput{RoleName: "ours", PermissionsBoundary: b}, "AccessDenied")
		refused[shape.PutUserPermissionsBoundaryOutput](t, h, c, "iam:PutUserPermissionsBoundary", &shape.PutUserPermissionsBoundaryInput{UserName: "strong", PermissionsBoundary: b}, "AccessDenied")
	}
	// take the boundary away,
	refused[shape.DeleteRolePermissionsBoundaryOutput](t, h, c, "iam:DeleteRolePermissionsBoundary", &shape.DeleteRolePermissionsBoundaryInput{RoleName: "ours"}, "AccessDenied")
	refused[shape.DeleteUserPermissionsBoundaryOutput](t, h, c, "iam:DeleteUserPermissionsBoundary", &shape.DeleteUserPermissionsBoundaryInput{UserName: "delegate"}, "AccessDenied")
	// change what it says,
	refused[shape.CreatePolicyVersionOutput](t, h, c, "iam:CreatePolicyVersion", &shape.CreatePolicyVersionInput{PolicyArn: limit, PolicyDocument: apitest.Admin, SetAsDefault: new(true)}, "AccessDenied")
	refused[shape.SetDefaultPolicyVersionOutput](t, h, c, "iam:SetDefaultPolicyVersion", &shape.SetDefaultPolicyVersionInput{PolicyArn: limit, VersionId: "v1"}, "AccessDenied")
	// or give and take where another boundary is, or none.
	for _, name := range []string{"free", "elsewhere", "none"} {
		refused[shape.AttachRolePolicyOutput](t, h, c, "iam:AttachRolePolicy", &shape.AttachRolePolicyInput{RoleName: name, PolicyArn: admins}, "AccessDenied")
		refused[shape.DetachRolePolicyOutput](t, h, c, "iam:DetachRolePolicy", &shape.DetachRolePolicyInput{RoleName: name, PolicyArn: reader}, "AccessDenied")
		refused[shape.PutRolePolicyOutput](t, h, c, "iam:PutRolePolicy", &shape.PutRolePolicyInput{RoleName: name, PolicyName: "p", PolicyDocument: apitest.Admin}, "AccessDenied")
		refused[shape.DeleteRolePolicyOutput](t, h, c, "iam:DeleteRolePolicy", &shape.DeleteRolePolicyInput{RoleName: name, PolicyName: "p"}, "AccessDenied")
	}
	refused[shape.PutUserPolicyOutput](t, h, c, "iam:PutUserPolicy", &shape.PutUserPolicyInput{UserName: "delegate", PolicyName: "p", PolicyDocument: apitest.Admin}, "AccessDenied")
	refused[shape.AttachUserPolicyOutput](t, h, c, "iam:AttachUserPolicy", &shape.AttachUserPolicyInput{UserName: "delegate", PolicyArn: admins}, "AccessDenied")

	// The administrator moves the role out of reach, and at once it is.
	must[shape.PutRolePermissionsBoundaryOutput](t, h, h.admin, "iam:PutRolePermissionsBoundary", &shape.PutRolePermissionsBoundaryInput{RoleName: "ours", PermissionsBoundary: other})
	refused[shape.AttachRolePolicyOutput](t, h, c, "iam:AttachRolePolicy", &shape.AttachRolePolicyInput{RoleName: "ours", PolicyArn: admins}, "AccessDenied")
	// Another of the name is another: the boundary of the dead is not the new one's.
	must[shape.DeleteRoleOutput](t, h, h.admin, "iam:DeleteRole", &shape.DeleteRoleInput{RoleName: "ours"})
	must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: "ours", AssumeRolePolicyDocument: trustAccount})
	if r := must[shape.GetRoleOutput](t, h, h.admin, "iam:GetRole", &shape.GetRoleInput{RoleName: "ours"}).Role; r.PermissionsBoundary != nil {
		t.Errorf("%+v", r.PermissionsBoundary)
	}
	refused[shape.AttachRolePolicyOutput](t, h, c, "iam:AttachRolePolicy", &shape.AttachRolePolicyInput{RoleName: "ours", PolicyArn: admins}, "AccessDenied")
}

// A permission to take away only a certain boundary looks at the one that is there.
func TestWhoseBoundaryIsTakenAway(t *testing.T) {
	h := newHouse(t)
	soft, hard := h.policy(t, "soft", apitest.Admin), h.policy(t, "hard", apitest.Admin)
	c := h.user(t, "keeper", allow(`"Action":["iam:DeleteRolePermissionsBoundary","iam:DeleteUserPermissionsBoundary"],"Resource":"*","Condition":{"ArnEquals":{"iam:PermissionsBoundary":"`+soft+`"}}`))
	for name, b := range map[string]string{"s": soft, "h": hard, "none": ""} {
		must[shape.CreateRoleOutput](t, h, h.admin, "iam:CreateRole", &shape.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: trustAccount, PermissionsBoundary: b})
		must[shape.CreateUserOutput](t, h, h.admin, "iam:CreateUser", &shape.CreateUserInput{UserName: name, PermissionsBoundary: b})
	}
	must[shape.DeleteRolePermissionsBoundaryOutput](t, h, c, "iam:DeleteRolePermissionsBoundary", &shape.DeleteRolePermissionsBoundaryInput{RoleName: "s"})
	must[shape.DeleteUserPermissionsBoundaryOutput](t, h, c, "iam:DeleteUserPermissionsBoundary", &shape.DeleteUserPermissionsBoundaryInput{UserName: "s"})
	for _, name := range []string{"s", "h", "none", "nobody"} {
		refused[shape.DeleteRolePermissionsBoundaryOutput](t, h, c, "iam:DeleteRolePermissionsBoundary", &shape.DeleteRolePermissionsBoundaryInput{RoleName: name}, "AccessDenied")
		refused[shape.DeleteUserPermissionsBoundaryOutput](t, h, c, "iam:DeleteUserPermissionsBoundary", &shape.DeleteUserPermissionsBoundaryInput{UserName: name}, "AccessDenied")
	}
}

// Another account's policy limits nobody here, even where its number is asked for.
func TestBoundariesOfOthers(t *testing.T) {
	h := newHouse(t)
	other := h.bootstrap(t, apitest.Other, "admin")
	ours := h.policy(t, "ours", apitest.Admin)
	refused[shape.CreateUserOutput](t, h, other, "iam:CreateUser", &shape.CreateUserInput{UserName: "u", PermissionsBoundary: ours}, "NoSuchEntity")
	must[shape.CreateUserOutput](t, h, other, "iam:CreateUser", &shape.CreateUserInput{UserName: "u"})
	refused[shape.PutUserPermissionsBoundaryOutput](t, h, other, "iam:PutUserPermissionsBoundary", &shape.PutUserPermissionsBoundaryInput{UserName: "u", PermissionsBoundary: ours}, "NoSuchEntity")
	refused[shape.ListEntitiesForPolicyOutput](t, h, other, "iam:ListEntitiesForPolicy", &shape.ListEntitiesForPolicyInput{PolicyArn: ours}, "NoSuchEntity")
	// Of a policy that all accounts share, each sees its own users.
	must[shape.PutUserPermissionsBoundaryOutput](t, h, other, "iam:PutUserPermissionsBoundary", &shape.PutUserPermissionsBoundaryInput{UserName: "u", PermissionsBoundary: reader})
	if got := must[shape.ListEntitiesForPolicyOutput](t, h, h.admin, "iam:ListEntitiesForPolicy", &shape.ListEntitiesForPolicyInput{PolicyArn: reader}); len(got.PolicyUsers) != 0 {
		t.Errorf("sees %+v", got.PolicyUsers)
	}
}
