package policy

import (
	"sync"
	"testing"
)

const (
	get       = "s3:GetObject"
	everyone  = `"*"`
	rootOf    = "arn:aws:iam::" + home + ":root"
	rootOther = "arn:aws:iam::" + other + ":root"
)

// TestDecide is the table of how policies of different places work together.
func TestDecide(t *testing.T) {
	yes := docs(doc(t, Identity, allow("s3:*", "*")))
	no := docs(doc(t, Identity, allow("kms:*", "*")))
	resource := func(s ...string) *Doc { return ptr(doc(t, Resource, s...)) }
	trust := func(principal string) *Doc {
		return ptr(doc(t, Trust, `{"Effect":"Allow","Principal":`+principal+`,"Action":"sts:AssumeRole"}`))
	}
	scp := func(s ...string) []Doc { return docs(doc(t, SCP, s...)) }
	assume := docs(doc(t, Identity, allow("sts:AssumeRole", "*")))
	full := allow("*", "*")
	bounded := ptr(doc(t, Identity, allow("kms:*", "*")))
	fullRCP := docs(doc(t, RCP, allowTo(everyone, "*")))

	for _, c := range []struct {
		name string
		in   Input
		want string
	}{
		// 1. An explicit Deny wins, wherever it stands.
		{"deny in identity", Input{Principal: aUser, Identity: docs(doc(t, Identity, full, deny(get, "*")))}, "denied by identity-based policy"},
		{"deny in resource", Input{Principal: aUser, Identity: yes, ResourcePolicy: resource(denyTo(everyone, get))}, "denied by resource-based policy"},
		{"deny in boundary", Input{Principal: aUser, Identity: yes, Boundary: ptr(doc(t, Identity, full, deny(get, "*")))}, "denied by permissions boundary"},
		{"deny in session", Input{Principal: aSession, Identity: yes, Session: docs(doc(t, SessionPolicy, full, deny(get, "*"))), HasSession: true}, "denied by session policy"},
		{"deny in SCP", Input{Principal: aUser, Identity: yes, SCPs: [][]Doc{scp(full), scp(full, deny(get, "*"))}}, "denied by service control policy"},
		{"deny in RCP", Input{Principal: aUser, Identity: yes, RCPs: [][]Doc{{fullRCP[0], doc(t, RCP, denyTo(everyone, get))}}}, "denied by resource control policy"},
		{"deny in endpoint", Input{Principal: aUser, Identity: yes, Endpoint: docs(doc(t, Endpoint, allowTo(everyone, "*"), denyTo(everyone, get)))}, "denied by VPC endpoint policy"},
		{"deny beats a grant", Input{Principal: aUser, Grant: &Grant{ID: "g"}, Identity: docs(doc(t, Identity, deny("*", "*")))}, "denied by identity-based policy"},
		{"deny in boundary beats a direct resource allow", Input{Principal: aUser, ResourcePolicy: resource(allowTo(aws(alice), get)), Boundary: ptr(doc(t, Identity, deny(get, "*")))}, "denied by permissions boundary"},

		// 2, 3. Organization policies: every level must allow.
		{"SCPs allow at each level", Input{Principal: aUser, Identity: yes, SCPs: [][]Doc{scp(full), scp(allow("s3:*", "*"))}}, "allowed by identity-based policy"},
		{"one SCP level is silent", Input{Principal: aUser, Identity: yes, SCPs: [][]Doc{scp(full), scp(allow("kms:*", "*")), scp(full)}}, "not allowed by service control policy"},
		{"one SCP level is empty", Input{Principal: aUser, Identity: yes, SCPs: [][]Doc{scp(full), {}}}, "not allowed by service control policy"},
		{"SCPs in force without a level", Input{Principal: aUser, Identity: yes, SCPs: [][]Doc{}}, "not allowed by service control policy"},
		{"an SCP grants nothing", Input{Principal: aUser, SCPs: [][]Doc{scp(full)}}, "not allowed by identity-based policy"},
		{"an SCP binds the root user", Input{Principal: aRoot, SCPs: [][]Doc{scp(allow("kms:*", "*"))}}, "not allowed by service control policy"},
		{"RCP full access", Input{Principal: aUser, Identity: yes, RCPs: [][]Doc{fullRCP, fullRCP}}, "allowed by identity-based policy"},
		{"RCP level empty", Input{Principal: aUser, Identity: yes, RCPs: [][]Doc{fullRCP, {}}}, "not allowed by resource control policy"},

		// VPC endpoints filter.
		{"endpoint silent", Input{Principal: aUser, Identity: yes, Endpoint: docs(doc(t, Endpoint, allowTo(everyone, "kms:*")))}, "not allowed by VPC endpoint policy"},
		{"one of two endpoints silent", Input{Principal: aUser, Identity: yes, Endpoint: docs(doc(t, Endpoint, allowTo(everyone, "*")), doc(t, Endpoint, allowTo(everyone, "kms:*")))}, "not allowed by VPC endpoint policy"},
		{"endpoint in force without a policy", Input{Principal: aUser, Identity: yes, Endpoint: []Doc{}}, "not allowed by VPC endpoint policy"},
		{"an endpoint grants nothing", Input{Principal: aUser, Endpoint: docs(doc(t, Endpoint, allowTo(everyone, "*")))}, "not allowed by identity-based policy"},

		// 4 to 6. One account.
		{"identity alone", Input{Principal: aUser, Identity: yes}, "allowed by identity-based policy"},
		{"nothing", Input{Principal: aUser}, "not allowed by identity-based policy"},
		{"boundary silent", Input{Principal: aUser, Identity: yes, Boundary: bounded}, "not allowed by permissions boundary"},
		{"a boundary grants nothing", Input{Principal: aUser, Identity: no, Boundary: ptr(doc(t, Identity, full))}, "not allowed by identity-based policy"},
		{"session silent", Input{Principal: aSession, Identity: yes, HasSession: true, Session: docs(doc(t, SessionPolicy, allow("kms:*", "*")))}, "not allowed by session policy"},
		{"session in force, none given", Input{Principal: aSession, Identity: yes, HasSession: true}, "not allowed by session policy"},
		{"session policies without the flag", Input{Principal: aSession, Identity: yes, Session: no}, "not allowed by session policy"},
		{"session policies unite", Input{Principal: aSession, Identity: yes, HasSession: true, Session: docs(doc(t, SessionPolicy, allow("kms:*", "*")), doc(t, Identity, allow(get, "*")))}, "allowed by identity-based policy"},
		{"a session policy grants nothing", Input{Principal: aSession, Identity: no, HasSession: true, Session: docs(doc(t, SessionPolicy, full))}, "not allowed by identity-based policy"},

		{"resource names the user: no limits", Input{Principal: aUser, ResourcePolicy: resource(allowTo(aws(alice), get)), Boundary: bounded}, "allowed by resource-based policy"},
		{"resource names the session: no limits", Input{Principal: aSession, ResourcePolicy: resource(allowTo(aws(session), get)), Boundary: bounded, HasSession: true}, "allowed by resource-based policy"},
		{"resource names everyone: no limits", Input{Principal: aSession, ResourcePolicy: resource(allowTo(everyone, get)), Boundary: bounded, HasSession: true}, "allowed by resource-based policy"},
		{"resource names the role: no identity needed", Input{Principal: aSession, ResourcePolicy: resource(allowTo(aws(roleARN), get))}, "allowed by resource-based policy"},
		{"resource names the role: boundary limits", Input{Principal: aSession, ResourcePolicy: resource(allowTo(aws(roleARN), get)), Boundary: bounded}, "not allowed by permissions boundary"},
		{"resource names the role: session limits", Input{Principal: aSession, ResourcePolicy: resource(allowTo(aws(roleARN), get)), HasSession: true}, "not allowed by session policy"},
		{"resource names role, then session: the closer counts", Input{Principal: aSession, ResourcePolicy: resource(allowTo(aws(roleARN), get), allowTo(aws(session), get)), Boundary: bounded}, "allowed by resource-based policy"},
		{"resource names another session of the role", Input{Principal: aSession, ResourcePolicy: resource(allowTo(aws("arn:aws:sts::"+home+":assumed-role/train/job-2"), get))}, "not allowed by identity-based policy"},
		{"resource names the account: delegates only", Input{Principal: aUser, ResourcePolicy: resource(allowTo(aws(rootOf), get))}, "not allowed by identity-based policy"},
		{"resource names the account by id: delegates only", Input{Principal: aUser, ResourcePolicy: resource(allowTo(aws(home), get))}, "not allowed by identity-based policy"},
		{"resource names the account, identity allows", Input{Principal: aUser, Identity: yes, ResourcePolicy: resource(allowTo(aws(home), get))}, "allowed by identity-based policy"},
		{"a Deny to the account means all in it", Input{Principal: aUser, Identity: yes, ResourcePolicy: resource(denyTo(aws(home), get))}, "denied by resource-based policy"},
		{"a Deny to the role means its sessions", Input{Principal: aSession, Identity: yes, ResourcePolicy: resource(denyTo(aws(roleARN), get))}, "denied by resource-based policy"},
		{"a Deny to someone else", Input{Principal: aUser, Identity: yes, ResourcePolicy: resource(denyTo(aws(roleARN), get))}, "allowed by identity-based policy"},

		// 7. Federated users.
		{"federated without session policy", Input{Principal: aToken, Identity: yes}, "not allowed by session policy"},
		{"federated with session policy", Input{Principal: aToken, Identity: yes, HasSession: true, Session: docs(doc(t, SessionPolicy, allow(get, "*")))}, "allowed by identity-based policy"},
		{"resource names the federated user", Input{Principal: aToken, ResourcePolicy: resource(allowTo(aws(aToken.ARN), get))}, "allowed by resource-based policy"},
		{"resource names the user behind", Input{Principal: aToken, ResourcePolicy: resource(allowTo(aws(alice), get))}, "not allowed by session policy"},

		// Root.
		{"root in its account", Input{Principal: aRoot}, "allowed by identity-based policy"},
		{"root denied by a bucket", Input{Principal: aRoot, ResourcePolicy: resource(denyTo(everyone, "s3:*"))}, "denied by resource-based policy"},
		{"root is not locked out of the bucket policy", Input{Action: "s3:PutBucketPolicy", Principal: aRoot, ResourcePolicy: resource(denyTo(everyone, "s3:*"))}, "allowed by identity-based policy"},
		{"a user is", Input{Action: "s3:PutBucketPolicy", Principal: aUser, Identity: yes, ResourcePolicy: resource(denyTo(everyone, "s3:*"))}, "denied by resource-based policy"},
		{"another account's root is", Input{Action: "s3:PutBucketPolicy", Principal: aRoot, ResourceAccount: other, ResourcePolicy: resource(allowTo(everyone, "*"), denyTo(everyone, "s3:*"))}, "denied by resource-based policy"},
		{"root abroad", Input{Principal: aRoot, ResourceAccount: other}, "not allowed by resource-based policy"},

		// 8. Two accounts.
		{"abroad, identity only", Input{Principal: aUser, Identity: yes, ResourceAccount: other}, "not allowed by resource-based policy"},
		{"abroad, resource only", Input{Principal: aUser, ResourceAccount: other, ResourcePolicy: resource(allowTo(aws(alice), get))}, "not allowed by identity-based policy"},
		{"abroad, everyone, no identity", Input{Principal: aUser, ResourceAccount: other, ResourcePolicy: resource(allowTo(everyone, get))}, "not allowed by identity-based policy"},
		{"abroad, both", Input{Principal: aUser, Identity: yes, ResourceAccount: other, ResourcePolicy: resource(allowTo(aws(alice), get))}, "allowed by identity-based policy"},
		{"abroad, account named", Input{Principal: aSession, Identity: yes, ResourceAccount: other, ResourcePolicy: resource(allowTo(aws(home), get))}, "allowed by identity-based policy"},
		{"abroad, the session named, boundary silent", Input{Principal: aSession, Identity: yes, Boundary: bounded, ResourceAccount: other, ResourcePolicy: resource(allowTo(aws(session), get))}, "not allowed by permissions boundary"},
		{"abroad, session policy silent", Input{Principal: aSession, Identity: yes, HasSession: true, ResourceAccount: other, ResourcePolicy: resource(allowTo(aws(session), get))}, "not allowed by session policy"},
		{"abroad, the owner's account named", Input{Principal: aUser, Identity: yes, ResourceAccount: other, ResourcePolicy: resource(allowTo(aws(rootOther), get))}, "not allowed by resource-based policy"},

		// Roots of trust.
		{"key without policy", Input{Principal: aUser, Identity: yes, RootOfTrust: true}, "not allowed by resource-based policy"},
		{"key does not delegate", Input{Principal: aUser, Identity: yes, RootOfTrust: true, ResourcePolicy: resource(allowTo(aws(roleARN), "*"))}, "not allowed by resource-based policy"},
		{"key delegates, identity allows", Input{Principal: aUser, Identity: yes, RootOfTrust: true, ResourcePolicy: resource(allowTo(aws(rootOf), "*"))}, "allowed by identity-based policy"},
		{"key delegates other actions", Input{Principal: aUser, Identity: yes, RootOfTrust: true, ResourcePolicy: resource(allowTo(aws(rootOf), "kms:*"))}, "not allowed by resource-based policy"},
		{"key delegates, identity silent", Input{Principal: aUser, RootOfTrust: true, ResourcePolicy: resource(allowTo(aws(rootOf), "*"))}, "not allowed by identity-based policy"},
		{"key names the user", Input{Principal: aUser, RootOfTrust: true, ResourcePolicy: resource(allowTo(aws(alice), "*"))}, "allowed by resource-based policy"},
		{"root and a key that leaves it out", Input{Principal: aRoot, RootOfTrust: true, ResourcePolicy: resource(allowTo(aws(alice), "*"))}, "not allowed by resource-based policy"},
		{"root and a key that names it", Input{Principal: aRoot, RootOfTrust: true, ResourcePolicy: resource(allowTo(aws(rootOf), "*"))}, "allowed by resource-based policy"},
		{"trust names the user", Input{Action: "sts:AssumeRole", Principal: aUser, RootOfTrust: true, ResourcePolicy: trust(aws(alice))}, "allowed by role trust policy"},
		{"trust names the account, identity allows", Input{Action: "sts:AssumeRole", Principal: aUser, Identity: assume, RootOfTrust: true, ResourcePolicy: trust(aws(home))}, "allowed by identity-based policy"},
		{"trust names the account, identity silent", Input{Action: "sts:AssumeRole", Principal: aUser, RootOfTrust: true, ResourcePolicy: trust(aws(home))}, "not allowed by identity-based policy"},
		{"trust names nobody here", Input{Action: "sts:AssumeRole", Principal: aUser, Identity: assume, RootOfTrust: true, ResourcePolicy: trust(aws(roleARN))}, "not allowed by role trust policy"},
		{"trust abroad, both", Input{Action: "sts:AssumeRole", Principal: aUser, Identity: assume, ResourceAccount: other, RootOfTrust: true, ResourcePolicy: trust(aws(home))}, "allowed by identity-based policy"},
		{"trust abroad, trust alone", Input{Action: "sts:AssumeRole", Principal: aUser, ResourceAccount: other, RootOfTrust: true, ResourcePolicy: trust(aws(alice))}, "not allowed by identity-based policy"},

		// Grants.
		{"grant", Input{Principal: aSession, RootOfTrust: true, Grant: &Grant{ID: "g"}}, "allowed by grant"},
		{"grant within the session policy", Input{Principal: aSession, RootOfTrust: true, Grant: &Grant{ID: "g"}, HasSession: true}, "not allowed by session policy"},
		{"grant abroad, both", Input{Principal: aSession, RootOfTrust: true, Grant: &Grant{ID: "g"}, ResourceAccount: other, Identity: docs(doc(t, Identity, allow("*", "*")))}, "allowed by identity-based policy"},
		{"grant abroad, grant alone", Input{Principal: aSession, RootOfTrust: true, Grant: &Grant{ID: "g"}, ResourceAccount: other}, "not allowed by identity-based policy"},
		{"grant to the account, identity silent", Input{Principal: aSession, RootOfTrust: true, Grant: &Grant{ID: "g", Account: true}}, "not allowed by identity-based policy"},
		{"grant to the account, both", Input{Principal: aSession, RootOfTrust: true, Grant: &Grant{ID: "g", Account: true}, Identity: docs(doc(t, Identity, allow("*", "*")))}, "allowed by identity-based policy"},
		{"grant to nobody", Input{Grant: &Grant{ID: "g"}}, "not allowed by resource-based policy"},

		// Callers without policies of their own.
		{"service", Input{Principal: aService, ResourcePolicy: resource(allowTo(`{"Service":"sagemaker.amazonaws.com"}`, get))}, "allowed by resource-based policy"},
		{"another service", Input{Principal: aService, ResourcePolicy: resource(allowTo(`{"Service":"logs.amazonaws.com"}`, get))}, "not allowed by resource-based policy"},
		{"service trusted by a role", Input{Action: "sts:AssumeRole", Principal: aService, RootOfTrust: true, ResourcePolicy: trust(`{"Service":"sagemaker.amazonaws.com"}`)}, "allowed by role trust policy"},
		{"an account's policy does not mean services", Input{Principal: aService, RootOfTrust: true, Identity: yes, ResourcePolicy: resource(allowTo(aws(home), "*"))}, "not allowed by resource-based policy"},
		{"anonymous", Input{ResourcePolicy: resource(allowTo(everyone, get))}, "allowed by resource-based policy"},
		{"anonymous to a named user's", Input{ResourcePolicy: resource(allowTo(aws(alice), get))}, "not allowed by resource-based policy"},
		{"anonymous with identity policies by mistake", Input{Identity: yes}, "not allowed by resource-based policy"},
		{"bearer, provider named", Input{Action: "sts:AssumeRole", Principal: aBearer, RootOfTrust: true, ResourcePolicy: trust(`{"Federated":"` + aBearer.Federated + `"}`)}, "allowed by role trust policy"},
		{"bearer, everyone named", Input{Action: "sts:AssumeRole", Principal: aBearer, RootOfTrust: true, ResourcePolicy: trust(everyone)}, "not allowed by role trust policy"},

		// What is not a request.
		{"no such kind of principal", Input{Principal: Principal{Kind: 99, Account: home}, Identity: yes}, "not allowed by request"},
		{"an unreadable policy", Input{Principal: aUser, Identity: append(docs(Doc{Name: "lost"}), yes...)}, "not allowed by identity-based policy"},
		{"an identity policy in a resource's place allows nobody", Input{ResourcePolicy: &yes[0]}, "not allowed by resource-based policy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := c.in
			if in.Action == "" {
				in.Action = get
			}
			in.Resource = object
			if in.ResourceAccount == "" {
				in.ResourceAccount = home
			}
			if got := verdict(t, &in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Zero values and fragments refuse, whatever the policies say.
func TestDecideRefusesWhatIsNoRequest(t *testing.T) {
	all := docs(doc(t, Identity, allow("*", "*")))
	for _, in := range []Input{
		{},
		{Action: get, Principal: aUser, Identity: all, ResourceAccount: home},
		{Resource: object, Principal: aUser, Identity: all, ResourceAccount: home},
		{Action: "GetObject", Resource: object, Principal: aUser, Identity: all, ResourceAccount: home},
		{Action: ":GetObject", Resource: object, Principal: aUser, Identity: all, ResourceAccount: home},
		{Action: "s3:", Resource: object, Principal: aUser, Identity: all, ResourceAccount: home},
		{Action: get, Resource: object, Principal: aUser, Identity: all}, // owner unknown
		{Action: get, Resource: object, Principal: aUser, Identity: all, ResourcePolicy: ptr(doc(t, Resource, allowTo(everyone, "*")))},
	} {
		if d := Decide(&in); d.Allowed {
			t.Errorf("allowed %+v", in)
		}
	}
	if (Decision{}).Allowed {
		t.Error("the zero Decision allows")
	}
}

// The decision names the statement that decided.
func TestDecisionNamesStatement(t *testing.T) {
	d := Decide(&Input{
		Action: get, Resource: object, Principal: aUser, ResourceAccount: home,
		Identity: docs(Doc{"one", mustParse(t, Identity, statements(allow("*", "*")))},
			Doc{"two", mustParse(t, Identity, statements(allow("*", "*"), `{"Sid":"Stop","Effect":"Deny","Action":"s3:*","Resource":"*"}`))}),
	})
	if want := (Decision{Gate: GateIdentity, Explicit: true, Doc: "two", Sid: "Stop", Index: 1}); d != want {
		t.Errorf("got %+v, want %+v", d, want)
	}
}

func TestReason(t *testing.T) {
	for _, c := range []struct {
		d    Decision
		want string
	}{
		{Decision{Gate: GateIdentity}, `User: ` + alice + ` is not authorized to perform: s3:GetObject on resource: "` + object + `" because no identity-based policy allows the s3:GetObject action`},
		{Decision{Gate: GateEndpoint}, `User: ` + alice + ` is not authorized to perform: s3:GetObject on resource: "` + object + `" because no VPC endpoint policy allows the s3:GetObject action`},
		{Decision{Gate: GateSCP, Explicit: true}, `User: ` + alice + ` is not authorized to perform: s3:GetObject on resource: "` + object + `" with an explicit deny in a service control policy`},
		{Decision{Gate: GateIdentity, Explicit: true}, `User: ` + alice + ` is not authorized to perform: s3:GetObject on resource: "` + object + `" with an explicit deny in an identity-based policy`},
		{Decision{Gate: GateTrust, Explicit: true}, `User: ` + alice + ` is not authorized to perform: s3:GetObject on resource: "` + object + `" with an explicit deny in the role trust policy`},
		{Decision{}, `User: ` + alice + ` is not authorized to perform: s3:GetObject on resource: "` + object + `"`},
		{Decision{Allowed: true}, ""},
	} {
		if got := c.d.Reason(get, object, alice); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	if got, want := (Decision{Gate: GateResource}).Reason(get, "", ""), "User: anonymous is not authorized to perform: s3:GetObject because no resource-based policy allows the s3:GetObject action"; got != want {
		t.Errorf("got %s", got)
	}
}

// One Input, and so every Policy in it, may be decided by many at once; the race
// detector watches.
func TestDecideConcurrently(t *testing.T) {
	in := hospital(t)
	want := Explain(in).Decision
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if d := Decide(in); d != want || !d.Allowed {
					t.Errorf("got %v, want %v", d, want)
				}
			}
		})
	}
	all.Wait()
}

// A decision costs no allocation: ten policies of twenty statements, with
// variables, wildcards and conditions; alone, and with every other kind of policy.
func TestDecideDoesNotAllocate(t *testing.T) {
	for name, in := range map[string]*Input{"identity": hospital(t), "every kind": perimeter(t)} {
		if d := Decide(in); !d.Allowed {
			t.Fatalf("%s: %s", name, Explain(in))
		}
		if n := testing.AllocsPerRun(100, func() { Decide(in) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
