package policy

import "testing"

// A rule is one sentence of AWS's documentation with an example: policies, each
// as its statements, the call, and the verdict.
type rule struct {
	says string

	identity, boundary, session, resource, trust, endpoint string
	scps, rcps                                             []string // a level each, from the root

	who      Principal
	action   string            // s3:GetObject, or sts:AssumeRole with a trust policy
	on       string            // the object
	abroad   bool              // the resource is another account's
	keys     map[string]string // condition keys with one value
	tags     []string          // aws:TagKeys
	token    bool              // session policies are in force
	expected string
}

func (r *rule) input(t *testing.T) *Input {
	in := &Input{Action: r.action, Resource: r.on, Principal: r.who, ResourceAccount: home, HasSession: r.token, Context: Context{}}
	if in.Resource == "" {
		in.Resource = object
	}
	if r.abroad {
		in.ResourceAccount = other
	}
	for k, v := range r.keys {
		in.Context.Set(k, v)
	}
	in.Context.Set("aws:TagKeys", r.tags...)
	read := func(kind Kind, text string) *Doc {
		if text == "" {
			return nil
		}
		return ptr(doc(t, kind, text))
	}
	if d := read(Identity, r.identity); d != nil {
		in.Identity = docs(*d)
	}
	if d := read(SessionPolicy, r.session); d != nil {
		in.HasSession, in.Session = true, docs(*d)
	}
	if d := read(Endpoint, r.endpoint); d != nil {
		in.Endpoint = docs(*d)
	}
	in.Boundary, in.ResourcePolicy = read(Identity, r.boundary), read(Resource, r.resource)
	if d := read(Trust, r.trust); d != nil {
		in.ResourcePolicy, in.RootOfTrust = d, true
		in.Resource = "arn:aws:iam::" + in.ResourceAccount + ":role/deploy"
		if in.Action == "" {
			in.Action = "sts:AssumeRole"
		}
	}
	if in.Action == "" {
		in.Action = get
	}
	for _, s := range r.scps {
		in.SCPs = append(in.SCPs, docs(*read(SCP, s)))
	}
	for _, s := range r.rcps {
		in.RCPs = append(in.RCPs, docs(*read(RCP, s)))
	}
	return in
}

const (
	byIdentity  = "allowed by identity-based policy"
	byResource  = "allowed by resource-based policy"
	byTrust     = "allowed by role trust policy"
	noIdentity  = "not allowed by identity-based policy"
	noResource  = "not allowed by resource-based policy"
	noTrust     = "not allowed by role trust policy"
	noSession   = "not allowed by session policy"
	noBoundary  = "not allowed by permissions boundary"
	noSCP       = "not allowed by service control policy"
	denySCP     = "denied by service control policy"
	denyRCP     = "denied by resource control policy"
	denyOwn     = "denied by identity-based policy"
	allowReads  = `{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}`
	allowKeys   = `{"Effect":"Allow","Action":"kms:*","Resource":"*"}`
	allowAny    = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	fullRCP     = `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`
	toEveryone  = `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}`
	roleOnlyARN = `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{"ArnEquals":{"aws:PrincipalArn":"` + roleARN + `"}}}`
)

// TestRules is aws-semantics §1 and the IAM user guide, sentence by sentence,
// where the tables of other tests do not have it.
func TestRules(t *testing.T) {
	toService := `{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole",
		"Condition":{"StringEquals":{"aws:SourceAccount":"` + home + `"},"ArnLike":{"aws:SourceArn":"arn:aws:sagemaker:*:` + home + `:training-job/*"}}}`
	toToken := `{"Effect":"Allow","Principal":{"Federated":"` + aBearer.Federated + `"},"Action":"sts:AssumeRoleWithWebIdentity",
		"Condition":{"StringEquals":{"idp.example:aud":"sts.amazonaws.com"},"StringLike":{"idp.example:sub":"repo:org/*"}}}`
	toAssertion := `{"Effect":"Allow","Principal":{"Federated":"` + samlProvider + `"},"Action":["sts:AssumeRoleWithSAML","sts:TagSession"],"Condition":{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml"}}}`
	toGoogle := `{"Effect":"Allow","Principal":{"Federated":"accounts.google.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"accounts.google.com:aud":"app"}}}`
	withTags := `{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["team","cost"]}}}`
	ownOrg := `{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEqualsIfExists":{"aws:PrincipalOrgID":"o-own"},"BoolIfExists":{"aws:PrincipalIsAWSService":"false"}}}`
	bearer := func(provider string) Principal { return Principal{Kind: WebIdentity, Federated: provider} }
	withWeb, withSAML := "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"
	repo := map[string]string{"idp.example:aud": "sts.amazonaws.com", "idp.example:sub": "repo:org/train:ref"}

	for _, r := range []rule{
		// GetFederationToken and GetSessionToken.
		{says: "a federated user without session policy has nothing from identity policies", who: aToken, identity: allowAny, expected: noSession},
		{says: "but what a resource policy gives it by its own ARN", who: aToken, identity: allowAny, resource: allowTo(aws(aToken.ARN), get), expected: byResource},
		{says: "not what one gives another federated user", who: aToken, identity: allowAny, resource: allowTo(aws("arn:aws:sts::"+home+":federated-user/eve"), get), expected: noSession},
		{says: "not what one gives its user", who: aToken, resource: allowTo(aws(alice), get), expected: noSession},
		{says: "with one it has what both allow", who: aToken, identity: allowAny, session: allowReads, expected: byIdentity},
		{says: "and no more", who: aToken, identity: allowKeys, session: allowReads, expected: noIdentity},
		{says: "its user's boundary limits it", who: aToken, identity: allowAny, session: allowReads, boundary: allowKeys, expected: noBoundary},
		{says: "a GetSessionToken session is its user", who: aUser, resource: allowTo(aws(alice), get), boundary: allowKeys, keys: map[string]string{"aws:TokenIssueTime": "2026-11-22T10:00:00Z"}, expected: byResource},
		{says: "sessions from before a time can be revoked", who: aSession, identity: allowReads + `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-22T12:00:00Z"}}}`,
			keys: map[string]string{"aws:TokenIssueTime": "2026-11-22T10:00:00Z"}, expected: denyOwn},
		{says: "and those from after it stay", who: aSession, identity: allowReads + `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-22T12:00:00Z"}}}`,
			keys: map[string]string{"aws:TokenIssueTime": "2026-11-22T13:00:00Z"}, expected: byIdentity},

		// Whom the resource's policy names, and how.
		{says: "aws:PrincipalArn of a session is its role's", who: aSession, resource: roleOnlyARN, keys: map[string]string{"aws:PrincipalArn": roleARN}, expected: byResource},
		{says: `"*" with aws:PrincipalArn is not limited by session policies`, who: aSession, resource: roleOnlyARN, keys: map[string]string{"aws:PrincipalArn": roleARN}, session: allowKeys, expected: byResource},
		{says: "Principal with the role's ARN is", who: aSession, resource: allowTo(aws(roleARN), get), session: allowKeys, expected: noSession},
		{says: "Principal with the session's ARN is not", who: aSession, resource: allowTo(aws(session), get), session: allowKeys, boundary: allowKeys, expected: byResource},
		{says: "but an explicit Deny there is final", who: aSession, resource: allowTo(aws(session), get), session: deny("s3:*", "*"), expected: "denied by session policy"},
		{says: "abroad the session's ARN is limited too", who: aSession, identity: allowReads, resource: allowTo(aws(session), get), session: allowKeys, abroad: true, expected: noSession},
		{says: "abroad everyone needs his own account's Allow", who: aUser, resource: toEveryone, abroad: true, expected: noIdentity},
		{says: "abroad, the account named and the identity allowed", who: aUser, identity: allowReads, resource: allowTo(aws(home), get), abroad: true, expected: byIdentity},
		{says: "abroad a root user acts for its account", who: aRoot, resource: allowTo(aws(home), get), abroad: true, expected: byIdentity},
		{says: "to an anonymous caller a condition on the principal is no match", resource: roleOnlyARN, expected: noResource},

		// Trust policies.
		{says: "a token's bearer, provider, audience and subject as demanded", who: aBearer, trust: toToken, action: withWeb, keys: repo, expected: byTrust},
		{says: "another subject", who: aBearer, trust: toToken, action: withWeb, keys: map[string]string{"idp.example:aud": "sts.amazonaws.com", "idp.example:sub": "repo:evil/x"}, expected: noTrust},
		{says: "no subject", who: aBearer, trust: toToken, action: withWeb, keys: map[string]string{"idp.example:aud": "sts.amazonaws.com"}, expected: noTrust},
		{says: "another provider's token with the same claims", who: bearer("arn:aws:iam::" + home + ":oidc-provider/evil.example"), trust: toToken, action: withWeb, keys: repo, expected: noTrust},
		{says: "the same provider of another account", who: bearer("arn:aws:iam::" + other + ":oidc-provider/idp.example"), trust: toToken, action: withWeb, keys: repo, expected: noTrust},
		{says: "a token is not for AssumeRole", who: aBearer, trust: toToken, keys: repo, expected: noTrust},
		{says: "a provider that is known by its host", who: bearer("accounts.google.com"), trust: toGoogle, action: withWeb, keys: map[string]string{"accounts.google.com:aud": "app"}, expected: byTrust},
		{says: "the audience of another application", who: bearer("accounts.google.com"), trust: toGoogle, action: withWeb, keys: map[string]string{"accounts.google.com:aud": "other"}, expected: noTrust},
		{says: "a SAML assertion", who: bearer(samlProvider), trust: toAssertion, action: withSAML, keys: map[string]string{"saml:aud": "https://signin.aws.amazon.com/saml"}, expected: byTrust},
		{says: "an assertion for someone else", who: bearer(samlProvider), trust: toAssertion, action: withSAML, keys: map[string]string{"saml:aud": "https://evil.example"}, expected: noTrust},
		{says: "a service for its own account's job", who: aService, trust: toService, keys: map[string]string{"aws:SourceAccount": home, "aws:SourceArn": "arn:aws:sagemaker:us-east-1:" + home + ":training-job/j"}, expected: byTrust},
		{says: "a service that another account confused", who: aService, trust: toService, keys: map[string]string{"aws:SourceAccount": other, "aws:SourceArn": "arn:aws:sagemaker:us-east-1:" + other + ":training-job/j"}, expected: noTrust},
		{says: "a service that does not say for what", who: aService, trust: toService, expected: noTrust},
		{says: "a session that takes another role needs both sides", who: aSession, identity: allow("sts:AssumeRole", "*"), trust: `{"Effect":"Allow","Principal":` + aws(home) + `,"Action":"sts:AssumeRole"}`, expected: byIdentity},
		{says: "or to be named as a role", who: aSession, trust: `{"Effect":"Allow","Principal":` + aws(roleARN) + `,"Action":"sts:AssumeRole"}`, expected: byTrust},
		{says: "tags in the call need their own action", who: aUser, action: "sts:TagSession", identity: allowAny, trust: `{"Effect":"Allow","Principal":` + aws(home) + `,"Action":"sts:AssumeRole"}`, expected: noTrust},
		{says: "a code that was not given", who: aUser, trust: `{"Effect":"Allow","Principal":` + aws(alice) + `,"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}`, expected: noTrust},

		// Organizations.
		{says: "an SCP at the root denies for everyone below", who: aUser, identity: allowAny, scps: []string{allowAny + "," + deny(get, "*"), allowAny}, expected: denySCP},
		{says: "an allow list at a unit", who: aUser, identity: allowAny, scps: []string{allowAny, allowReads, allowAny}, expected: byIdentity},
		{says: "and what is not on it", who: aUser, identity: allowAny, scps: []string{allowAny, allowKeys, allowAny}, expected: noSCP},
		{says: "levels do not unite", who: aUser, identity: allowAny, scps: []string{allowReads, allowKeys}, expected: noSCP},
		{says: "an SCP limits what a resource policy gives", who: aUser, resource: allowTo(aws(alice), get), scps: []string{allowKeys}, expected: noSCP},
		{says: "an SCP limits the root user", who: aRoot, scps: []string{allowAny, deny("s3:*", "*")}, expected: denySCP},
		{says: "an SCP may spare a role", who: aSession, identity: allowAny, scps: []string{allowAny + `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/team/*"}}}`},
			keys: map[string]string{"aws:PrincipalArn": roleARN}, expected: byIdentity},
		{says: "an RCP keeps strangers out of what a bucket gives everyone", resource: toEveryone, rcps: []string{fullRCP, fullRCP + "," + denyTo(everyone, "s3:*")}, expected: denyRCP},
		{says: "an RCP of the own organization", who: aUser, identity: allowReads, rcps: []string{fullRCP + "," + ownOrg}, keys: map[string]string{"aws:PrincipalOrgID": "o-own", "aws:PrincipalIsAWSService": "false"}, expected: byIdentity},
		{says: "against another's", who: aUser, identity: allowReads, resource: toEveryone, abroad: true, rcps: []string{fullRCP + "," + ownOrg}, keys: map[string]string{"aws:PrincipalOrgID": "o-evil", "aws:PrincipalIsAWSService": "false"}, expected: denyRCP},
		{says: "sparing services", who: aService, trust: `{"Effect":"Allow","Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}`, rcps: []string{fullRCP + "," + ownOrg}, keys: map[string]string{"aws:PrincipalIsAWSService": "true"}, expected: byTrust},
		{says: "an RCP that allows everyone allows bearers of tokens", who: aBearer, trust: toToken, action: withWeb, keys: repo, rcps: []string{fullRCP}, expected: byTrust},
		{says: "and gives them nothing", who: aBearer, trust: `{"Effect":"Allow","Principal":"*","Action":"` + withWeb + `"}`, action: withWeb, keys: repo, rcps: []string{fullRCP}, expected: noTrust},
		{says: "so does an endpoint's policy", who: aBearer, trust: toToken, action: withWeb, keys: repo, endpoint: fullRCP, expected: byTrust},
		{says: "an endpoint's policy may name the account", who: aUser, identity: allowReads, endpoint: allowTo(aws(home), "s3:*"), expected: byIdentity},
		{says: "and so stops others", who: aUser, identity: allowReads, endpoint: allowTo(aws(other), "s3:*"), expected: "not allowed by VPC endpoint policy"},

		// Conditions.
		{says: "ForAllValues holds if the key is missing", who: aUser, identity: withTags, expected: byIdentity},
		{says: "ForAllValues with allowed tags", who: aUser, identity: withTags, tags: []string{"cost"}, expected: byIdentity},
		{says: "ForAllValues with one too many", who: aUser, identity: withTags, tags: []string{"cost", "admin"}, expected: noIdentity},
		{says: "Null demands that the key is there", who: aUser, identity: `{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":"team"},"Null":{"aws:TagKeys":"false"}}}`, expected: noIdentity},
		{says: "IfExists holds without the key", who: aUser, identity: `{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEqualsIfExists":{"s3:prefix":"a"}}}`, expected: byIdentity},
		{says: "and compares it if it is there", who: aUser, identity: `{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEqualsIfExists":{"s3:prefix":"a"}}}`, keys: map[string]string{"s3:prefix": "b"}, expected: noIdentity},
		{says: "without a code: BoolIfExists denies long-term keys too", who: aUser, identity: allowReads + `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}}`, expected: denyOwn},
		{says: "Bool does not", who: aUser, identity: allowReads + `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"false"}}}`, expected: byIdentity},

		// Variables.
		{says: "a tag's value in a name", who: aUser, identity: allow("s3:*", "arn:aws:s3:::${aws:PrincipalTag/x, 'data'}/*"), keys: map[string]string{"aws:PrincipalTag/x": "data"}, expected: byIdentity},
		{says: "its default where there is no tag", who: aUser, identity: allow("s3:*", "arn:aws:s3:::${aws:PrincipalTag/x, 'data'}/*"), expected: byIdentity},
		{says: "not its default where there is one", who: aUser, identity: allow("s3:*", "arn:aws:s3:::${aws:PrincipalTag/x, 'data'}/*"), keys: map[string]string{"aws:PrincipalTag/x": "other"}, expected: noIdentity},
		{says: "no value and no default: no match", who: aUser, identity: allow("s3:*", "arn:aws:s3:::data${aws:PrincipalTag/x}/*"), expected: noIdentity},
		{says: "a value's * is no wildcard", who: aUser, identity: allow("s3:*", "arn:aws:s3:::${aws:PrincipalTag/x}/*"), keys: map[string]string{"aws:PrincipalTag/x": "*"}, expected: noIdentity},
		{says: "${*}, ${?} and ${$} are characters", who: aUser, identity: allow("s3:*", "arn:aws:s3:::b/${*}${?}${$}"), on: "arn:aws:s3:::b/*?$", expected: byIdentity},
		{says: "and no wildcards", who: aUser, identity: allow("s3:*", "arn:aws:s3:::b/${*}${?}${$}"), on: "arn:aws:s3:::b/xy$", expected: noIdentity},

		// Actions and resources.
		{says: "actions are compared without case", who: aUser, action: "S3:getOBJECT", identity: allow("s3:GetObject", "*"), expected: byIdentity},
		{says: `an action on no resource needs Resource "*"`, who: aUser, action: "s3:ListAllMyBuckets", on: "*", identity: allow("s3:*", "arn:aws:s3:::*"), expected: noIdentity},
		{says: "and has it", who: aUser, action: "s3:ListAllMyBuckets", on: "*", identity: allow("s3:*", "*"), expected: byIdentity},
		{says: "NotAction in an Allow gives the rest", who: aUser, identity: `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, expected: byIdentity},
		{says: "NotResource in a Deny spares what it names", who: aUser, identity: allowReads + `,{"Effect":"Deny","Action":"s3:*","NotResource":"arn:aws:s3:::data/*"}`, expected: byIdentity},
		{says: "and nothing else", who: aUser, on: "arn:aws:s3:::other/x", identity: allowReads + `,{"Effect":"Deny","Action":"s3:*","NotResource":"arn:aws:s3:::data/*"}`, expected: denyOwn},
	} {
		t.Run(r.says, func(t *testing.T) {
			in := r.input(t)
			if got := verdict(t, in); got != r.expected {
				t.Errorf("got %q, want %q\n%s", got, r.expected, Explain(in))
			}
		})
	}
}

// TestEveryRefusalNamesItsKind: what a refused caller reads names the kind of
// policy in the words of AWS's messages.
func TestEveryRefusalNamesItsKind(t *testing.T) {
	trustAll := `{"Effect":"Allow","Principal":` + aws(alice) + `,"Action":"sts:AssumeRole"}`
	trustNone := `{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}`
	full := []string{allowAny}
	for words, r := range map[string]rule{
		" because no service control policy allows the s3:GetObject action":  {identity: allowAny, scps: []string{allowKeys}},
		" because no resource control policy allows the s3:GetObject action": {identity: allowAny, rcps: []string{denyTo(everyone, "kms:*")}},
		" because no VPC endpoint policy allows the s3:GetObject action":     {identity: allowAny, endpoint: allowTo(everyone, "kms:*")},
		" because no resource-based policy allows the s3:GetObject action":   {identity: allowAny, abroad: true},
		" because no role trust policy allows the sts:AssumeRole action":     {identity: allowAny, trust: `{"Effect":"Allow","Principal":` + aws(other) + `,"Action":"sts:AssumeRole"}`},
		" because no permissions boundary allows the s3:GetObject action":    {identity: allowAny, boundary: allowKeys},
		" because no session policy allows the s3:GetObject action":          {identity: allowAny, token: true},
		" because no identity-based policy allows the s3:GetObject action":   {},
		" with an explicit deny in a service control policy":                 {identity: allowAny, scps: append(full, deny(get, "*"))},
		" with an explicit deny in a resource control policy":                {identity: allowAny, rcps: []string{fullRCP + "," + denyTo(everyone, get)}},
		" with an explicit deny in a VPC endpoint policy":                    {identity: allowAny, endpoint: denyTo(everyone, get)},
		" with an explicit deny in a resource-based policy":                  {identity: allowAny, resource: denyTo(everyone, get)},
		" with an explicit deny in the role trust policy":                    {identity: allowAny, trust: trustAll + "," + trustNone},
		" with an explicit deny in a permissions boundary":                   {identity: allowAny, boundary: allowAny + "," + deny(get, "*")},
		" with an explicit deny in a session policy":                         {identity: allowAny, session: deny(get, "*")},
		" with an explicit deny in an identity-based policy":                 {identity: allowAny + "," + deny(get, "*")},
	} {
		r.who = aUser
		in := r.input(t)
		want := "User: " + alice + " is not authorized to perform: " + in.Action + ` on resource: "` + in.Resource + `"` + words
		if got := Decide(in).Reason(in.Action, in.Resource, alice); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
