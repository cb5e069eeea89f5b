package authz_test

import (
	"strings"
	"testing"

	"bawn.dev/internal/authz"
	"bawn.dev/internal/policy"
)

// An explanation's verdict is the decision, also where no policy made it, and then it
// says what did.
func TestExplanationsDecideAsDecisionsDo(t *testing.T) {
	h, a := build(t)
	deny := doc(t, policy.Identity, everything+`,{"Sid":"NoKeys","Effect":"Deny","Action":"kms:*","Resource":"*"}`)
	h.entities["AIDAEVE"] = &authz.Entity{Kind: authz.User, ID: "AIDAEVE", ARN: "arn:aws:iam::" + member + ":user/eve", Name: "eve", Account: member,
		Policies: []policy.Doc{deny}}
	h.entities["AIDANONE"] = &authz.Entity{Kind: authz.User, ID: "AIDANONE", ARN: "arn:aws:iam::" + member + ":user/none", Name: "none", Account: member}
	h.endpoint = []policy.Doc{doc(t, policy.Endpoint, `{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}`)}
	through := &authz.Origin{SourceIP: "10.0.0.7", TLS: true, EndpointID: "vpce-1", VPC: "vpc-1", VPCAccount: member}
	allowed := 0
	for _, claim := range []authz.Claim{
		{Kind: authz.User, Account: member, ID: "AIDAADA", Issued: now}, {Kind: authz.User, Account: member, ID: "AIDAEVE", Issued: now},
		{Kind: authz.User, Account: member, ID: "AIDANONE", Issued: now},
		session(authz.User, "AIDAADA"), session(authz.Federated, "AIDAADA"), session(authz.Role, "AROATRAIN"),
	} {
		for _, action := range []string{"s3:GetObject", "kms:Decrypt", "iam:GetUser", "sts:GetSessionToken", "sts:AssumeRole"} {
			for _, free := range []bool{false, true} {
				for _, origin := range []*authz.Origin{nil, through} {
					q := authz.Question{Action: action, Free: free, Origin: origin}
					decided := ask(t, a, claim, q)
					s, err := a.Subject(t.Context(), nil, claim)
					if err != nil {
						t.Fatal(err)
					}
					q.Subject, q.Now, q.Region, q.Target.ARN = s, now, "us-east-1", "*"
					x, err := a.Explain(t.Context(), nil, &q)
					if err != nil {
						t.Fatal(err)
					}
					if x.Decision != decided {
						t.Errorf("%s %s, free %v: decided %s, explained %s", s.Principal.ARN, action, free, decided, x.Decision)
					}
					if decided.Gate == policy.GateRequest && !strings.Contains(x.String(), "never ask for") {
						t.Errorf("%s %s: no reason: %s", s.Principal.ARN, action, x)
					}
					if decided.Allowed {
						allowed++
					}
				}
			}
		}
	}
	if allowed < 20 || allowed > 100 {
		t.Errorf("%d of 120 were allowed", allowed)
	}
}
