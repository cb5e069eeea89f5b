package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
)

// A maker makes random requests out of few words, so that most policies nearly
// fit. What it makes depends on its seed alone.
type maker struct {
	*rand.Rand
	t    *testing.T
	text map[*Policy]string
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
	if kind == Resource || kind == Endpoint || kind == RCP {
		who := pick[any](m, "*", map[string]any{"AWS": "*"},
			map[string]any{"AWS": some(m, alice, roleARN, session, home, rootOf, aToken.ARN, other)},
			map[string]any{"AWS": some(m, alice, roleARN, session, home), "Service": aService.Service},
			map[string]any{"Federated": aBearer.Federated})
		switch {
		case kind == RCP:
			s["Principal"] = "*"
		case s["Effect"] == "Deny" && m.chance(40):
			s["NotPrincipal"] = map[string]any{"AWS": []string{home, pick(m, alice, roleARN, aToken.ARN), pick(m, alice, session), pick(m, other, session)}}
		default:
			s["Principal"] = who
		}
	}
	if kind == RCP && s["Effect"] == "Allow" {
		s["Action"], s["Resource"] = "*", "*"
		return s
	}
	s[pick(m, "Action", "Action", "Action", "NotAction")] = some(m, "*", "s3:*", "s3:Get*", "S3:getobject", "s3:?utObject", "kms:*", "kms:Decrypt", "s3:*Object")
	if kind == RCP {
		delete(s, "NotAction")
		s["Action"] = some(m, "s3:*", "s3:Get*", "kms:*")
	}
	s[pick(m, "Resource", "Resource", "Resource", "NotResource")] = some(m,
		"*", "*", "arn:aws:s3:::data/*", "arn:aws:s3:::data/${aws:username}/*", "arn:aws:s3:::data/${aws:PrincipalTag/team, 'blue'}/*",
		"arn:*:s3:::*/x.csv", "arn:aws:s3:::data/${*}/x.cs?", "arn:aws:kms:${aws:PrincipalTag/team}:*:key/*", "arn:aws:s3:::${made:up}*", "arn:aws:s3:::data/tr*n/?.csv")
	block := map[string]any{}
	for range m.IntN(3) {
		op, key, values := m.condition()
		block[op] = map[string]any{key: values}
	}
	s["Condition"] = block
	return s
}

func (m *maker) condition() (op, key string, values any) {
	suffix := pick(m, "", "", "IfExists")
	switch prefix := pick(m, "", "", "ForAllValues:", "ForAnyValue:"); m.IntN(9) {
	case 0, 1:
		op = prefix + pick(m, "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike") + suffix
		return op, pick(m, "aws:username", "aws:TagKeys", "AWS:principalTag/Team", "made:up"),
			some(m, "alice", "ALICE", "train", "blue", "a*", "?lice", "${aws:username}", "${aws:PrincipalTag/team}e", "${made:up}", "b${*}", "*")
	case 2:
		op = prefix + pick(m, "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike") + suffix
		return op, pick(m, "aws:PrincipalArn", "aws:SourceArn"), some(m, alice, "arn:aws:iam::*:user/*", "arn:aws:iam::"+home+":role/${aws:username}", "*", "arn:aws:iam::${aws:PrincipalTag/team}:user/alice")
	case 3:
		op = prefix + pick(m, "Numeric", "Numeric", "Date") + pick(m, "Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals") + suffix
		key, values = "s3:max-keys", some(m, "10", "10.0", "-3", "0", "9007199254740993", "1000")
		if op[len(prefix)] == 'D' {
			key, values = "aws:CurrentTime", some(m, "2026-11-22T10:00:00Z", "2026-11-22T11:00:00+01:00", "2027-01-01T00:00:00Z", "2020-01-01T00:00:00.5Z")
		}
		return op, key, values
	case 4:
		return prefix + pick(m, "Bool") + suffix, "aws:MultiFactorAuthPresent", some(m, "true", "false", "True")
	case 5:
		return prefix + pick(m, "IpAddress", "NotIpAddress") + suffix, "aws:SourceIp", some(m, "192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "0.0.0.0/0", "203.0.113.9/8")
	case 6:
		return "Null", pick(m, "aws:username", "aws:TagKeys", "made:up"), some(m, "true", "false")
	case 7:
		return prefix + "BinaryEquals" + suffix, "kms:Seal", some(m, "AAH/", "")
	default:
		return "StringLike", "aws:username", "*"
	}
}

func (m *maker) context() Context {
	c := Context{}
	set := func(key string, values ...string) {
		if m.chance(60) {
			c.Set(key, values...)
		}
	}
	set("aws:username", pick(m, "alice", "train", "*", "Alice", "a:b"))
	set("aws:PrincipalTag/team", pick(m, "blue", "train", "us-east-1", "alic", "?", "\xff"))
	set("aws:TagKeys", [][]string{{"blue"}, {"blue", "train"}, {"alice", "ALICE", "b*"}, {}}[m.IntN(4)]...)
	set("aws:PrincipalArn", pick(m, alice, roleARN, "no name"))
	set("aws:SourceArn", pick(m, alice, "arn:aws:s3:::x"))
	set("s3:max-keys", pick(m, "10", "1000", "9007199254740992", "-3", "ten"))
	set("aws:CurrentTime", pick(m, "2026-11-22T10:00:00Z", "2026-11-22T10:00:00.25Z", "now"))
	set("aws:MultiFactorAuthPresent", pick(m, "true", "false"))
	set("aws:SourceIp", pick(m, "192.0.2.7", "::ffff:192.0.2.9", "2001:db8::1", "203.0.113.9", "nowhere"))
	set("kms:Seal", pick(m, "\x00\x01\xff", ""))
	return c
}

// request gives an input another request.
func (m *maker) request(in *Input) {
	in.Action = pick(m, get, get, "s3:PutObject", "kms:Decrypt", "S3:GETOBJECT")
	in.Resource = pick(m, object, object, "arn:aws:s3:::data/alice/x.csv", "arn:aws:s3:::data/*/x.csv", "arn:aws:kms:us-east-1:"+home+":key/1", "*")
	in.Principal = pick(m, aUser, aUser, aSession, aSession, aRoot, aToken, aService, aBearer, Principal{})
	in.Principal.ID = ""
	in.ResourceAccount = pick(m, home, home, home, other)
	in.Context = m.context()
}

// policies makes an input without a request.
func (m *maker) policies() Input {
	in := Input{
		Identity:    m.docs(Identity, 3),
		RootOfTrust: m.chance(20),
		Granted:     m.chance(10),
	}
	if m.chance(20) {
		d := m.doc(Identity)
		in.Boundary = &d
	}
	if m.chance(20) {
		in.HasSession, in.Session = true, m.docs(SessionPolicy, 2)
	}
	if m.chance(60) {
		d := m.doc(Resource)
		in.ResourcePolicy = &d
	}
	if m.chance(10) {
		in.Endpoint = append(m.docs(Endpoint, 1), m.doc(Endpoint))
	}
	for range m.IntN(2) * m.IntN(3) {
		in.SCPs = append(in.SCPs, append(m.docs(SCP, 1), m.doc(SCP)))
	}
	for range m.IntN(2) * m.IntN(2) {
		in.RCPs = append(in.RCPs, append(m.docs(RCP, 1), m.doc(RCP)))
	}
	if m.chance(30) {
		in.Catalogue = knows{"s3:getobject": true, "kms:decrypt": true, "aws:username": true, "aws:principaltag/team": true, "aws:tagkeys": true, "aws:principalarn": true, "aws:sourceip": true,
			"s3:max-keys": true, "aws:currenttime": true, "aws:multifactorauthpresent": true, "kms:seal": true}
	}
	return in
}

// TestOracle compares Decide and Explain with the naive evaluator on 20,000 cases.
func TestOracle(t *testing.T) {
	const sets, requests = 5_000, 4
	count := map[answer]int{}
	for seed := range uint64(sets) {
		m := &maker{rand.New(rand.NewPCG(seed, 7)), t, map[*Policy]string{}}
		in := m.policies()
		plain := naive{&in, m.text, map[*Policy]naiveDocument{}}
		for range requests {
			m.request(&in)
			want := plain.decide()
			count[want]++
			x := Explain(&in)
			got := silent
			switch d := Decide(&in); {
			case d != x.Decision:
				t.Fatalf("seed %d: Decide says %+v, Explain %+v", seed, d, x.Decision)
			case d.Allowed:
				got = allowed
			case d.Explicit:
				got = denied
			}
			if got != want {
				t.Fatalf("seed %d: got %d, want %d\n%+v\n%s\n%v", seed, got, want, in, x, m.text)
			}
		}
	}
	for a := silent; a <= denied; a++ {
		if count[a] < sets*requests/20 {
			t.Errorf("only %d of %d cases ended in answer %d: the generator is too narrow", count[a], sets*requests, a)
		}
	}
}
