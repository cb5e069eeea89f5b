package ec2

import (
	"regexp"
	"strings"
	"testing"

	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/ec2"
)

// A filter's value matches as a regular expression made of it does.
func FuzzLike(f *testing.F) {
	for _, s := range [][2]string{{"*", ""}, {"a*b", "aXXb"}, {"?", "x"}, {`\*`, "*"}, {`a\`, `a\`}, {"*a*a*a*b", "aaaaaaaa"}, {"", "x"}, {`\\?`, `\x`}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 100 || len(text) > 100 {
			return
		}
		var re strings.Builder
		re.WriteString(`(?s)\A`)
		for i := 0; i < len(pattern); i++ {
			switch {
			case pattern[i] == '*':
				re.WriteString(`.*`)
			case pattern[i] == '?':
				re.WriteString(`.`)
			case pattern[i] == '\\' && i+1 < len(pattern):
				i++
				fallthrough
			default:
				re.WriteString(regexp.QuoteMeta(string(rune(pattern[i]))))
			}
		}
		re.WriteString(`\z`)
		// Bytes as runes, since like works on bytes.
		wide := func(s string) string {
			r := make([]rune, len(s))
			for i := range len(s) {
				r[i] = rune(s[i])
			}
			return string(r)
		}
		if want := regexp.MustCompile(re.String()).MatchString(wide(text)); like(pattern, text) != want {
			t.Errorf("%q matches %q: %v", pattern, text, !want)
		}
	})
}

// Whatever a permission says, what is stored of it the machine can obey.
func FuzzPermission(f *testing.F) {
	f.Add("tcp", int32(443), int32(443), "10.0.0.0/8", "", "")
	f.Add("-1", int32(-1), int32(-1), "", "sg-00000000000000000", "")
	f.Add("icmp", int32(8), int32(-1), "0.0.0.0/0", "", "pl-1")
	f.Add("17", int32(0), int32(65535), "10.0.0.1/8", "", "")
	f.Fuzz(func(t *testing.T, protocol string, from, to int32, cidr, peer, list string) {
		in := ec2.IpPermission{IpProtocol: protocol, FromPort: &from, ToPort: &to}
		if cidr != "" {
			in.IpRanges = []ec2.IpRange{{CidrIp: cidr}}
		}
		if peer != "" {
			in.UserIdGroupPairs = []ec2.UserIdGroupPair{{GroupId: peer}}
		}
		if list != "" {
			in.PrefixListIds = []ec2.PrefixListId{{PrefixListId: list}}
		}
		all, err := parsePermission(in, "123456789012", "vpc-1")
		if err != nil {
			return
		}
		for _, d := range all {
			if d.PrefixList != "" {
				continue // looked up when it is stored
			}
			v := &netmodel.VPC{ID: "vpc-1", Account: "123456789012", SecurityGroups: []netmodel.SecurityGroup{{ID: "sg-00000000000000000", Ingress: []netmodel.Rule{d.model()}}}}
			if d.Peer != "" {
				v.SecurityGroups[0].ID = d.Peer
			}
			cidr, _ := parseRange("10.0.0.0/16", "")
			v.CIDRs = append(v.CIDRs, cidr)
			if err := v.Validate(); err != nil {
				t.Errorf("%+v: %v", d, err)
			}
		}
	})
}

// No policy of a gateway endpoint names a principal: whoever the policy is asked
// about, its principal counts as everyone.
func FuzzEveryone(f *testing.F) {
	for _, p := range []string{`"*"`, `{"AWS":"*"}`, `{"AWS":["*"]}`, `{"AWS":"123456789012"}`, `{"AWS":["*","123456789012"]}`, `{"Service":"x.amazonaws.com"}`, `{"AWS":"*","Service":"x.amazonaws.com"}`} {
		f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + p + `,"Action":"*","Resource":"*"}]}`)
		f.Add(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","NotPrincipal":` + p + `,"Action":"*","Resource":"*"}}`)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := policy.Parse([]byte(text), policy.Endpoint); err != nil || everyone(text) != nil {
			return
		}
		if strings.Contains(text, "NotPrincipal") && !strings.Contains(text, `"Principal"`) {
			t.Errorf("NotPrincipal passes: %s", text)
		}
		if regexp.MustCompile(`"Principal"\s*:\s*\{[^}]*("Service"|"Federated"|"CanonicalUser")`).MatchString(text) {
			t.Errorf("a typed principal passes: %s", text)
		}
	})
}
