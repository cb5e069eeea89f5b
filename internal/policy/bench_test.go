package policy

import (
	"fmt"
	"testing"

	"bawn.dev/internal/catalogue"
)

// hospital is a request under ten policies of twenty statements each, as a
// careful administrator writes them: one in five speaks of the request's
// service, and the one that allows comes last.
func hospital(b testing.TB) *Input {
	services := []string{"s3", "kms", "sagemaker", "logs", "ec2"}
	var all []Doc
	for i := range 10 {
		var st []string
		for j := range 20 {
			service := services[j%len(services)]
			st = append(st, fmt.Sprintf(`{"Sid":"S%d","Effect":%q,"Action":["%s:Get*","%s:List*","%s:PutObject"],
				"Resource":"arn:aws:%s:::unit-%d-%d/${aws:username}/*",
				"Condition":{"StringEquals":{"aws:PrincipalTag/team":["blue","green"]},"Bool":{"aws:SecureTransport":"true"}}}`,
				j, either(j%10 == 9, "Deny", "Allow"), service, service, service, service, i, j))
		}
		all = append(all, doc(b, SCP, st...)) // of kind SCP, as it has the larger limit
	}
	all[9] = doc(b, Identity, deny("s3:DeleteObject", "*"), allow("s3:GetObject", "arn:aws:s3:::data/${aws:username}/*"))
	ctx := Context{}
	ctx.Set("aws:username", "alice")
	ctx.Set("aws:PrincipalTag/team", "green")
	ctx.Set("aws:SecureTransport", "true")
	return &Input{
		Action: "s3:GetObject", Resource: "arn:aws:s3:::data/alice/2026/scan.dcm",
		Principal: aUser, ResourceAccount: home, Context: ctx, Identity: all,
	}
}

func BenchmarkDecide(b *testing.B) {
	in := hospital(b)
	if d := Decide(in); !d.Allowed {
		b.Fatal(Explain(in))
	}
	b.ReportAllocs()
	for b.Loop() {
		Decide(in)
	}
}

// perimeter is hospital's request by a session, with every kind of policy in force
// and the catalogue that servers have.
func perimeter(b testing.TB) *Input {
	in := hospital(b)
	in.Principal, in.Catalogue = aSession, catalogue.New()
	scp := doc(b, SCP, allow("*", "*"), `{"Effect":"Deny","Action":["organizations:Leave*","cloudtrail:*"],"Resource":"*"}`,
		`{"Effect":"Deny","NotAction":["iam:*","sts:*"],"Resource":"*","Condition":{"StringNotEqualsIfExists":{"aws:RequestedRegion":["eu-central-1","eu-west-1"]}}}`)
	rcp := doc(b, RCP, allowTo(everyone, "*"),
		`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"StringNotEqualsIfExists":{"aws:PrincipalOrgID":"o-own"},"BoolIfExists":{"aws:PrincipalIsAWSService":"false"}}}`)
	for range 3 {
		in.SCPs, in.RCPs = append(in.SCPs, docs(scp)), append(in.RCPs, docs(rcp))
	}
	in.Endpoint = docs(doc(b, Endpoint, allowTo(aws(home), "s3:*")))
	in.Boundary = ptr(doc(b, Identity, allow("kms:*", "*"), allow("s3:*", "arn:aws:s3:::data/*")))
	in.HasSession, in.Session = true, docs(doc(b, SessionPolicy, allow("s3:Get*", "arn:aws:s3:::data/${aws:username}/*")))
	in.ResourcePolicy = ptr(doc(b, Resource, allowTo(aws(rootOf), "s3:*"),
		`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`,
		`{"Effect":"Deny","NotPrincipal":`+aws(session, roleARN, home)+`,"Action":"s3:Put*","Resource":"*"}`))
	in.Context.Set("aws:PrincipalOrgID", "o-own")
	in.Context.Set("aws:PrincipalIsAWSService", "false")
	in.Context.Set("aws:RequestedRegion", "eu-central-1")
	return in
}

func BenchmarkDecidePerimeter(b *testing.B) {
	in := perimeter(b)
	if d := Decide(in); !d.Allowed {
		b.Fatal(Explain(in))
	}
	b.ReportAllocs()
	for b.Loop() {
		Decide(in)
	}
}

func BenchmarkExplain(b *testing.B) {
	in := hospital(b)
	b.ReportAllocs()
	for b.Loop() {
		Explain(in)
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte(statements(allow("s3:GetObject", "arn:aws:s3:::data/${aws:username}/*"), deny("s3:DeleteObject", "*")))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text, Identity); err != nil {
			b.Fatal(err)
		}
	}
}
