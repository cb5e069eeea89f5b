package policy

import (
	"strings"
	"testing"
)

// An explanation says of every policy and statement why it did or did not count.
func TestExplain(t *testing.T) {
	ctx := Context{}
	ctx.Set("aws:PrincipalTag/team", "red")
	in := &Input{
		Action: get, Resource: object, Principal: aSession, ResourceAccount: home, Context: ctx,
		Catalogue: knows{"aws:principaltag/team": true, "aws:sourcevpce": true},
		SCPs:      [][]Doc{docs(Doc{"FullAWSAccess", mustParse(t, SCP, allowAll)})},
		Identity: docs(Doc{"inline train", mustParse(t, Identity, statements(
			allow("kms:*", "*"),
			allow("s3:*", "arn:aws:s3:::other/*"),
			`{"Sid":"Team","Effect":"Allow","Action":"s3:Get*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/Team":["blue","green"]}}}`,
			`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringLike":{"aws:SourceVpce":"vpce-*"}}}`,
			`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransprt":"true"}}}`,
			allow("s3:*", "arn:aws:s3:::data/${aws:usernme}/*"),
			`{"Effect":"Allow","NotAction":"s3:*","Resource":"*"}`,
		))}),
		ResourcePolicy: ptr(Doc{"bucket data", mustParse(t, Resource, statements(
			allowTo(aws(alice), "*"),
			`{"Effect":"Deny","NotPrincipal":`+aws(session, roleARN, home)+`,"Action":"*","Resource":"*"}`,
		))}),
	}
	got := Explain(in).String()
	for _, want := range []string{
		"not allowed by identity-based policy\n",
		"service control policy, level 0: \"FullAWSAccess\"\n  statement 0: Allow matches: it applies to the caller itself",
		`resource-based policy: "bucket data"`,
		"statement 0: Allow does not match: Principal: the caller is none of " + alice,
		"statement 1: Deny does not match: NotPrincipal: the caller is excepted",
		"statement 0: Allow does not match: Action: s3:GetObject is none of kms:*",
		"statement 1: Allow does not match: Resource: " + object + " is none of arn:aws:s3:::other/*",
		`statement 2 "Team": Allow does not match: Condition: StringEquals aws:principaltag/team: ["red"] does not satisfy ["blue" "green"]`,
		"StringLike aws:sourcevpce: the request has no such key",
		"Bool aws:securetransprt: no such condition key exists",
		"the variable ${aws:usernme} is of a condition key that does not exist",
		"NotAction: s3:GetObject is excepted by s3:*",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if x := Explain(&Input{}); x.Decision.Allowed || len(x.Policies) != 0 {
		t.Errorf("an empty input is explained as %v", x)
	}
}

// Decide looks no further than a Deny; Explain looks at everything.
func TestExplainIsWhole(t *testing.T) {
	in := &Input{
		Action: get, Resource: object, Principal: aUser, ResourceAccount: home,
		SCPs:     [][]Doc{docs(doc(t, SCP, deny("*", "*"), allow("*", "*")))},
		Identity: docs(doc(t, Identity, deny("s3:*", "*"), allow("*", "*")), Doc{Name: "lost"}),
		Boundary: ptr(doc(t, Identity, allow("*", "*"))),
	}
	x := Explain(in)
	if x.Decision != Decide(in) || x.Decision.Gate != GateSCP {
		t.Errorf("got %v", x.Decision)
	}
	statements := 0
	for _, p := range x.Policies {
		statements += len(p.Statements)
	}
	if len(x.Policies) != 4 || statements != 5 || !x.Policies[3].Unreadable {
		t.Errorf("not everything was looked at:\n%s", x)
	}
}
