package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Each of these documents is no policy; the error says where and what to do.
func TestParseRefuses(t *testing.T) {
	one := func(s string) string { return `{"Version":"2012-10-17","Statement":` + s + `}` }
	when := func(c string) string {
		return one(`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":` + c + `}`)
	}
	on := func(r string) string { return one(`{"Effect":"Allow","Action":"s3:*","Resource":` + r + `}`) }
	doing := func(a string) string { return one(`{"Effect":"Allow","Action":` + a + `,"Resource":"*"}`) }
	to := func(p string) string {
		return one(`{"Effect":"Allow","Principal":` + p + `,"Action":"s3:*","Resource":"*"}`)
	}
	for _, c := range []struct {
		name, text string
		kind       Kind
		want       string
	}{
		// Not JSON, or JSON that two readers understand differently.
		{"empty", ``, Identity, "1, column 1: not JSON: the document ends too early"},
		{"cut off", `{"Version":`, Identity, "not JSON"},
		{"no object", `[]`, Identity, "1, column 1: a policy must be an object"},
		{"two documents", allowAll + `{}`, Identity, "something follows"},
		{"effect twice", one(`{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}`), Identity, `"Effect" appears twice`},
		{"effect twice in two cases", one(`{"Effect":"Deny","effect":"Allow","Action":"*","Resource":"*"}`), Identity, `"effect": names are case-sensitive; write "Effect"`},
		{"effect twice by escape", one(`{"Effect":"Deny","\u0045ffect":"Allow","Action":"*","Resource":"*"}`), Identity, "appears twice"},
		{"statement twice", `{"Statement":[],"Statement":[]}`, Identity, "appears twice"},
		{"condition key twice in two cases", when(`{"StringEquals":{"aws:username":"a","AWS:userName":"b"}}`), Identity, "case does not tell keys apart"},
		{"operator twice", when(`{"Bool":{"aws:x":"true"},"Bool":{"aws:y":"true"}}`), Identity, "appears twice"},
		{"not UTF-8", when("{\"StringEquals\":{\"aws:username\":\"\xff\"}}"), Identity, "not JSON"},
		{"unpaired surrogate", when(`{"StringEquals":{"aws:username":"\ud800"}}`), Identity, "not JSON"},
		{"null", `{"Version":null,"Statement":[]}`, Identity, "Version must be a string"},
		{"comment", "{/**/}", Identity, "not JSON"},

		// Documents.
		{"unknown member", `{"Statements":[]}`, Identity, `no member "Statements"`},
		{"version", `{"Version":"2012-10-18","Statement":[]}`, Identity, `write "2012-10-17"`},
		{"no statement", `{"Version":"2012-10-17"}`, Identity, "has no Statement"},
		{"empty statement", one(`[]`), Identity, "at least one"},
		{"nested list", one(`[[]]`), Identity, "objects only"},
		{"sids", statements(`{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}`, `{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}`), Identity, "appears twice"},
		{"sid with space", one(`{"Sid":"a b","Effect":"Allow","Action":"*","Resource":"*"}`), Identity, "letters and digits"},
		{"no kind", allowAll, 0, "kind"},
		{"kind of no kind", allowAll, 99, "kind"},

		// Statements.
		{"no effect", one(`{"Action":"*","Resource":"*"}`), Identity, "no Effect"},
		{"effect in lower case", one(`{"Effect":"allow","Action":"*","Resource":"*"}`), Identity, `"Allow" or "Deny"`},
		{"no action", one(`{"Effect":"Allow","Resource":"*"}`), Identity, "no Action"},
		{"both actions", one(`{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}`), Identity, "exclude each other"},
		{"no resource", one(`{"Effect":"Allow","Action":"*"}`), Identity, "no Resource"},
		{"both resources", one(`{"Effect":"Allow","Action":"*","Resource":"*","NotResource":"*"}`), Identity, "exclude each other"},
		{"empty list", doing(`[]`), Identity, "is empty"},
		{"number", doing(`5`), Identity, "string or a list"},
		{"list in list", doing(`[["s3:*"]]`), Identity, "strings only"},
		{"action without service", doing(`"GetObject"`), Identity, "service:Name"},
		{"wildcard in the service", doing(`"s*:Get"`), Identity, "without wildcards"},
		{"odd action", doing(`"s3:Get/Object"`), Identity, "letters, digits"},
		{"look-alike action", doing("\"s3:\u212aey\""), Identity, "letters, digits"},
		{"resource is no name", on(`"bucket"`), Identity, "six parts"},
		{"resource too short", on(`"arn:aws:s3"`), Identity, "six parts"},
		{"resource without resource", on(`"arn:aws:s3:::"`), Identity, "six parts"},

		// Principals, by kind.
		{"identity names a principal", to(`"*"`), Identity, "remove the element"},
		{"session names a principal", to(`"*"`), SessionPolicy, "remove the element"},
		{"SCP names a principal", to(`"*"`), SCP, "remove the element"},
		{"resource names none", doing(`"*"`), Resource, "has no Principal"},
		{"endpoint names none", doing(`"*"`), Endpoint, "has no Principal"},
		{"principal is a name", to(`"` + alice + `"`), Resource, "must be"},
		{"principal is empty", to(`{}`), Resource, "names nobody"},
		{"principal of another case", to(`{"aws":"*"}`), Resource, `write "AWS"`},
		{"principal with wildcard", to(aws("arn:aws:iam::111122223333:role/*")), Resource, "wildcards"},
		{"principal with variable", to(aws("arn:aws:iam::111122223333:user/${aws:username}")), Resource, "wildcards or variables"},
		{"group", to(aws("arn:aws:iam::111122223333:group/g")), Resource, "groups are none"},
		{"short account", to(aws("11112222333")), Resource, "no principal"},
		{"service wildcard", to(`{"Service":"*"}`), Resource, "wildcards"},
		{"service without domain", to(`{"Service":"s3"}`), Resource, "no service principal"},
		{"canonical user", to(`{"CanonicalUser":"x"}`), Resource, "64 hexadecimal"},
		{"both principals", one(`{"Effect":"Deny","Principal":"*","NotPrincipal":"*","Action":"*","Resource":"*"}`), Resource, "exclude each other"},
		{"NotPrincipal with Allow", one(`{"Effect":"Allow","NotPrincipal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}`), Resource, "not supported"},
		{"NotPrincipal everyone", one(`{"Effect":"Deny","NotPrincipal":{"AWS":"*"},"Action":"*","Resource":"*"}`), Resource, "denies nobody"},
		{"trust with NotPrincipal", one(`{"Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}`), Trust, "no NotPrincipal"},
		{"trust of another service", one(`{"Effect":"Allow","Principal":"*","Action":["sts:AssumeRole","s3:GetObject"]}`), Trust, "only name actions of sts"},
		{"trust of everything", one(`{"Effect":"Allow","Principal":"*","Action":"*"}`), Trust, "only name actions of sts"},
		{"trust with Resource", one(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}`), Trust, "has no Resource"},
		{"RCP that allows", one(`{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}`), RCP, "only denies"},
		{"RCP for one", one(`{"Effect":"Deny","Principal":{"AWS":"111122223333"},"Action":"s3:*","Resource":"*"}`), RCP, "by condition"},

		// Conditions.
		{"unknown operator", when(`{"StringMatches":{"aws:x":"y"}}`), Identity, "no condition operator"},
		{"operator of another case", when(`{"stringEquals":{"aws:x":"y"}}`), Identity, `write "StringEquals"`},
		{"quantifier of another case", when(`{"forAllValues:StringEquals":{"aws:x":"y"}}`), Identity, "no condition operator"},
		{"IfExists twice", when(`{"StringEqualsIfExistsIfExists":{"aws:x":"y"}}`), Identity, "no condition operator"},
		{"Null IfExists", when(`{"NullIfExists":{"aws:x":"true"}}`), Identity, "Null takes neither"},
		{"Null for all", when(`{"ForAllValues:Null":{"aws:x":"true"}}`), Identity, "Null takes neither"},
		{"operator without keys", when(`{"StringEquals":{}}`), Identity, "holds no condition key"},
		{"key without values", when(`{"StringNotEquals":{"aws:x":[]}}`), Identity, "is empty"},
		{"key without service", when(`{"StringEquals":{"username":"y"}}`), Identity, "no condition key"},
		{"null value", when(`{"StringEquals":{"aws:x":null}}`), Identity, "string"},
		{"bad number", when(`{"NumericEquals":{"aws:x":"1e3"}}`), Identity, "no number"},
		{"bad date", when(`{"DateEquals":{"aws:x":"yesterday"}}`), Identity, "no date"},
		{"a year", when(`{"DateLessThan":{"aws:x":"2027"}}`), Identity, "no date"},
		{"bad Boolean", when(`{"Bool":{"aws:x":"yes"}}`), Identity, "no Boolean"},
		{"bad base64", when(`{"BinaryEquals":{"aws:x":"===="}}`), Identity, "base64"},
		{"bad address", when(`{"IpAddress":{"aws:x":"10.0.0.0/33"}}`), Identity, "neither an address"},
		{"address of a zone", when(`{"IpAddress":{"aws:x":"fe80::1%eth0"}}`), Identity, "neither an address"},
		{"leading zeros", when(`{"IpAddress":{"aws:x":"010.0.0.1"}}`), Identity, "neither an address"},
		{"IPv4 as IPv6", when(`{"NotIpAddress":{"aws:x":"::ffff:10.0.0.0/104"}}`), Identity, "write it as IPv4"},
		{"bad name", when(`{"ArnNotLike":{"aws:x":"arn:aws:iam"}}`), Identity, "six parts"},
		{"variable in a number", when(`{"NumericEquals":{"aws:x":"${aws:y}"}}`), Identity, "no number"},
		{"variable in an address", when(`{"IpAddress":{"aws:x":"${aws:y}"}}`), Identity, "neither"},
		{"variable that does not end", on(`"arn:aws:s3:::b/${aws:username"`), Identity, "does not end"},
		{"empty variable", on(`"arn:aws:s3:::b/${}"`), Identity, "empty policy variable"},
		{"variable without quotes", on(`"arn:aws:s3:::b/${aws:x, y}"`), Identity, "single quotes"},
		{"variable in a variable", on(`"arn:aws:s3:::b/${aws:${x}}"`), Identity, "character"},
		{"pattern longer than names", on(`"arn:aws:s3:::` + strings.Repeat("*a", 1100) + `"`), Identity, "longer than"},
		{"value longer than names", when(`{"StringLike":{"aws:x":"` + strings.Repeat("*a", 1100) + `"}}`), Identity, "longer than"},
		{"variable in an action", doing(`"s3:${aws:x}"`), Identity, "letters, digits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Parse([]byte(c.text), c.kind)
			var at *Error
			if !errors.As(err, &at) || p != nil {
				t.Fatalf("got %v, %v", p, err)
			}
			if !strings.Contains(err.Error(), c.want) || at.Line < 1 || at.Column < 1 {
				t.Errorf("got  %v\nwant …%s…", err, c.want)
			}
		})
	}
}

var allowAll = statements(allow("*", "*"))

func TestParsePositions(t *testing.T) {
	text := "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\n    \"Effect\": \"Allow\",\n    \"Action\": [\"s3:GetObject\", \"bad\"],\n    \"Resource\": \"*\"\n  }]\n}"
	for find, replace := range map[string]string{`"bad"`: `"bad"`, `"Effect"`: `"effect"`, `"*"`: `"*!"`, `"2012-10-17"`: `2012`} {
		bad := strings.Replace(text, find, replace, 1)
		offset := strings.Index(bad, replace)
		line := 1 + strings.Count(bad[:offset], "\n")
		column := offset - strings.LastIndexByte(bad[:offset], '\n')
		if find != `"bad"` {
			bad = strings.Replace(bad, `"bad"`, `"s3:Good"`, 1)
		}
		_, err := Parse([]byte(bad), Identity)
		if want := fmt.Sprintf("policy: line %d, column %d: ", line, column); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s…", replace, err, want)
		}
	}
}

func TestParseLimits(t *testing.T) {
	for kind, limit := range map[Kind]int{Identity: 10240, Resource: 32768, Trust: 8192, SessionPolicy: 2048, Endpoint: 20480, SCP: 10240, RCP: 5120} {
		s := `{"Effect":"Deny","Action":"s3:GetObject","Resource":"*"}`
		switch kind {
		case Resource, Endpoint, RCP:
			s = denyTo(everyone, "s3:GetObject")
		case Trust:
			s = `{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}`
		}
		text := statements(s)
		text = strings.Replace(text, `{"Version"`, `{"Id":"","Version"`, 1)
		fits := strings.Replace(text, `"Id":""`, `"Id":"`+strings.Repeat("x", limit-len(text))+`"`, 1)
		if _, err := Parse([]byte(fits), kind); err != nil {
			t.Errorf("%s of %d characters: %v", kind, len(fits), err)
		}
		if _, err := Parse([]byte(strings.Replace(fits, "{", "{ \n\t", 1)), kind); err != nil {
			t.Errorf("%s: white space counted: %v", kind, err)
		}
		if _, err := Parse([]byte(strings.Replace(fits, "xx", "xx ", 1)), kind); err == nil {
			t.Errorf("%s of %d characters, one of them a space in a string, was read", kind, len(fits)+1)
		}
	}
	// A quote within a string does not end it: the spaces after it count.
	quoted := strings.Replace(allowAll, `{"Version"`, `{"Id":"\"`+strings.Repeat(" ", maxSize(Identity))+`","Version"`, 1)
	if _, err := Parse([]byte(quoted), Identity); err == nil {
		t.Error("a long string was read, as its escaped quote seemed to end it")
	}
	if _, err := Parse([]byte(allowAll+strings.Repeat(" ", maxRaw)), Identity); err == nil {
		t.Error("a document of white space was read")
	}
	if _, err := Parse([]byte(strings.Repeat(`{"Statement":[`, 700)), Identity); err == nil {
		t.Error("a deep document was read")
	}
}

// Documents as AWS prints them in its guides are read.
func TestParseAccepts(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		text string
	}{
		{Identity, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::example","Condition":{}}}`},
		{Identity, `{"Statement":[{"Effect":"Deny","NotAction":["iam:*","sts:*"],"NotResource":"*","Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":false},"NumericLessThanEquals":{"s3:max-keys":10}}}]}`},
		{Resource, `{"Id":"key-consolepolicy-3","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}]}`},
		{Resource, `{"Statement":[{"Effect":"Deny","NotPrincipal":{"AWS":["111122223333","arn:aws:iam::111122223333:role/r"],"Service":"s3.amazonaws.com","CanonicalUser":"` + strings.Repeat("0f", 32) + `"},"Action":"s3:*","Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]}]}`},
		{Trust, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["sagemaker.amazonaws.com"],"Federated":"accounts.google.com","AWS":["AROAEXAMPLEEXAMPLE01","arn:aws:sts::111122223333:assumed-role/r/s"]},"Action":["sts:AssumeRole","sts:TagSession"]}]}`},
		{Endpoint, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`},
		{SCP, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`},
		{RCP, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`},
		{SessionPolicy, allowAll},
	} {
		p, err := Parse([]byte(c.text), c.kind)
		if err != nil {
			t.Errorf("%v\n%s", err, c.text)
		} else if p.Kind() != c.kind || p.Len() != 1 {
			t.Errorf("%s was read as %s of %d statements", c.text, p.Kind(), p.Len())
		}
	}
}

func TestPolicyTellsItsParts(t *testing.T) {
	p := mustParse(t, Resource, `{"Id":"i","Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["111122223333","`+alice+`"],"Service":"s3.amazonaws.com"},
		"Action":"s3:*","Resource":"arn:aws:s3:::${aws:PrincipalTag/Team, 'x'}/*","Condition":{"StringLike":{"AWS:UserName":"${aws:userid}"},"Null":{"aws:TokenIssueTime":true}}}}`)
	if got, want := p.Keys(), []string{"aws:PrincipalTag/Team", "AWS:UserName", "aws:userid", "aws:TokenIssueTime"}; !slices.Equal(got, want) {
		t.Errorf("keys %q", got)
	}
	if got, want := p.Principals(), []string{"111122223333", alice, "s3.amazonaws.com"}; !slices.Equal(got, want) {
		t.Errorf("principals %q", got)
	}
	if p.ID() != "i" || p.Version() != Version2012 {
		t.Errorf("id %q, version %q", p.ID(), p.Version())
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(allowAll), byte(Identity))
	f.Add([]byte(statements(denyTo(aws(alice), "s3:Get*"))), byte(Resource))
	f.Add([]byte(`{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"ForAnyValue:StringLikeIfExists":{"aws:x":["${aws:y, 'z'}*",1,true]}}}}`), byte(Trust))
	f.Add([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotAction":"*","NotResource":"arn:aws:s3:::${*}","Condition":{"IpAddress":{"aws:SourceIp":"::/0"},"DateLessThan":{"aws:CurrentTime":"2026-01-01"}}}]}`), byte(SCP))
	f.Add([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"idp.example/a"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringLike":{"idp.example/a:sub":"${idp.example/a:aud, '*'}"}}}}`), byte(Trust))
	f.Fuzz(func(t *testing.T, data []byte, kind byte) {
		p, err := Parse(data, Kind(kind))
		var at *Error
		if err != nil {
			if !errors.As(err, &at) || p != nil || at.Line < 1 || at.Column < 1 {
				t.Fatalf("%#v, %v", p, err)
			}
			return
		}
		// What is read can be asked, and is answered the same both ways.
		ctx := Context{}
		for _, k := range p.Keys() {
			ctx.Set(k, "x")
		}
		d := Doc{"fuzz", p}
		in := &Input{Action: get, Resource: object, Principal: aUser, ResourceAccount: home, Context: ctx, Identity: docs(d), ResourcePolicy: &d}
		verdict(t, in)
		p.Public()
	})
}
