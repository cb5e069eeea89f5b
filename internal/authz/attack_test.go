package authz_test

import (
	"testing"

	"bawn.dev/internal/authz"
	"bawn.dev/internal/policy"
)

// Organization controls pass service-linked roles by. A path may hold colons, and so
// what reads like one: it makes nobody service-linked.
func TestNobodyPosesAsServiceLinked(t *testing.T) {
	h, a := build(t)
	h.accounts[member].SCPs = [][]policy.Doc{{doc(t, policy.SCP, everything), doc(t, policy.SCP, `{"Effect":"Deny","Action":"s3:*","Resource":"*"}`)}}
	federated := session(authz.Federated, "AIDAADA")
	federated.HasSession, federated.SessionPolicies = true, []policy.Doc{doc(t, policy.SessionPolicy, everything)}
	const posing = "x:role/aws-service-role/s3.amazonaws.com/"
	h.entities["AROATRAIN"].ARN = "arn:aws:iam::" + member + ":role/" + posing + "train"
	h.entities["AIDAADA"].ARN = "arn:aws:iam::" + member + ":user/" + posing + "ada"
	for name, claim := range map[string]authz.Claim{"role": session(authz.Role, "AROATRAIN"), "federated user": federated} {
		if d := ask(t, a, claim, authz.Question{Action: "s3:GetObject"}); d.Allowed {
			t.Errorf("%s: %s", name, d)
		}
	}
	h.entities["AROATRAIN"].ARN = "arn:aws:iam::" + member + ":role/aws-service-role/s3.amazonaws.com/train"
	if d := ask(t, a, session(authz.Role, "AROATRAIN"), authz.Question{Action: "s3:GetObject"}); !d.Allowed {
		t.Errorf("a service-linked role: %s", d)
	}
}

// A resource's policy that names a user, whom binding made an id, means what she
// lends her permissions to as well; one that names a provider means its sessions.
func TestDeniedUnderAnotherName(t *testing.T) {
	h, a := build(t)
	h.entities["AIDAEXAMPLEEXAMPLE01"] = h.entities["AIDAADA"]
	h.entities["AIDAEXAMPLEEXAMPLE01"].ID = "AIDAEXAMPLEEXAMPLE01"
	federated := session(authz.Federated, "AIDAEXAMPLEEXAMPLE01")
	federated.HasSession, federated.SessionPolicies = true, []policy.Doc{doc(t, policy.SessionPolicy, everything)}
	web := session(authz.Role, "AROATRAIN")
	web.Provider = "arn:aws:iam::" + member + ":oidc-provider/issuer.example"
	for _, c := range []struct {
		name, principal string
		claim           authz.Claim
	}{
		{"the lender by id", `{"AWS":"AIDAEXAMPLEEXAMPLE01"}`, federated},
		{"the lender by name", `{"AWS":"arn:aws:iam::` + member + `:user/ada"}`, federated},
		{"the provider", `{"Federated":"` + web.Provider + `"}`, web},
	} {
		bucket := doc(t, policy.Resource, `{"Effect":"Deny","Principal":`+c.principal+`,"Action":"s3:*","Resource":"*"}`)
		q := authz.Question{Action: "s3:GetObject", Target: authz.Target{ARN: "arn:aws:s3:::b/k", Account: member, Policy: &bucket}}
		if d := ask(t, a, c.claim, q); d.Allowed || !d.Explicit {
			t.Errorf("%s is denied: %s", c.name, d)
		}
		bucket = doc(t, policy.Resource, `{"Effect":"Allow","Principal":`+c.principal+`,"Action":"s3:*","Resource":"*"}`)
		q.Target.RootOfTrust = true // so that only this policy can allow
		if d := ask(t, a, c.claim, q); !d.Allowed {
			t.Errorf("%s is allowed: %s", c.name, d)
		}
		if c.claim.Kind == authz.Federated {
			c.claim.SessionPolicies = nil // what names the lender gives no more than she lent
			if d := ask(t, a, c.claim, q); d.Allowed {
				t.Errorf("%s without session policies: %s", c.name, d)
			}
		}
	}
}

// Whether there is an account is not for everybody to know: a role in one that is
// not there, or is closed, is refused like a role that is not there.
func TestAbsentAccountsReadAlike(t *testing.T) {
	h, a := build(t)
	h.accounts["777777777777"] = &authz.Account{ID: "777777777777"}
	trust := doc(t, policy.Trust, `{"Effect":"Allow","Principal":{"Service":"nobody.invalid"},"Action":"sts:AssumeRole"}`)
	generous := doc(t, policy.Trust, `{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}`)
	refusal := func(account string, trust policy.Doc) string {
		t.Helper()
		d := ask(t, a, session(authz.User, "AIDAADA"), authz.Question{Action: "sts:AssumeRole",
			Target: authz.Target{ARN: "arn:aws:iam::" + account + ":role/r", Account: account, Policy: &trust, RootOfTrust: true}})
		if d.Allowed {
			t.Errorf("%s: %s", account, d)
		}
		return d.Reason("sts:AssumeRole", "r", "u")
	}
	want := refusal(other, trust)
	for _, account := range []string{"999999999999", "777777777777"} {
		for _, p := range []policy.Doc{trust, generous} {
			if got := refusal(account, p); got != want {
				t.Errorf("%s: %q, not %q", account, got, want)
			}
		}
	}
}
