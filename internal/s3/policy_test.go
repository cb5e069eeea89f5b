package s3

import (
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
)

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func (b *bench) setPolicy(t testing.TB, bucket string, statements ...string) {
	t.Helper()
	apitest.Must[s3.PutBucketPolicyOutput](t, b.admin, "s3:PutBucketPolicy", &s3.PutBucketPolicyInput{Bucket: bucket, Policy: document(statements...)})
}

func allow(principal, action, resource string) string {
	return `{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"` + action + `","Resource":"arn:aws:s3:::` + resource + `"}`
}

func list(bucket, prefix string) *s3.ListObjectsV2Input {
	return &s3.ListObjectsV2Input{Bucket: bucket, Prefix: prefix}
}

func TestBucketPolicies(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "k", "content")
	alice := b.User(t, apitest.Account, "alice")
	get := &s3.GetObjectInput{Bucket: "data", Key: "k"}
	refused[s3.GetObjectOutput](t, alice, "s3:GetObject", get, "AccessDenied")
	b.setPolicy(t, "data", allow(alice.Entity.ARN, "s3:GetObject", "data/*"))
	if body, err := read(t, alice, get); err != nil || body != "content" {
		t.Errorf("%q, %v", body, err)
	}
	refused[s3.PutObjectOutput](t, alice, "s3:PutObject", put("data", "k", "x"), "AccessDenied")

	// A Deny binds even the administrator, from the next call on.
	b.setPolicy(t, "data", `{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}`)
	refused[s3.GetObjectOutput](t, b.admin, "s3:GetObject", get, "AccessDenied")
	apitest.Must[s3.DeleteBucketPolicyOutput](t, b.admin, "s3:DeleteBucketPolicy", &s3.DeleteBucketPolicyInput{Bucket: "data"})
	b.get(t, "data", "k")

	for name, test := range map[string]struct{ policy, code string }{
		"another bucket":         {document(allow(alice.Entity.ARN, "s3:GetObject", "other/*")), "MalformedPolicy"},
		"a longer name":          {document(allow(alice.Entity.ARN, "s3:GetObject", "data2/*")), "MalformedPolicy"},
		"a wildcard after it":    {document(allow(alice.Entity.ARN, "s3:GetObject", "data*")), "MalformedPolicy"},
		"every resource":         {`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + alice.Entity.ARN + `"},"Action":"s3:*","Resource":"*"}}`, "MalformedPolicy"},
		"another service":        {document(allow(alice.Entity.ARN, "kms:Decrypt", "data/*")), "MalformedPolicy"},
		"list on objects":        {document(allow(alice.Entity.ARN, "s3:ListBucket", "data/*")), "MalformedPolicy"},
		"get on the bucket":      {document(allow(alice.Entity.ARN, "s3:GetObject", "data")), "MalformedPolicy"},
		"no principal":           {document(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}`), "MalformedPolicy"},
		"not a policy":           {`{"Statement":`, "MalformedPolicy"},
		"an effect twice":        {document(`{"Effect":"Deny","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}`), "MalformedPolicy"},
		"too large":              {document(allow(alice.Entity.ARN, "s3:GetObject", "data/"+strings.Repeat("x", 21<<10))), "MalformedPolicy"},
		"everyone":               {document(allow("*", "s3:GetObject", "data/*")), "AccessDenied"},
		"everyone, on paper few": {document(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*","Condition":{"StringLike":{"aws:PrincipalArn":"*"}}}`), "AccessDenied"},
		"locks its author out":   {document(`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::data","arn:aws:s3:::data/*"]}`), "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			refused[s3.PutBucketPolicyOutput](t, b.admin, "s3:PutBucketPolicy", &s3.PutBucketPolicyInput{Bucket: "data", Policy: test.policy}, test.code)
		})
	}
	refused[s3.GetBucketPolicyOutput](t, b.admin, "s3:GetBucketPolicy", &s3.GetBucketPolicyInput{Bucket: "data"}, "NoSuchBucketPolicy")
}

func TestSplitListStatements(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "home/bob/x", "1")
	b.put(t, "data", "shared/y", "1")
	bob := b.User(t, apitest.Account, "bob", document(
		`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::data","Condition":{"StringEquals":{"s3:prefix":["","home/"],"s3:delimiter":"/"}}}`,
		`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::data","Condition":{"StringLike":{"s3:prefix":"home/${aws:username}/*"}}}`,
		`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::data","Condition":{"StringEquals":{"s3:prefix":"shared/"},"NumericLessThanEquals":{"s3:max-keys":"10"}}}`))
	ok := func(in *s3.ListObjectsV2Input) {
		t.Helper()
		apitest.Must[s3.ListObjectsV2Output](t, bob, "s3:ListObjectsV2", in)
	}
	no := func(in *s3.ListObjectsV2Input) {
		t.Helper()
		refused[s3.ListObjectsV2Output](t, bob, "s3:ListObjectsV2", in, "AccessDenied")
	}
	slash := func(in *s3.ListObjectsV2Input) *s3.ListObjectsV2Input { in.Delimiter = "/"; return in }
	limited := func(in *s3.ListObjectsV2Input, n int32) *s3.ListObjectsV2Input { in.MaxKeys = &n; return in }
	ok(slash(list("data", "")))
	ok(slash(list("data", "home/")))
	no(list("data", ""))
	ok(list("data", "home/bob/"))
	no(list("data", "home/bobby/"))
	no(list("data", "home/alice/"))
	ok(limited(list("data", "shared/"), 10))
	no(limited(list("data", "shared/"), 11))
	no(list("data", "shared/"))
}

func TestMissingObjectIsToldToWhomMayList(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	lister := b.User(t, apitest.Account, "lister", document(`{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":"*"}`))
	getter := b.User(t, apitest.Account, "getter", document(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`))
	only := b.User(t, apitest.Account, "only", document(`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}`))
	get, head := &s3.GetObjectInput{Bucket: "data", Key: "none"}, &s3.HeadObjectInput{Bucket: "data", Key: "none"}
	refused[s3.GetObjectOutput](t, lister, "s3:GetObject", get, "NoSuchKey")
	refused[s3.HeadObjectOutput](t, lister, "s3:HeadObject", head, "NoSuchKey")
	refused[s3.GetObjectOutput](t, getter, "s3:GetObject", get, "AccessDenied")
	refused[s3.HeadObjectOutput](t, getter, "s3:HeadObject", head, "AccessDenied")
	refused[s3.GetObjectOutput](t, only, "s3:GetObject", get, "AccessDenied")
	refused[s3.GetObjectOutput](t, getter, "s3:GetObject", &s3.GetObjectInput{Bucket: "no-such", Key: "k"}, "NoSuchBucket")
	refused[s3.GetObjectOutput](t, only, "s3:GetObject", &s3.GetObjectInput{Bucket: "no-such", Key: "k"}, "AccessDenied")
}

func TestOtherAccounts(t *testing.T) {
	b := newBench(t)
	eve := b.User(t, apitest.Other, "eve", apitest.Admin)
	poor := b.User(t, apitest.Other, "poor")
	b.bucket(t, "data")
	k := b.key(t, document(`{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::`+apitest.Account+`:root","arn:aws:iam::`+apitest.Other+`:root"]},"Action":"kms:*","Resource":"*"}`))
	in := put("data", "k", "content")
	in.ServerSideEncryption, in.SSEKMSKeyId = s3.ServerSideEncryptionAwsKms, k.Arn
	apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in)
	b.put(t, "data", "managed", "content")

	get := &s3.GetObjectInput{Bucket: "data", Key: "k"}
	refused[s3.GetObjectOutput](t, eve, "s3:GetObject", get, "AccessDenied")
	refused[s3.ListObjectsV2Output](t, eve, "s3:ListObjectsV2", list("data", ""), "AccessDenied")
	refused[s3.DeleteBucketOutput](t, eve, "s3:DeleteBucket", &s3.DeleteBucketInput{Bucket: "data"}, "AccessDenied")
	refused[s3.PutBucketPolicyOutput](t, eve, "s3:PutBucketPolicy", &s3.PutBucketPolicyInput{Bucket: "data", Policy: document(allow(eve.Entity.ARN, "s3:GetObject", "data/*"))}, "AccessDenied")
	refused[s3.CreateBucketOutput](t, eve, "s3:CreateBucket", &s3.CreateBucketInput{Bucket: "data"}, "BucketAlreadyExists")
	if out := apitest.Must[s3.ListBucketsOutput](t, eve, "s3:ListBuckets", &s3.ListBucketsInput{}); len(out.Buckets) != 0 {
		t.Errorf("another account lists %v", out.Buckets)
	}

	b.setPolicy(t, "data", allow("arn:aws:iam::"+apitest.Other+":root", "s3:GetObject", "data/*"))
	if body, err := read(t, eve, get); err != nil || body != "content" {
		t.Errorf("%q, %v", body, err)
	}
	refused[s3.GetObjectOutput](t, poor, "s3:GetObject", get, "AccessDenied") // her own account does not let her
	// The owner's AWS-managed key serves no other account.
	refused[s3.GetObjectOutput](t, eve, "s3:GetObject", &s3.GetObjectInput{Bucket: "data", Key: "managed"}, "AccessDenied")
}

func TestPublicAccessBlock(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	eve := b.User(t, apitest.Other, "eve", apitest.Admin)
	head := &s3.HeadBucketInput{Bucket: "data"}
	public := document(allow("*", "s3:ListBucket", "data"))
	try := &s3.PutBucketPolicyInput{Bucket: "data", Policy: public}
	refused[s3.PutBucketPolicyOutput](t, b.admin, "s3:PutBucketPolicy", try, "AccessDenied")
	yes, no := true, false
	apitest.Must[s3.PutPublicAccessBlockOutput](t, b.admin, "s3:PutPublicAccessBlock", &s3.PutPublicAccessBlockInput{Bucket: "data",
		PublicAccessBlockConfiguration: &s3.PublicAccessBlockConfiguration{BlockPublicPolicy: &no, RestrictPublicBuckets: &yes}})
	apitest.Must[s3.PutBucketPolicyOutput](t, b.admin, "s3:PutBucketPolicy", try)
	// The policy stands and lets in no other account.
	refused[s3.HeadBucketOutput](t, eve, "s3:HeadBucket", head, "AccessDenied")
	apitest.Must[s3.DeletePublicAccessBlockOutput](t, b.admin, "s3:DeletePublicAccessBlock", &s3.DeletePublicAccessBlockInput{Bucket: "data"})
	apitest.Must[s3.HeadBucketOutput](t, eve, "s3:HeadBucket", head)
	refused[s3.GetPublicAccessBlockOutput](t, b.admin, "s3:GetPublicAccessBlock", &s3.GetPublicAccessBlockInput{Bucket: "data"}, "NoSuchPublicAccessBlockConfiguration")
}

func TestEncryptionConditions(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	good, bad := b.key(t, ""), b.key(t, "")
	b.setPolicy(t, "data", `{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::data/*","Condition":{"StringNotEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"`+good.Arn+`"}}}`)
	with := func(key string) *s3.PutObjectInput {
		in := put("data", "k", "x")
		if key != "" {
			in.ServerSideEncryption, in.SSEKMSKeyId = s3.ServerSideEncryptionAwsKms, key
		}
		return in
	}
	apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", with(good.Arn))
	apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", with(good.KeyId))
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", with(bad.Arn), "AccessDenied")
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", with(""), "AccessDenied")
}

// Who takes the name of somebody deleted takes nothing that a bucket gave the other.
func TestNamesThatWereUsedAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		b.bucket(t, "data")
		b.put(t, "data", "k", "content")
		get := &s3.GetObjectInput{Bucket: "data", Key: "k"}
		names := func() (user, role, session *apitest.Caller) {
			return b.User(t, apitest.Account, "alice"), b.Role(t, apitest.Account, "train"), b.Role(t, apitest.Account, "guest")
		}
		user, role, session := names()
		text := document(allow(user.Entity.ARN, "s3:GetObject", "data/*"), allow(role.Entity.ARN, "s3:GetObject", "data/*"),
			allow(session.SessionARN(), "s3:GetObject", "data/*"), allow(apitest.Account, "s3:ListBucket", "data"))
		apitest.Must[s3.PutBucketPolicyOutput](t, b.admin, "s3:PutBucketPolicy", &s3.PutBucketPolicyInput{Bucket: "data", Policy: text})
		shown := func() string {
			t.Helper()
			return apitest.Must[s3.GetBucketPolicyOutput](t, b.admin, "s3:GetBucketPolicy", &s3.GetBucketPolicyInput{Bucket: "data"}).Policy
		}
		if got := shown(); got != text {
			t.Errorf("%s\nis not what was put:\n%s", got, text)
		}
		for _, c := range []*apitest.Caller{user, role, session} {
			if body, err := read(t, c, get); err != nil || body != "content" {
				t.Fatalf("%s: %q, %v", c.Entity.ARN, body, err)
			}
			b.Remove(c)
		}
		user2, role2, session2 := names()
		for _, c := range []*apitest.Caller{user2, role2, session2} {
			refused[s3.GetObjectOutput](t, c, "s3:GetObject", get, "AccessDenied")
		}
		got := shown()
		for _, id := range []string{`"` + user.Entity.ID + `"`, `"` + role.Entity.ID + `"`, session.Entity.ID + ":session", `"` + apitest.Account + `"`} {
			if !strings.Contains(got, id) {
				t.Errorf("%s is not in %s", id, got)
			}
		}
		if strings.Contains(got, "arn:aws:iam") || strings.Contains(got, "arn:aws:sts") {
			t.Errorf("names somebody else: %s", got)
		}
		// Putting back what is shown gives the new bearers nothing; putting the names again does.
		apitest.Must[s3.PutBucketPolicyOutput](t, b.admin, "s3:PutBucketPolicy", &s3.PutBucketPolicyInput{Bucket: "data", Policy: got})
		refused[s3.GetObjectOutput](t, role2, "s3:GetObject", get, "AccessDenied")
		apitest.Must[s3.PutBucketPolicyOutput](t, b.admin, "s3:PutBucketPolicy", &s3.PutBucketPolicyInput{Bucket: "data", Policy: text})
		if body, err := read(t, role2, get); err != nil || body != "content" {
			t.Errorf("%q, %v", body, err)
		}
	})
}

func TestPrincipalsMustExist(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	for _, principal := range []string{
		"arn:aws:iam::" + apitest.Account + ":role/none", "arn:aws:iam::" + apitest.Other + ":user/admin",
		"arn:aws:sts::" + apitest.Account + ":assumed-role/none/session", "arn:aws-cn:iam::" + apitest.Account + ":user/admin",
	} {
		e := refused[s3.PutBucketPolicyOutput](t, b.admin, "s3:PutBucketPolicy", &s3.PutBucketPolicyInput{Bucket: "data",
			Policy: document(allow(principal, "s3:GetObject", "data/*"))}, "MalformedPolicy")
		if !strings.HasPrefix(e.Message, "Invalid principal in policy") {
			t.Errorf("%s: %s", principal, e.Message)
		}
	}
}
