package policy

import (
	"fmt"
	"strings"
	"testing"
)

// TestConditions is the table of operators: for an Allow and a Deny with the
// condition, whether the statement matches.
func TestConditions(t *testing.T) {
	const absent = "-" // no such key in the request
	for _, c := range []struct {
		condition string // operator, key and values as in a policy
		have      string // values of aws:k in the request, separated by spaces
		allow     bool
		deny      bool
	}{
		{`"StringEquals":{"aws:k":["a","b"]}`, "b", true, true},
		{`"StringEquals":{"aws:k":"a"}`, "A", false, false},
		{`"StringEquals":{"aws:k":"a*"}`, "ab", false, false},
		{`"StringEquals":{"aws:k":"a*"}`, "a*", true, true},
		{`"StringEquals":{"aws:k":"a"}`, absent, false, false},
		{`"StringEquals":{"AWS:K":"a"}`, "a", true, true},
		{`"StringEqualsIfExists":{"aws:k":"a"}`, absent, true, true},
		{`"StringEqualsIfExists":{"aws:k":"a"}`, "b", false, false},
		{`"StringNotEquals":{"aws:k":["a","b"]}`, "b", false, false},
		{`"StringNotEquals":{"aws:k":["a","b"]}`, "c", true, true},
		{`"StringNotEquals":{"aws:k":"a"}`, absent, true, true},
		{`"StringEqualsIgnoreCase":{"aws:k":"kÄ"}`, "Kä", true, true},
		{`"StringEqualsIgnoreCase":{"aws:k":"admink"}`, "admin\u212a", false, false}, // Kelvin sign
		{`"StringNotEqualsIgnoreCase":{"aws:k":"s"}`, "\u017f", true, true},          // long s
		{`"StringNotEqualsIgnoreCase":{"aws:k":"ab"}`, "AB", false, false},
		{`"StringLike":{"aws:k":"a*c?"}`, "abbbcd", true, true},
		{`"StringLike":{"aws:k":"a*c?"}`, "abc", false, false},
		{`"StringLike":{"aws:k":"${*}"}`, "*", true, true},
		{`"StringLike":{"aws:k":"${*}"}`, "x", false, false},
		{`"StringLike":{"aws:k":"${$}{aws:k}"}`, "${aws:k}", true, true},
		{`"StringLike":{"aws:k":"${?}"}`, "x", false, false},
		{`"StringNotLike":{"aws:k":"a*"}`, "ab", false, false},
		{`"StringNotLike":{"aws:k":"a*"}`, absent, true, true},

		{`"NumericEquals":{"aws:k":"10"}`, "10.00", true, true},
		{`"NumericEquals":{"aws:k":9007199254740993}`, "9007199254740992", false, false},
		{`"NumericEquals":{"aws:k":"0"}`, "-0", true, true},
		{`"NumericNotEquals":{"aws:k":"10"}`, "11", true, true},
		{`"NumericNotEquals":{"aws:k":"10"}`, "ten", false, true}, // cannot be told: fails closed
		{`"NumericLessThan":{"aws:k":"10"}`, "9", true, true},
		{`"NumericLessThan":{"aws:k":"-10"}`, "-9", false, false},
		{`"NumericLessThan":{"aws:k":"10"}`, "10", false, false},
		{`"NumericLessThanEquals":{"aws:k":"10"}`, "10", true, true},
		{`"NumericGreaterThan":{"aws:k":"9.5"}`, "10", true, true},
		{`"NumericGreaterThanEquals":{"aws:k":"10"}`, "9.99", false, false},
		{`"NumericGreaterThan":{"aws:k":"1"}`, absent, false, false},

		{`"DateLessThan":{"aws:k":"2026-11-22T10:00:00Z"}`, "2026-11-22T10:59:59+01:00", true, true},
		{`"DateEquals":{"aws:k":"2026-11-22"}`, "2026-11-22T00:00:00Z", true, true},
		{`"DateEquals":{"aws:k":"1795305600"}`, "2026-11-22T00:00:00Z", true, true},
		{`"DateNotEquals":{"aws:k":"2026-11-22T00:00:00.5Z"}`, "2026-11-22T00:00:00Z", true, true},
		{`"DateGreaterThan":{"aws:k":"2026-11-22T10:00Z"}`, "2026-11-22T10:00:00Z", false, false},
		{`"DateGreaterThanEquals":{"aws:k":"2026-11-22T10:00Z"}`, "2026-11-22T10:00:00Z", true, true},
		{`"DateLessThanEquals":{"aws:k":"2026-11-22"}`, "not-a-date", false, false},
		{`"DateNotEquals":{"aws:k":"2026-11-22"}`, "not-a-date", false, true},

		{`"Bool":{"aws:k":true}`, "true", true, true},
		{`"Bool":{"aws:k":"False"}`, "false", true, true},
		{`"Bool":{"aws:k":"false"}`, absent, false, false},
		{`"BoolIfExists":{"aws:k":"false"}`, absent, true, true},
		{`"Bool":{"aws:k":"false"}`, "0", false, false},

		{`"BinaryEquals":{"aws:k":"AQL/"}`, "\x01\x02\xff", true, true},
		{`"BinaryEquals":{"aws:k":"AQL/"}`, "AQL/", false, false},

		{`"IpAddress":{"aws:k":"192.0.2.0/24"}`, "192.0.2.200", true, true},
		{`"IpAddress":{"aws:k":"192.0.2.77/24"}`, "192.0.2.200", true, true},
		{`"IpAddress":{"aws:k":"192.0.2.7"}`, "192.0.2.8", false, false},
		{`"IpAddress":{"aws:k":["203.0.113.0/24","2001:db8::/32"]}`, "2001:db8::5", true, true},
		{`"IpAddress":{"aws:k":"192.0.2.0/24"}`, "::ffff:192.0.2.1", true, true},
		{`"NotIpAddress":{"aws:k":"192.0.2.0/24"}`, "::ffff:192.0.2.1", false, false},
		{`"NotIpAddress":{"aws:k":"192.0.2.0/24"}`, "198.51.100.1", true, true},
		{`"NotIpAddress":{"aws:k":"192.0.2.0/24"}`, absent, true, true},
		{`"NotIpAddress":{"aws:k":"192.0.2.0/24"}`, "nonsense", false, true},
		{`"IpAddress":{"aws:k":"0.0.0.0/0"}`, "2001:db8::5", false, false},

		{`"ArnEquals":{"aws:k":"arn:aws:iam::*:role/*"}`, "arn:aws:iam::1:role/a/b", true, true},
		{`"ArnLike":{"aws:k":"arn:aws:iam::*:role/*"}`, "arn:aws:iam::1:user/x:role/a", false, false},
		{`"ArnLike":{"aws:k":"*"}`, "anything", true, true},
		{`"ArnNotLike":{"aws:k":"arn:aws:iam::1:*"}`, "arn:aws:iam::1:role/a", false, false},
		{`"ArnNotEquals":{"aws:k":"arn:aws:iam::1:role/a"}`, "arn:aws:iam::1:role/b", true, true},
		{`"ArnNotEquals":{"aws:k":"arn:aws:iam::1:role/a"}`, absent, true, true},
		{`"ArnNotEquals":{"aws:k":"arn:aws:iam::1:role/a"}`, "no-name", false, true},

		{`"Null":{"aws:k":"true"}`, absent, true, true},
		{`"Null":{"aws:k":"true"}`, "x", false, false},
		{`"Null":{"aws:k":false}`, "x", true, true},
		{`"Null":{"aws:k":["true","false"]}`, "x", true, true},

		{`"ForAllValues:StringEquals":{"aws:k":["a","b"]}`, "a b", true, true},
		{`"ForAllValues:StringEquals":{"aws:k":["a","b"]}`, "a c", false, false},
		{`"ForAllValues:StringEquals":{"aws:k":"a"}`, absent, true, true},
		{`"ForAllValues:StringNotEquals":{"aws:k":"a"}`, "b a", false, false},
		{`"ForAnyValue:StringEquals":{"aws:k":["a","b"]}`, "c a", true, true},
		{`"ForAnyValue:StringEquals":{"aws:k":"a"}`, absent, false, false},
		{`"ForAnyValue:StringNotEquals":{"aws:k":"a"}`, absent, false, false},
		{`"ForAnyValue:StringNotEquals":{"aws:k":"a"}`, "a b", true, true},
		{`"ForAnyValue:StringLikeIfExists":{"aws:k":"a"}`, absent, true, true},
		// Several values without a set operator: an Allow needs all, a Deny any.
		{`"StringEquals":{"aws:k":"a"}`, "a b", false, true},
		{`"StringNotEquals":{"aws:k":"a"}`, "a b", false, true},

		// All keys and operators must be met.
		{`"StringEquals":{"aws:k":"a","aws:name":"alice"},"Bool":{"aws:yes":"true"}`, "a", true, true},
		{`"StringEquals":{"aws:k":"a","aws:name":"bob"}`, "a", false, false},

		// Variables.
		{`"StringEquals":{"aws:k":"${aws:name}"}`, "alice", true, true},
		{`"StringEquals":{"aws:k":"x-${AWS:Name}-y"}`, "x-alice-y", true, true},
		{`"StringEqualsIgnoreCase":{"aws:k":"${aws:name}"}`, "ALICE", true, true},
		{`"StringLike":{"aws:k":"${aws:star}"}`, "anything", false, false},
		{`"StringLike":{"aws:k":"${aws:star}"}`, "*", true, true},
		{`"StringEquals":{"aws:k":"${aws:none, 'dflt'}"}`, "dflt", true, true},
		{`"StringEquals":{"aws:k":"${aws:none, ''}x"}`, "x", true, true},
		{`"StringEquals":{"aws:k":"${aws:name, 'dflt'}"}`, "dflt", false, false},
		{`"StringEquals":{"aws:k":"${aws:none}"}`, "", false, false},
		{`"StringNotEquals":{"aws:k":"${aws:none}"}`, "x", false, true}, // cannot be told: fails closed
		{`"StringNotEquals":{"aws:k":"y${aws:none}"}`, "x", true, true}, // can be told all the same
		{`"StringEquals":{"aws:k":"${aws:two}"}`, "1", false, false},    // several values are no value
		{`"ArnLike":{"aws:k":"arn:aws:iam::1:user/${aws:name}"}`, "arn:aws:iam::1:user/alice", true, true},
		{`"ArnLike":{"aws:k":"arn:aws:iam:${aws:colon}:1:user"}`, "arn:aws:iam:a:b:1:user", false, false},
	} {
		t.Run(c.condition+" with "+c.have, func(t *testing.T) {
			ctx := Context{}
			ctx.Set("aws:name", "alice")
			ctx.Set("aws:yes", "true")
			ctx.Set("aws:star", "*")
			ctx.Set("aws:colon", "a:b")
			ctx.Set("aws:two", "1", "2")
			if c.have != absent {
				ctx.Set("aws:k", strings.Split(c.have, " ")...)
			}
			in := &Input{Action: get, Resource: object, Principal: aUser, ResourceAccount: home, Context: ctx}
			when := func(effect string) string {
				return fmt.Sprintf(`{"Effect":%q,"Action":"*","Resource":"*","Condition":{%s}}`, effect, c.condition)
			}
			in.Identity = docs(doc(t, Identity, when("Allow")))
			if got := verdict(t, in) == "allowed by identity-based policy"; got != c.allow {
				t.Errorf("Allow matches: %v", got)
			}
			in.Identity = docs(doc(t, Identity, allow("*", "*"), when("Deny")))
			if got := verdict(t, in) == "denied by identity-based policy"; got != c.deny {
				t.Errorf("Deny matches: %v", got)
			}
		})
	}
}

// In the older version of the language ${…} is plain text.
func TestVariablesNeedTheirVersion(t *testing.T) {
	for _, version := range []string{`"Version":"2008-10-17",`, ""} {
		p := mustParse(t, Identity, `{`+version+`"Statement":`+allow("*", "arn:aws:s3:::b/${aws:username}")+`}`)
		ctx := Context{}
		ctx.Set("aws:username", "alice")
		in := &Input{Action: get, Principal: aUser, ResourceAccount: home, Context: ctx, Identity: docs(Doc{"old", p})}
		for name, want := range map[string]bool{"arn:aws:s3:::b/alice": false, "arn:aws:s3:::b/${aws:username}": true} {
			in.Resource = name
			if got := Decide(in).Allowed; got != want {
				t.Errorf("%s%s: %v", version, name, got)
			}
		}
	}
}

// TestResources covers names, variables in them and the Not forms.
func TestResources(t *testing.T) {
	ctx := Context{}
	ctx.Set("aws:username", "alice")
	ctx.Set("aws:star", "*")
	ctx.Set("aws:path", "a/b:c")
	ctx.Set("aws:raw", "\xff")
	for _, c := range []struct {
		element string
		name    string
		allow   bool
		deny    bool
	}{
		{`"Resource":"*"`, "*", true, true},
		{`"Resource":"arn:aws:s3:::*"`, "*", false, false}, // actions on no resource need "*"
		{`"Resource":"arn:aws:s3:::home/${aws:username}/*"`, "arn:aws:s3:::home/alice/x", true, true},
		{`"Resource":"arn:aws:s3:::home/${aws:username}/*"`, "arn:aws:s3:::home/bob/x", false, false},
		{`"Resource":"arn:aws:s3:::home/${aws:star}/*"`, "arn:aws:s3:::home/bob/x", false, false},
		{`"Resource":"arn:aws:s3:::home/${aws:raw}/*"`, "arn:aws:s3:::home/bob/x", false, false},
		{`"Resource":"arn:aws:s3:::${aws:path}"`, "arn:aws:s3:::a/b:c", true, true},
		{`"Resource":"arn:aws:s3:${aws:path}::x"`, "arn:aws:s3:a/b:c:x", false, false},
		{`"Resource":"arn:aws:s3:::${aws:none}"`, "arn:aws:s3:::x", false, false},
		{`"Resource":"arn:aws:s3:::${aws:none, 'x:y'}"`, "arn:aws:s3:::x:y", true, true},
		{`"NotResource":"arn:aws:s3:::x"`, "arn:aws:s3:::y", true, true},
		{`"NotResource":"arn:aws:s3:::x"`, "arn:aws:s3:::x", false, false},
		{`"NotResource":"arn:aws:s3:::x"`, "*", true, true},
		{`"NotResource":"arn:aws:s3:::${aws:none}"`, "arn:aws:s3:::x", false, true}, // must not allow everything
		{`"NotResource":"arn:aws:s3:::y${aws:none}"`, "arn:aws:s3:::x", true, true},
	} {
		in := &Input{Action: get, Resource: c.name, Principal: aUser, ResourceAccount: home, Context: ctx}
		in.Identity = docs(doc(t, Identity, `{"Effect":"Allow","Action":"*",`+c.element+`}`))
		if got := verdict(t, in) == "allowed by identity-based policy"; got != c.allow {
			t.Errorf("Allow %s matches %s: %v", c.element, c.name, got)
		}
		in.Identity = docs(doc(t, Identity, allow("*", "*"), `{"Effect":"Deny","Action":"*",`+c.element+`}`))
		if got := verdict(t, in) == "denied by identity-based policy"; got != c.deny {
			t.Errorf("Deny %s matches %s: %v", c.element, c.name, got)
		}
	}
}

// Actions are compared without regard to the case of ASCII letters only.
func TestActions(t *testing.T) {
	for _, c := range []struct {
		element, action string
		want            bool
	}{
		{`"Action":"S3:gEtObject"`, "s3:GetObject", true},
		{`"Action":"s3:Get*"`, "S3:GETOBJECT", true},
		{`"Action":"s3:Get?bject"`, "s3:GetObject", true},
		{`"Action":"s3:*"`, "s3-object-lambda:GetObject", false},
		{`"Action":"kms:*"`, "\u212ams:Decrypt", false},
		{`"Action":"kms:DisableKey"`, "kms:Disable\u212aey", false},
		{`"NotAction":["iam:*","sts:*"]`, "s3:GetObject", true},
		{`"NotAction":["iam:*","sts:*"]`, "IAM:PassRole", false},
		{`"NotAction":"*"`, "s3:GetObject", false},
	} {
		in := &Input{Action: c.action, Resource: "*", Principal: aUser, ResourceAccount: home,
			Identity: docs(doc(t, Identity, `{"Effect":"Allow",`+c.element+`,"Resource":"*"}`))}
		if got := verdict(t, in) == "allowed by identity-based policy"; got != c.want {
			t.Errorf("%s allows %s: %v", c.element, c.action, got)
		}
	}
}

func TestContext(t *testing.T) {
	c := Context{}
	c.Set("aws:RequestTag/Team", "blue")
	if v, ok := c.Get("AWS:requesttag/TEAM"); !ok || v[0] != "blue" {
		t.Errorf("got %q, %v", v, ok)
	}
	c.Set("aws:RequestTag/\u212a", "no")
	if _, ok := c.Get("aws:RequestTag/k"); ok {
		t.Error("the Kelvin sign passed for k")
	}
	c.Set("AWS:REQUESTTAG/TEAM")
	if _, ok := c.Get("aws:RequestTag/Team"); ok {
		t.Error("a key without values is still there")
	}
}
