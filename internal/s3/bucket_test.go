package s3

import (
	"fmt"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
)

func TestBucketNames(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"abc", "a-b.c", "123", "sagemaker-us-east-1-123456789012", strings.Repeat("a", 63)} {
		b.bucket(t, name)
	}
	for _, name := range []string{"", "ab", strings.Repeat("a", 64), "Abc", "a_b", "-abc", "abc-", ".abc", "abc.", "a..b", "192.0.2.1", "xn--abc",
		"abc-s3alias", "abc--x-s3", "a/b", "a b", "ä-bucket", "..", "a\x00b"} {
		refused[s3.CreateBucketOutput](t, b.admin, "s3:CreateBucket", &s3.CreateBucketInput{Bucket: name}, "InvalidBucketName")
	}
	refused[s3.CreateBucketOutput](t, b.admin, "s3:CreateBucket", &s3.CreateBucketInput{Bucket: "abc"}, "BucketAlreadyOwnedByYou")
	refused[s3.CreateBucketOutput](t, b.admin, "s3:CreateBucket", &s3.CreateBucketInput{Bucket: "acl-bucket", ObjectOwnership: s3.ObjectOwnershipObjectWriter}, "NotImplemented")
}

func TestListBucketsByPages(t *testing.T) {
	b := newBench(t)
	for i := range 5 {
		b.bucket(t, fmt.Sprintf("bucket-%d", i))
	}
	b.bucket(t, "other")
	two := int32(2)
	var names []string
	in := &s3.ListBucketsInput{MaxBuckets: &two, Prefix: "bucket-"}
	for range 10 {
		out := apitest.Must[s3.ListBucketsOutput](t, b.admin, "s3:ListBuckets", in)
		for _, one := range out.Buckets {
			names = append(names, one.Name)
		}
		if in.ContinuationToken = out.ContinuationToken; in.ContinuationToken == "" {
			break
		}
	}
	if got := fmt.Sprint(names); got != "[bucket-0 bucket-1 bucket-2 bucket-3 bucket-4]" {
		t.Error(got)
	}
	refused[s3.ListBucketsOutput](t, b.admin, "s3:ListBuckets", &s3.ListBucketsInput{ContinuationToken: "!"}, "InvalidArgument")
}

func TestDefaultEncryption(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	rules := func(r ...s3.ServerSideEncryptionRule) *s3.PutBucketEncryptionInput {
		return &s3.PutBucketEncryptionInput{Bucket: "data", ServerSideEncryptionConfiguration: &s3.ServerSideEncryptionConfiguration{Rules: r}}
	}
	by := func(a s3.ServerSideEncryption, key string) *s3.ServerSideEncryptionByDefault {
		return &s3.ServerSideEncryptionByDefault{SSEAlgorithm: a, KMSMasterKeyID: key}
	}
	for name, test := range map[string]struct {
		in   *s3.PutBucketEncryptionInput
		code string
	}{
		"two layers":         {rules(s3.ServerSideEncryptionRule{ApplyServerSideEncryptionByDefault: by("aws:kms:dsse", "")}), "NotImplemented"},
		"a key for SSE-S3":   {rules(s3.ServerSideEncryptionRule{ApplyServerSideEncryptionByDefault: by(s3.ServerSideEncryptionAes256, "alias/a")}), "InvalidArgument"},
		"no rule":            {rules(), "MalformedXML"},
		"an empty rule":      {rules(s3.ServerSideEncryptionRule{}), "MalformedXML"},
		"a hostile key name": {rules(s3.ServerSideEncryptionRule{ApplyServerSideEncryptionByDefault: by("aws:kms", "a\r\nb")}), "InvalidArgument"},
	} {
		t.Run(name, func(t *testing.T) {
			refused[s3.PutBucketEncryptionOutput](t, b.admin, "s3:PutBucketEncryption", test.in, test.code)
		})
	}
	// A key that does not exist is taken and then refuses every upload.
	apitest.Must[s3.PutBucketEncryptionOutput](t, b.admin, "s3:PutBucketEncryption", rules(s3.ServerSideEncryptionRule{ApplyServerSideEncryptionByDefault: by("aws:kms", "alias/none")}))
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", put("data", "k", "x"), "KMS.NotFoundException")
}

func TestEncryptionContext(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	k := b.key(t, document(
		`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+apitest.Account+`:root"},"Action":"kms:*","Resource":"*"}`,
		`{"Effect":"Deny","Principal":"*","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"*","Condition":{"StringNotEquals":{"kms:EncryptionContext:project":"red"}}}`,
		`{"Effect":"Deny","Principal":"*","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"*","Condition":{"StringNotLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::data/*"}}}`))
	with := func(context string) *s3.PutObjectInput {
		in := put("data", "k", "content")
		in.ServerSideEncryption, in.SSEKMSKeyId, in.SSEKMSEncryptionContext = s3.ServerSideEncryptionAwsKms, k.Arn, context
		return in
	}
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", with(""), "AccessDenied")
	apitest.Must[s3.PutObjectOutput](t, b.admin, "s3:PutObject", with("eyJwcm9qZWN0IjoicmVkIn0=")) // {"project":"red"}
	if got := b.get(t, "data", "k"); got != "content" {
		t.Errorf("reads %q", got)
	}
	for _, bad := range []string{"!", "W10=", "eyJhd3M6czM6YXJuIjoiYXJuOmF3czpzMzo6Om90aGVyL2sifQ=="} { // not base64, [], another object's name
		refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", with(bad), "InvalidArgument")
	}
}

func TestResolve(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	sn, err := b.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	for name, want := range map[string]string{
		"arn:aws:s3:::data": "AWS::S3::Bucket", "arn:aws:s3:::data/dir/k": "AWS::S3::Object", "arn:aws:s3:::none": "missing",
		"arn:aws:kms:us-east-1:123456789012:key/x": "foreign", "data": "foreign",
	} {
		r, err := b.service.Resolve(t.Context(), sn, name)
		got := "foreign"
		switch {
		case err != nil:
			t.Fatal(err)
		case r != nil && r.Missing != nil:
			got = "missing"
		case r != nil:
			got = r.Type
			if r.Account != apitest.Account {
				t.Errorf("%s is of %s", name, r.Account)
			}
		}
		if got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
	}
}
