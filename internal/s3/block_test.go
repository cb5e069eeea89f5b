package s3

import (
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
)

// setBlock says which of the four settings are on.
func (b *bench) setBlock(t testing.TB, bucket string, blockPolicy, restrict bool) {
	t.Helper()
	no := false
	apitest.Must[s3.PutPublicAccessBlockOutput](t, b.admin, "s3:PutPublicAccessBlock", &s3.PutPublicAccessBlockInput{Bucket: bucket,
		PublicAccessBlockConfiguration: &s3.PublicAccessBlockConfiguration{BlockPublicAcls: &no, IgnorePublicAcls: &no, BlockPublicPolicy: &blockPolicy, RestrictPublicBuckets: &restrict}})
}

// However a policy hides that it lets everyone in, the block notices it; what lets in
// few it takes.
func TestTheBlockSeesThroughPolicies(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	eve := b.User(t, apitest.Other, "eve", apitest.Admin)
	on := `"Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"`
	for name, test := range map[string]struct {
		statement string
		public    bool
	}{
		"everyone":                    {`{"Effect":"Allow","Principal":"*",` + on + `}`, true},
		"everyone, as AWS":            {`{"Effect":"Allow","Principal":{"AWS":"*"},` + on + `}`, true},
		"everyone in a list":          {`{"Effect":"Allow","Principal":{"AWS":["` + eve.Entity.ARN + `","*"]},` + on + `}`, true},
		"everyone by any address":     {`{"Effect":"Allow","Principal":"*",` + on + `,"Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}}`, true},
		"everyone who says something": {`{"Effect":"Allow","Principal":"*",` + on + `,"Condition":{"StringLike":{"aws:UserAgent":"*"}}}`, true},
		"everyone of any account":     {`{"Effect":"Allow","Principal":"*",` + on + `,"Condition":{"StringLike":{"aws:PrincipalAccount":"*"}}}`, true},
		"everyone unless":             {`{"Effect":"Allow","Principal":"*",` + on + `,"Condition":{"StringNotEquals":{"aws:PrincipalAccount":"` + apitest.Other + `"}}}`, true},
		"everyone, if there is a key": {`{"Effect":"Allow","Principal":"*",` + on + `,"Condition":{"StringEqualsIfExists":{"aws:SourceVpce":"vpce-0123456789abcdef0"}}}`, true},
		"one account":                 {`{"Effect":"Allow","Principal":"*",` + on + `,"Condition":{"StringEquals":{"aws:PrincipalAccount":"` + apitest.Other + `"}}}`, false},
		"one person":                  {`{"Effect":"Allow","Principal":{"AWS":"` + eve.Entity.ARN + `"},` + on + `}`, false},
		"one organization":            {`{"Effect":"Allow","Principal":"*",` + on + `,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-testtest12"}}}`, false},
		"a network":                   {`{"Effect":"Allow","Principal":"*",` + on + `,"Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}`, false},
		"nobody":                      {`{"Effect":"Deny","Principal":"*",` + on + `}`, false},
	} {
		in := &s3.PutBucketPolicyInput{Bucket: "data", Policy: document(test.statement)}
		b.setBlock(t, "data", true, true)
		_, err := apitest.Call[s3.PutBucketPolicyOutput](t, b.admin, "s3:PutBucketPolicy", in)
		if refused := err != nil; refused != test.public {
			t.Errorf("%s: blocked: %v (%v)", name, refused, err)
		}
		b.setBlock(t, "data", false, false)
		apitest.Must[s3.PutBucketPolicyOutput](t, b.admin, "s3:PutBucketPolicy", in)
		status := apitest.Must[s3.GetBucketPolicyStatusOutput](t, b.admin, "s3:GetBucketPolicyStatus", &s3.GetBucketPolicyStatusInput{Bucket: "data"})
		if *status.PolicyStatus.IsPublic != test.public {
			t.Errorf("%s: public: %v", name, *status.PolicyStatus.IsPublic)
		}
	}
}

// A restricted bucket lets in no other account, not even by a statement that would be
// fine alone; its own people keep what they have, and denials stand.
func TestRestrictedBuckets(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.setBlock(t, "data", false, false)
	eve := b.User(t, apitest.Other, "eve", apitest.Admin)
	own := b.User(t, apitest.Account, "own")
	b.setPolicy(t, "data", allow(eve.Entity.ARN, "s3:ListBucket", "data"), allow("*", "s3:GetBucketLocation", "data"),
		`{"Effect":"Deny","Principal":"*","Action":"s3:GetBucketVersioning","Resource":"arn:aws:s3:::data"}`)
	head, where := &s3.HeadBucketInput{Bucket: "data"}, &s3.GetBucketLocationInput{Bucket: "data"}
	apitest.Must[s3.HeadBucketOutput](t, eve, "s3:HeadBucket", head)
	apitest.Must[s3.GetBucketLocationOutput](t, own, "s3:GetBucketLocation", where)
	b.setBlock(t, "data", false, true)
	refused[s3.HeadBucketOutput](t, eve, "s3:HeadBucket", head, "AccessDenied")
	refused[s3.GetBucketLocationOutput](t, eve, "s3:GetBucketLocation", where, "AccessDenied")
	apitest.Must[s3.GetBucketLocationOutput](t, own, "s3:GetBucketLocation", where)
	refused[s3.GetBucketVersioningOutput](t, b.admin, "s3:GetBucketVersioning", &s3.GetBucketVersioningInput{Bucket: "data"}, "AccessDenied")
	apitest.Must[s3.DeleteBucketPolicyOutput](t, b.admin, "s3:DeleteBucketPolicy", &s3.DeleteBucketPolicyInput{Bucket: "data"})
	b.setPolicy(t, "data", allow(eve.Entity.ARN, "s3:ListBucket", "data")) // not public: it counts
	apitest.Must[s3.HeadBucketOutput](t, eve, "s3:HeadBucket", head)
}
