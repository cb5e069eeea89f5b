package sdk

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
)

// What describes an account as a whole is of that account alone.
func TestIAMAccount(t *testing.T) {
	cfg := start(t).admin(t)
	inside := iam.NewFromConfig(member(t, cfg))
	people := iam.NewFromConfig(cfg)

	aliases := func(people *iam.Client, want ...string) {
		t.Helper()
		same(t, "aliases", call(t, people.ListAccountAliases, iam.ListAccountAliasesInput{}).AccountAliases, want...)
	}
	aliases(people)
	call(t, people.CreateAccountAlias, iam.CreateAccountAliasInput{AccountAlias: aws.String("clinic")})
	call(t, people.CreateAccountAlias, iam.CreateAccountAliasInput{AccountAlias: aws.String("clinic-north")})
	aliases(people, "clinic-north")
	aliases(inside)
	raises[*types.EntityAlreadyExistsException](t, inside.CreateAccountAlias, iam.CreateAccountAliasInput{AccountAlias: aws.String("clinic-north")})
	raises[gone](t, inside.DeleteAccountAlias, iam.DeleteAccountAliasInput{AccountAlias: aws.String("clinic-north")})
	fails(t, "ValidationError", people.CreateAccountAlias, iam.CreateAccountAliasInput{AccountAlias: aws.String("Clinic")})
	call(t, people.DeleteAccountAlias, iam.DeleteAccountAliasInput{AccountAlias: aws.String("clinic-north")})
	aliases(people)

	before := call(t, people.GetAccountSummary, iam.GetAccountSummaryInput{}).SummaryMap
	const readOnly = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
	own := call(t, people.CreatePolicy, iam.CreatePolicyInput{PolicyName: aws.String("own"), PolicyDocument: aws.String(oddPolicy)}).Policy.Arn
	call(t, people.CreateUser, iam.CreateUserInput{UserName: aws.String("ada"), Tags: []types.Tag{tag("team", "imaging")}})
	call(t, people.CreateGroup, iam.CreateGroupInput{GroupName: aws.String("staff")})
	call(t, people.AddUserToGroup, iam.AddUserToGroupInput{GroupName: aws.String("staff"), UserName: aws.String("ada")})
	call(t, people.CreateRole, iam.CreateRoleInput{RoleName: aws.String("train"), AssumeRolePolicyDocument: aws.String(oddTrust)})
	call(t, people.PutRolePolicy, iam.PutRolePolicyInput{RoleName: aws.String("train"), PolicyName: aws.String("inline"), PolicyDocument: aws.String(oddPolicy)})
	call(t, people.AttachRolePolicy, iam.AttachRolePolicyInput{RoleName: aws.String("train"), PolicyArn: aws.String(readOnly)})
	after := call(t, people.GetAccountSummary, iam.GetAccountSummaryInput{}).SummaryMap
	for _, name := range []types.SummaryKeyType{types.SummaryKeyTypeUsers, types.SummaryKeyTypeGroups, types.SummaryKeyTypeRoles, "Policies"} {
		if after[string(name)] != before[string(name)]+1 {
			t.Errorf("%s: %d after %d", name, after[string(name)], before[string(name)])
		}
	}

	var all iam.GetAccountAuthorizationDetailsOutput
	names := pages(t, iam.NewGetAccountAuthorizationDetailsPaginator(people, &iam.GetAccountAuthorizationDetailsInput{MaxItems: aws.Int32(1)}),
		func(out *iam.GetAccountAuthorizationDetailsOutput) []string {
			all.UserDetailList = append(all.UserDetailList, out.UserDetailList...)
			all.RoleDetailList = append(all.RoleDetailList, out.RoleDetailList...)
			all.Policies = append(all.Policies, out.Policies...)
			return each(out.GroupDetailList, func(g types.GroupDetail) *string { return g.GroupName })
		})
	same(t, "groups", names, "staff")
	for _, u := range all.UserDetailList {
		if *u.UserName == "ada" {
			same(t, "her groups", u.GroupList, "staff")
			same(t, "her tags", tagTexts(u.Tags), "team=imaging")
		}
	}
	found := false
	for _, r := range all.RoleDetailList {
		if found = found || *r.RoleName == "train"; *r.RoleName == "train" {
			if trust, inline := plain(t, r.AssumeRolePolicyDocument), plain(t, r.RolePolicyList[0].PolicyDocument); trust != oddTrust || inline != oddPolicy {
				t.Errorf("the role is described with %s and %s", trust, inline)
			}
			same(t, "attached", each(r.AttachedManagedPolicies, func(a types.AttachedPolicy) *string { return a.PolicyArn }), readOnly)
		}
	}
	if !found {
		t.Errorf("the role is not described")
	}
	listed := each(all.Policies, func(p types.ManagedPolicyDetail) *string { return p.Arn })
	local := call(t, people.GetAccountAuthorizationDetails, iam.GetAccountAuthorizationDetailsInput{Filter: []types.EntityType{types.EntityTypeLocalManagedPolicy}})
	same(t, "own policies", each(local.Policies, func(p types.ManagedPolicyDetail) *string { return p.Arn }), *own)
	if got := plain(t, local.Policies[0].PolicyVersionList[0].Document); got != oddPolicy || len(local.UserDetailList)+len(local.RoleDetailList) != 0 {
		t.Errorf("the filter answers %+v", local)
	}
	same(t, "policies", listed, *own, readOnly, "arn:aws:iam::aws:policy/AdministratorAccess")
	for _, u := range call(t, inside.GetAccountAuthorizationDetails, iam.GetAccountAuthorizationDetailsInput{}).UserDetailList {
		t.Errorf("the other account sees %s", *u.Arn)
	}
}

// The simulator says beforehand what calls then do, and which statements decide.
func TestIAMSimulator(t *testing.T) {
	cfg := start(t).admin(t)
	people := iam.NewFromConfig(cfg)
	ada := call(t, people.CreateUser, iam.CreateUserInput{UserName: aws.String("ada")}).User
	key := call(t, people.CreateAccessKey, iam.CreateAccessKeyInput{UserName: ada.UserName}).AccessKey
	hers := as(cfg, *key.AccessKeyId, *key.SecretAccessKey, "")
	call(t, people.PutUserPolicy, iam.PutUserPolicyInput{UserName: ada.UserName, PolicyName: aws.String("own"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:List*","Resource":"*"},{"Sid":"NoRoles","Effect":"Deny","Action":"iam:ListRoles","Resource":"*"},
		{"Effect":"Allow","Action":"organizations:Describe*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`)})
	simulate := iam.SimulatePrincipalPolicyInput{PolicySourceArn: ada.Arn, MaxItems: aws.Int32(2),
		ActionNames: []string{"iam:ListUsers", "iam:ListRoles", "iam:CreateUser", "iam:ListGroups", "organizations:DescribeOrganization"}}
	decided := map[string]types.EvaluationResult{}
	pages(t, iam.NewSimulatePrincipalPolicyPaginator(people, &simulate), func(out *iam.SimulatePrincipalPolicyOutput) []string {
		for _, r := range out.EvaluationResults {
			decided[*r.EvalActionName] = r
		}
		return nil
	})
	h, org := iam.NewFromConfig(hers), organizations.NewFromConfig(hers)
	for action, try := range map[string]func() error{
		"iam:ListUsers": func() error { _, err := h.ListUsers(t.Context(), &iam.ListUsersInput{}); return err },
		"iam:ListRoles": func() error { _, err := h.ListRoles(t.Context(), &iam.ListRolesInput{}); return err },
		"iam:CreateUser": func() error {
			_, err := h.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("x")})
			return err
		},
		"iam:ListGroups": func() error { _, err := h.ListGroups(t.Context(), &iam.ListGroupsInput{}); return err },
		"organizations:DescribeOrganization": func() error {
			_, err := org.DescribeOrganization(t.Context(), &organizations.DescribeOrganizationInput{})
			return err
		},
	} {
		r, err := decided[action], try()
		if allowed := r.EvalDecision == types.PolicyEvaluationDecisionTypeAllowed; allowed != (err == nil) {
			t.Errorf("%s is said to be %s and answered %v", action, r.EvalDecision, err)
		}
	}
	if r := decided["iam:ListRoles"]; r.EvalDecision != types.PolicyEvaluationDecisionTypeExplicitDeny || len(r.MatchedStatements) != 1 || r.MatchedStatements[0].SourcePolicyType != types.PolicySourceTypeUser {
		t.Errorf("listing roles: %+v", r)
	}
	if r := decided["organizations:DescribeOrganization"]; r.EvalDecision != types.PolicyEvaluationDecisionTypeImplicitDeny {
		t.Errorf("describing: %+v", r)
	} else {
		same(t, "what it misses", r.MissingContextValues, "aws:MultiFactorAuthPresent")
	}
	keys := call(t, people.GetContextKeysForPrincipalPolicy, iam.GetContextKeysForPrincipalPolicyInput{PolicySourceArn: ada.Arn}).ContextKeyNames
	same(t, "keys", keys, "aws:MultiFactorAuthPresent")
	supposed := call(t, people.SimulatePrincipalPolicy, iam.SimulatePrincipalPolicyInput{PolicySourceArn: ada.Arn, ActionNames: simulate.ActionNames[4:],
		ContextEntries: []types.ContextEntry{{ContextKeyName: &keys[0], ContextKeyType: types.ContextKeyTypeEnumBoolean, ContextKeyValues: []string{"true"}}}})
	if d := supposed.EvaluationResults[0].EvalDecision; d != types.PolicyEvaluationDecisionTypeAllowed {
		t.Errorf("with a one-time code it is %s", d)
	}
	custom := call(t, people.SimulateCustomPolicy, iam.SimulateCustomPolicyInput{PolicyInputList: []string{oddPolicy}, ActionNames: []string{"s3:GetObject", "s3:PutObject"}})
	same(t, "custom", each(custom.EvaluationResults, func(r types.EvaluationResult) *string { return aws.String(string(r.EvalDecision)) }), "allowed", "implicitDeny")
	raises[*types.InvalidInputException](t, people.SimulateCustomPolicy, iam.SimulateCustomPolicyInput{PolicyInputList: []string{"{}"}, ActionNames: []string{"s3:GetObject"}})
	raises[gone](t, people.SimulatePrincipalPolicy, iam.SimulatePrincipalPolicyInput{PolicySourceArn: aws.String(*ada.Arn + "s"), ActionNames: simulate.ActionNames})
}
