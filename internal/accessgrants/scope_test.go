package accessgrants

import (
	"strings"
	"testing"

	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/s3control"
)

// What a grant covers, and what looks like it.
func TestScopes(t *testing.T) {
	for _, c := range []struct {
		location, sub string
		object        bool
		is            string
		in, out       []string
	}{
		{"s3://", "bucket/a/*", false, "s3://bucket/a/*", []string{"s3://bucket/a/*", "s3://bucket/a/b"}, []string{"s3://bucket/a*", "s3://bucket/ab/*", "s3://bucket2/a/*", "s3://bucket", "s3://bucket/*"}},
		{"s3://bucket", "", false, "s3://bucket/*", []string{"s3://bucket", "s3://bucket/x", "s3://bucket/*"}, []string{"s3://bucket2", "s3://bucke/t", "s3://bucket2/*"}},
		{"s3://bucket", "a*", false, "s3://bucket/a*", []string{"s3://bucket/a*", "s3://bucket/ab"}, []string{"s3://bucketa/x", "s3://bucket/b*"}},
		{"s3://bucket/team", "/x*", false, "", nil, nil},
		{"s3://bucket/team", "x*", false, "s3://bucket/teamx*", []string{"s3://bucket/teamx"}, []string{"s3://bucket/team*", "s3://bucket/x*"}},
		{"s3://bucket/team/*", "../other/*", false, "s3://bucket/team/../other/*", []string{"s3://bucket/team/../other/x"}, []string{"s3://bucket/other/x"}},
		{"s3://bucket", "a/x.csv", true, "s3://bucket/a/x.csv", []string{"s3://bucket/a/x.csv"}, []string{"s3://bucket/a/x.csv*", "s3://bucket/a/x.csvx"}},
		{"s3://", "*", false, "", nil, nil},
		{"s3://", "bucket*", false, "", nil, nil},
		{"s3://", "*/x*", false, "", nil, nil},
		{"s3://", "", false, "", nil, nil},
		{"s3://bucket", "*a*", false, "", nil, nil},
		{"s3://bucket", "a?*", false, "", nil, nil},
		{"s3://bucket", "a", false, "", nil, nil},
		{"s3://bucket", "a*", true, "", nil, nil},
		{"s3://bucket", "", true, "", nil, nil},
		{"s3://bucket", strings.Repeat("a", 1025) + "*", false, "", nil, nil},
	} {
		of, ok := locationScope(c.location)
		if !ok {
			t.Fatalf("%s is no location", c.location)
		}
		g, ok := of.below(c.sub, c.object)
		if ok != (c.is != "") || ok && g.String() != c.is {
			t.Errorf("%s of %s is %s, %v; want %q", c.sub, c.location, g, ok, c.is)
			continue
		}
		if !ok {
			continue
		}
		if !of.covers(g) {
			t.Errorf("%s leads out of %s", c.sub, c.location)
		}
		kept, ok := parseScope(g.String(), c.object)
		if !ok || kept != g {
			t.Errorf("%s is read as %+v", g, kept)
		}
		for want, list := range map[bool][]string{true: c.in, false: c.out} {
			for _, target := range list {
				if asked, ok := parseScope(target, false); !ok || g.covers(asked) != want {
					t.Errorf("%s covers %s: %v", g, target, !want)
				}
			}
		}
	}
	for _, bad := range []string{"", "bucket", "s3:/bucket", "s3://b", "s3://Bucket", "s3://bucket*", "s3://buc?ket/a", "s3://bucket/team?", "s3://bucket/t*m/*", "s3://${aws:username}/x"} {
		if _, ok := locationScope(bad); ok {
			t.Errorf("%q is taken for a location", bad)
		}
	}
}

// FuzzSessionPolicy: whatever stands in a key, the session's policy is one, and lets
// at that key only.
func FuzzSessionPolicy(f *testing.F) {
	for _, key := range []string{"a", "*", "a?b", "${aws:username}", "$", "${*}", `"`, "\\", "\n", "ü", "a/../b", "${", "}"} {
		f.Add(key, key+"x")
	}
	s := &Service{Config{Region: "us-east-1"}}
	f.Fuzz(func(t *testing.T, key, other string) {
		of, ok := parseScope("s3://bucket/"+key, true)
		if !ok {
			return
		}
		text, err := s.sessionPolicy(of, shape.PermissionReadwrite)
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.Parse([]byte(text), policy.SessionPolicy)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		allowed := func(action, key string) bool {
			k := policy.Context{}
			k.Set("aws:username", "ada")
			return policy.Decide(&policy.Input{
				Action: action, Resource: "arn:aws:s3:::bucket/" + key, ResourceAccount: "123456789012", Context: k,
				Principal: policy.Principal{Kind: policy.Session, Account: "123456789012"},
				Identity:  []policy.Doc{{Name: "all", Policy: p}},
			}).Allowed
		}
		if !allowed("s3:GetObject", key) || !allowed("s3:PutObject", key) {
			t.Errorf("%s does not let at %q", text, key)
		}
		if other != key && allowed("s3:GetObject", other) {
			t.Errorf("%s lets at %q", text, other)
		}
		if allowed("s3:PutObjectAcl", key) || allowed("s3:DeleteBucket", key) {
			t.Errorf("%s lets at more", text)
		}
	})
}
