package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A maker makes random requests out of few words, so that most policies nearly
// fit. What it makes depends on its seed alone.
type maker struct {
	*rand.Rand
	t    testing.TB
	text map[*Policy]string
}

func newMaker(t testing.TB, seed, stream uint64) *maker {
	return &maker{rand.New(rand.NewPCG(seed, stream)), t, map[*Policy]string{}}
}

func pick[T any](m *maker, of ...T) T { return of[m.IntN(len(of))] }

// some picks one to three.
func some(m *maker, of ...string) any {
	if m.IntN(2) == 0 {
		return pick(m, of...)
	}
	out := []string{pick(m, of...)}
	for range m.IntN(3) {
		out = append(out, pick(m, of...))
	}
	return out
}

func (m *maker) chance(percent int) bool { return m.IntN(100) < percent }

func (m *maker) doc(kind Kind) Doc {
	var st []map[string]any
	for range 1 + m.IntN(4) {
		st = append(st, m.statement(kind))
	}
	return m.document(kind, st)
}

func (m *maker) document(kind Kind, st []map[string]any) Doc {
	d := map[string]any{"Version": pick(m, Version2012, Version2012, Version2012, Version2008), "Statement": st}
	text, err := json.Marshal(d)
	if err != nil {
		m.t.Fatal(err)
	}
	p, err := Parse(text, kind)
	if err != nil {
		m.t.Fatalf("%v\n%s", err, text)
	}
	m.text[p] = string(text)
	return Doc{Name: fmt.Sprintf("%s %d", kind, len(m.text)), Policy: p}
}

func (m *maker) docs(kind Kind, atMost int) (out []Doc) {
	for range m.IntN(atMost + 1) {
		out = append(out, m.doc(kind))
	}
	return out
}

func (m *maker) statement(kind Kind) map[string]any {
	s := map[string]any{"Effect": "Allow"}
	if m.chance(15) {
		s["Effect"] = "Deny"
	}
	m.principal(s, kind)
	if kind == RCP && s["Effect"] == "Allow" {
		s["Action"], s["Resource"] = "*", "*"
		return s
	}
	switch kind {
	case Trust:
		s["Action"] = some(m, "sts:AssumeRole", "sts:AssumeRole", "sts:*", "sts:AssumeRoleWith*", "sts:assumerolewithwebidentity", "sts:TagSession")
	case RCP:
		s["Action"] = some(m, "s3:*", "s3:Get*", "kms:*", "sts:AssumeRole*")
	default:
		s[pick(m, "Action", "Action", "Action", "NotAction")] = some(m, "*", "s3:*", "s3:Get*", "S3:getobject", "s3:?utObject", "kms:*", "kms:Decrypt", "s3:*Object", "sts:AssumeRole")
	}
	if kind != Trust {
		s[pick(m, "Resource", "Resource", "Resource", "NotResource")] = some(m,
			"*", "*", "arn:aws:s3:::data/*", "arn:aws:s3:::data/${aws:username}/*", "arn:aws:s3:::data/${aws:PrincipalTag/team, 'blue'}/*",
			"arn:*:s3:::*/x.csv", "arn:aws:s3:::data/${*}/x.cs?", "arn:aws:s3:::data/${aws:username}${?}/${$}*", "arn:aws:kms:${aws:PrincipalTag/team}:*:key/*",
			"arn:aws:s3:::${made:up}*", "arn:aws:s3:::data/tr*n/?.csv", "arn:aws:iam::*:role/*")
	}
	block, atMost := map[string]any{}, 2
	if s["Effect"] == "Deny" {
		atMost = 3
	}
	for range m.IntN(atMost + 1) {
		op, key, values := m.condition()
		block[op] = map[string]any{key: values}
	}
	s["Condition"] = block
	return s
}

const (
	canonicalID  = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"
	samlProvider = "arn:aws:iam::" + home + ":saml-provider/corp"
	webProvider  = "accounts.google.com"
)

// principal puts the element into a statement that has one.
func (m *maker) principal(s map[string]any, kind Kind) {
	switch kind {
	case Identity, SessionPolicy, SCP:
		return
	case RCP:
		s["Principal"] = "*"
		return
	}
	names := []string{alice, roleARN, session, home, rootOf, aToken.ARN, other, aliceID, trainID, trainID + ":job-1", trainID + ":job-2"}
	providers := some(m, aBearer.Federated, samlProvider, webProvider)
	if s["Effect"] == "Deny" && m.chance(40) && kind != Trust {
		s["NotPrincipal"] = map[string]any{
			"AWS":       []string{pick(m, home, home, other), pick(m, alice, aliceID, roleARN, aToken.ARN), pick(m, alice, session, trainID), pick(m, other, session, trainID+":job-1")},
			"Service":   pick(m, aService.Service, "logs.amazonaws.com"),
			"Federated": providers,
		}
		return
	}
	s["Principal"] = pick[any](m, "*", map[string]any{"AWS": "*"},
		map[string]any{"AWS": some(m, names...)},
		map[string]any{"AWS": some(m, names...), "Service": some(m, aService.Service, "logs.amazonaws.com")},
		map[string]any{"AWS": pick(m, names...), "CanonicalUser": pick(m, canonicalID, strings.Repeat("a", 64))},
		map[string]any{"AWS": pick(m, "*", home), "Federated": providers},
		map[string]any{"Federated": providers})
}

var (
	stringOperators = []string{"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike"}
	arnOperators    = []string{"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"}
	comparisons     = []string{"Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"}
	addressMatches  = []string{"IpAddress", "NotIpAddress"}
)

func (m *maker) condition() (op, key string, values any) {
	prefix, suffix := pick(m, "", "", "ForAllValues:", "ForAnyValue:"), pick(m, "", "", "IfExists")
	switch m.IntN(10) {
	case 0, 1, 2:
		op = pick(m, stringOperators...)
		key = pick(m, "aws:username", "aws:TagKeys", "AWS:principalTag/Team", "made:up", "idp.example/path:sub")
		values = some(m, "alice", "ALICE", "train", "blue", "a*", "?lice", "${aws:username}", "${aws:PrincipalTag/team}e", "${aws:PrincipalTag/none, 'blue'}", "${aws:TagKeys}", "${made:up}", "b${*}", "É", "*")
	case 3:
		op, key = pick(m, arnOperators...), pick(m, "aws:PrincipalArn", "aws:SourceArn")
		values = some(m, alice, "arn:aws:iam::*:user/*", "arn:aws:iam::"+home+":role/${aws:username}", "*", "arn:aws:iam::${aws:PrincipalTag/team}:user/alice", "arn:aws:s3:::?")
	case 4:
		op, key, values = "Numeric"+pick(m, comparisons...), "s3:max-keys", some(m, "10", "10.0", "-3", "0", "9007199254740993", "1000", "+7.25")
	case 5:
		op, key = "Date"+pick(m, comparisons...), "aws:CurrentTime"
		values = some(m, "2026-11-22T10:00:00Z", "2026-11-22T11:00:00+01:00", "2027-01-01T00:00:00Z", "2020-01-01T00:00:00.5Z", "2026-11-22", "2026-11-22T10:00Z", "1795341600")
	case 6:
		op, key, values = "Bool", "aws:MultiFactorAuthPresent", some(m, "true", "false", "True")
	case 7:
		op, key, values = pick(m, addressMatches...), "aws:SourceIp", some(m, "192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "0.0.0.0/0", "203.0.113.9/8", "::/0")
	case 8:
		op, key, values = "BinaryEquals", "kms:Seal", some(m, "AAH/", "")
	default:
		return "Null", pick(m, "aws:username", "aws:TagKeys", "made:up"), some(m, "true", "false")
	}
	return prefix + op + suffix, key, values
}

func (m *maker) context() Context {
	c := Context{}
	set := func(key string, values ...string) {
		if m.chance(60) {
			c.Set(key, values...)
		}
	}
	set("aws:username", pick(m, "alice", "train", "*", "Alice", "a:b", "é"))
	set("aws:PrincipalTag/team", pick(m, "blue", "train", "us-east-1", "alic", "?", "\xff"))
	set("aws:TagKeys", [][]string{{"blue"}, {"blue", "train"}, {"alice", "ALICE", "b*"}, {}}[m.IntN(4)]...)
	set("aws:PrincipalArn", pick(m, alice, roleARN, "no name"))
	set("aws:SourceArn", [][]string{{alice}, {"arn:aws:s3:::x"}, {alice, "arn:aws:s3:::x"}}[m.IntN(3)]...)
	set("s3:max-keys", pick(m, "10", "1000", "9007199254740992", "-3", "ten", "1e3", "7.250"))
	set("aws:CurrentTime", pick(m, "2026-11-22T10:00:00Z", "2026-11-22T10:00:00.25Z", "now", "1795341600", "2026"))
	set("aws:MultiFactorAuthPresent", pick(m, "true", "false", "yes"))
	set("aws:SourceIp", pick(m, "192.0.2.7", "::ffff:192.0.2.9", "2001:db8::1", "203.0.113.9", "nowhere", "fe80::1%eth0"))
	set("kms:Seal", pick(m, "\x00\x01\xff", ""))
	set("idp.example/path:sub", pick(m, "alice", "blue"))
	return c
}

// callers are one of each kind, and some kinds twice.
func callers() []Principal {
	known, hired, helper := aUser, aSession, aService
	known.Canonical = canonicalID
	hired.Federated = samlProvider
	helper.Account = home
	return []Principal{aUser, known, aSession, aSession, hired, aRoot, aToken, aService, helper, aBearer,
		{Kind: WebIdentity, Federated: samlProvider}, {Kind: WebIdentity, Federated: webProvider}, {}}
}

// request gives an input another request.
func (m *maker) request(in *Input) {
	in.Principal = pick(m, callers()...)
	in.ResourceAccount = pick(m, home, home, home, home, other, other, "")
	in.Context = m.context()
	if p := in.ResourcePolicy; p != nil && p.Policy.Kind() == Trust {
		in.Action = pick(m, "sts:AssumeRole", "sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML", "sts:TagSession")
		in.Resource = "arn:aws:iam::" + home + ":role/deploy"
		return
	}
	in.Action = pick(m, get, get, get, "s3:PutObject", "kms:Decrypt", "S3:GETOBJECT", "s3:PutBucketPolicy", "s3:GetObjects")
	in.Resource = pick(m, object, object, "arn:aws:s3:::data/alice/x.csv", "arn:aws:s3:::data/*/x.csv", "arn:aws:s3:::data/alice?/$x", "arn:aws:kms:us-east-1:"+home+":key/1", "*")
}

// policies makes an input without a request.
func (m *maker) policies() Input {
	in := Input{
		Identity:    m.docs(Identity, 3),
		RootOfTrust: m.chance(20),
	}
	if m.chance(10) {
		in.Grant = &Grant{ID: "g", Account: m.chance(50)}
	}
	if m.chance(20) {
		d := m.doc(Identity)
		in.Boundary = &d
	}
	if m.chance(20) {
		in.HasSession, in.Session = true, append(m.docs(SessionPolicy, 2), m.docs(Identity, 1)...)
	}
	switch {
	case m.chance(20):
		d := m.doc(Trust)
		in.ResourcePolicy, in.RootOfTrust = &d, true
		in.Identity = append(in.Identity, m.document(Identity, []map[string]any{{"Effect": "Allow", "Action": "sts:*", "Resource": "*"}}))
	case m.chance(70):
		d := m.doc(Resource)
		in.ResourcePolicy = &d
	}
	if m.chance(25) {
		in.Endpoint = append(m.docs(Endpoint, 1), m.doc(Endpoint))
	}
	for range m.IntN(2) * m.IntN(3) {
		in.SCPs = append(in.SCPs, append(m.docs(SCP, 1), m.doc(SCP)))
	}
	for range m.IntN(2) * m.IntN(2) {
		in.RCPs = append(in.RCPs, append(m.docs(RCP, 1), m.doc(RCP)))
	}
	if m.chance(30) {
		in.Catalogue = knows{"s3:getobject": true, "s3:putbucketpolicy": true, "kms:decrypt": true, "sts:assumerole": true, "sts:assumerolewithsaml": true,
			"aws:username": true, "aws:principaltag/team": true, "aws:principaltag/none": true, "aws:tagkeys": true, "aws:principalarn": true, "aws:sourceip": true,
			"s3:max-keys": true, "aws:currenttime": true, "aws:multifactorauthpresent": true, "kms:seal": true, "idp.example/path:sub": true}
	}
	return in
}
