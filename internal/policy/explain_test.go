package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// An explanation says of every policy and statement why it did or did not count.
func TestExplain(t *testing.T) {
	ctx := Context{}
	ctx.Set("aws:PrincipalTag/team", "red")
	in := &Input{
		Action: get, Resource: object, Principal: aSession, ResourceAccount: home, Context: ctx,
		Catalogue: knows{"s3:getobject": true, "aws:principaltag/team": true, "aws:sourcevpce": true},
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
		`statement 2 "Team": Allow does not match: Condition: StringEquals aws:PrincipalTag/Team: ["red"] does not satisfy ["blue" "green"]`,
		"StringLike aws:SourceVpce: the request has no such key",
		"Bool aws:SecureTransprt: no such condition key exists",
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

// Positions are those of AWS's simulator, as the AWS CLI's documentation shows
// them for a lone statement and for the first of a list.
func TestStatementPositions(t *testing.T) {
	for _, c := range []struct {
		text string
		want []Position // start and end of each statement
	}{
		{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}`,
			[]Position{{1, 38}, {1, 167}}},
		{"{\n    \"Version\": \"2012-10-17\",\n    \"Statement\": [\n        {\n            \"Effect\": \"Allow\",\n            \"Action\": \"codecommit:ListRepositories\",\n            \"Resource\": \"*\"\n        \n        },\n" +
			"        {\"Effect\": \"Deny\", \"Action\": \"*\", \"Resource\": \"arn:aws:s3:::données\"} ]}",
			[]Position{{3, 19}, {9, 10}, {9, 10}, {10, 78}}},
	} {
		d := Doc{"p", mustParse(t, Identity, c.text)}
		x := Explain(&Input{Action: get, Resource: object, Principal: aUser, ResourceAccount: home, Identity: docs(d)})
		var got []Position
		for _, s := range x.Policies[0].Statements {
			got = append(got, s.Start, s.End)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("got %v, want %v for\n%s", got, c.want, c.text)
		}
	}
}

// What a request lacks is told of statements that could mean it, in their spelling.
func TestMissingKeys(t *testing.T) {
	ctx := Context{}
	ctx.Set("aws:username", "alice")
	in := &Input{Action: get, Resource: object, Principal: aUser, ResourceAccount: home, Context: ctx,
		Identity: docs(doc(t, Identity,
			`{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}}`,
			`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:PrincipalTag/Team}/*"}`,
			`{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"AWS:UserName":"bob","aws:SourceVpce":"${aws:principaltag/team}"}}}`)),
		ResourcePolicy: ptr(doc(t, Resource, `{"Effect":"Allow","Principal":{"AWS":"`+roleARN+`"},"Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpc":"vpc-1"}}}`)),
	}
	if got, want := Explain(in).Missing(), []string{"aws:PrincipalTag/Team", "aws:SourceVpce"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	ctx.Set("aws:PrincipalTag/Team", "data")
	ctx.Set("aws:SourceVpce", "vpce-1")
	if got := Explain(in).Missing(); got != nil {
		t.Errorf("missing %q", got)
	}
}

// The names of an explanation in JSON are those that scripts rely on.
func TestExplanationAsJSON(t *testing.T) {
	in := &Input{Action: get, Resource: object, Principal: aUser, ResourceAccount: home,
		Identity: docs(Doc{"own", mustParse(t, Identity, `{"Statement":{"Sid":"A","Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}}`)})}
	got, err := json.Marshal(Explain(in))
	want := `{"decision":{"allowed":false,"gate":"identity-based policy","explicit":false,"index":0},"policies":[{"gate":"identity-based policy","level":0,"policy":"own",` +
		`"statements":[{"index":0,"sid":"A","start":{"line":1,"column":15},"end":{"line":1,"column":125},"effect":"Allow","matched":false,"element":"Condition",` +
		`"why":"Bool aws:SecureTransport: the request has no such key","conditions":[{"operator":"Bool","key":"aws:SecureTransport","want":["true"],"met":false,"why":"the request has no such key"}],` +
		`"missing":["aws:SecureTransport"]}]}]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}
