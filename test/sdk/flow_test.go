package sdk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	trailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
)

const account = "123456789012"

// A role's session is what role, session policy and tags together allow.
func TestRoleSession(t *testing.T) {
	admin := start(t).admin(t)
	who := call(t, sts.NewFromConfig(admin).GetCallerIdentity, sts.GetCallerIdentityInput{})
	if *who.Account != account || *who.Arn != "arn:aws:iam::"+account+":user/admin" {
		t.Errorf("the administrator is %s in %s", *who.Arn, *who.Account)
	}

	people := iam.NewFromConfig(admin)
	user := call(t, people.CreateUser, iam.CreateUserInput{UserName: aws.String("grace")}).User
	key := call(t, people.CreateAccessKey, iam.CreateAccessKeyInput{UserName: user.UserName}).AccessKey
	grace := as(admin, *key.AccessKeyId, *key.SecretAccessKey, "")
	role := call(t, people.CreateRole, iam.CreateRoleInput{RoleName: aws.String("reader"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + *user.Arn + `"},"Action":["sts:AssumeRole","sts:TagSession"],
		"Condition":{"StringEquals":{"aws:RequestTag/team":"ml"}}}]}`)}).Role
	call(t, people.PutRolePolicy, iam.PutRolePolicyInput{RoleName: role.RoleName, PolicyName: aws.String("p"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:ListUsers","iam:ListRoles"],"Resource":"*",
		"Condition":{"StringEquals":{"aws:PrincipalTag/team":"ml"}}}]}`)})

	assume := sts.AssumeRoleInput{RoleArn: role.Arn, RoleSessionName: aws.String("tuesday"),
		Policy: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}]}`),
		Tags:   []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("ml")}}}
	fails(t, "AccessDenied", sts.NewFromConfig(admin).AssumeRole, assume) // the trust names her, not the administrator
	untagged := assume
	untagged.Tags = nil
	fails(t, "AccessDenied", sts.NewFromConfig(grace).AssumeRole, untagged)
	made := call(t, sts.NewFromConfig(grace).AssumeRole, assume)
	cfg := session(admin, made.Credentials)
	if got := *call(t, sts.NewFromConfig(cfg).GetCallerIdentity, sts.GetCallerIdentityInput{}).Arn; got != "arn:aws:sts::"+account+":assumed-role/reader/tuesday" {
		t.Errorf("the session is %s", got)
	}
	call(t, iam.NewFromConfig(cfg).ListUsers, iam.ListUsersInput{})
	fails(t, "AccessDenied", iam.NewFromConfig(cfg).ListRoles, iam.ListRolesInput{}) // the session policy leaves it out
	fails(t, "AccessDenied", iam.NewFromConfig(grace).ListUsers, iam.ListUsersInput{})

	// The wrong secret, and the right one without the session's token.
	fails(t, "SignatureDoesNotMatch", sts.NewFromConfig(as(admin, *key.AccessKeyId, strings.Repeat("x", 40), "")).GetCallerIdentity, sts.GetCallerIdentityInput{})
	fails(t, "InvalidClientTokenId", sts.NewFromConfig(as(admin, *made.Credentials.AccessKeyId, *made.Credentials.SecretAccessKey, "")).GetCallerIdentity, sts.GetCallerIdentityInput{})
}

func TestKeys(t *testing.T) {
	keys := kms.NewFromConfig(start(t).admin(t))
	key := call(t, keys.CreateKey, kms.CreateKeyInput{Description: aws.String("data")}).KeyMetadata
	purpose := map[string]string{"purpose": "test"}
	sealed := call(t, keys.Encrypt, kms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("hello"), EncryptionContext: purpose}).CiphertextBlob
	if got := call(t, keys.Decrypt, kms.DecryptInput{CiphertextBlob: sealed, EncryptionContext: purpose}); string(got.Plaintext) != "hello" || *got.KeyId != *key.Arn {
		t.Errorf("decrypts to %q under %s", got.Plaintext, *got.KeyId)
	}

	_, err := keys.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: sealed, EncryptionContext: map[string]string{"purpose": "another"}})
	if e := (*kmstypes.InvalidCiphertextException)(nil); !errors.As(err, &e) {
		t.Errorf("another context: %v", err)
	}
	_, err = keys.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("1234abcd-12ab-34cd-56ef-1234567890ab")})
	if e := (*kmstypes.NotFoundException)(nil); !errors.As(err, &e) {
		t.Errorf("a key that is not there: %v", err)
	}
	call(t, keys.DisableKey, kms.DisableKeyInput{KeyId: key.KeyId})
	_, err = keys.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: sealed, EncryptionContext: purpose})
	if e := (*kmstypes.DisabledException)(nil); !errors.As(err, &e) {
		t.Errorf("a disabled key: %v", err)
	}
}

// The SDK's default checksums travel as trailers of a stream over TLS; the same
// flow runs with the bucket in the path and in the host name.
func TestObjects(t *testing.T) {
	b := start(t)
	styles := map[string]*s3.Client{
		"path": s3.NewFromConfig(b.admin(t), quiet),
		"host": s3.NewFromConfig(b.admin(t), func(o *s3.Options) {
			o.BaseEndpoint = aws.String("https://localhost:" + b.addr[strings.LastIndex(b.addr, ":")+1:])
			o.HTTPClient = b.toLoopback(t)
		}, quiet),
	}
	for style, client := range styles {
		t.Run(style, func(t *testing.T) { objects(t, client, aws.String("bucket-by-"+style)) })
	}
}

// quiet says nothing of the ranges that no checksum covers.
func quiet(o *s3.Options) { o.DisableLogOutputChecksumValidationSkipped = true }

// toLoopback is the configured HTTP client, but every name is the server's: not
// every machine resolves names below localhost.
func (b *bawn) toLoopback(t *testing.T) *awshttp.BuildableClient {
	t.Helper()
	client, ok := b.admin(t).HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		t.Fatal("the SDK's client is another")
	}
	return client.WithTransportOptions(func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, b.addr)
		}
	})
}

func objects(t *testing.T, client *s3.Client, bucket *string) {
	key, content := aws.String("dir/a + ü.txt"), []byte(strings.Repeat("0123456789", 20_000))
	call(t, client.CreateBucket, s3.CreateBucketInput{Bucket: bucket})
	put := call(t, client.PutObject, s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(content), Metadata: map[string]string{"origin": "here"}})
	if put.ServerSideEncryption != s3types.ServerSideEncryptionAwsKms || aws.ToString(put.ChecksumCRC32) == "" {
		t.Errorf("put answers encryption %q, checksum %q", put.ServerSideEncryption, aws.ToString(put.ChecksumCRC32))
	}
	got := call(t, client.GetObject, s3.GetObjectInput{Bucket: bucket, Key: key})
	if !bytes.Equal(must[[]byte](t)(io.ReadAll(got.Body)), content) || aws.ToString(got.ChecksumCRC32) != *put.ChecksumCRC32 { // the SDK verifies the checksum as it reads
		t.Errorf("what came back differs, or has checksum %q", aws.ToString(got.ChecksumCRC32))
	}
	part := call(t, client.GetObject, s3.GetObjectInput{Bucket: bucket, Key: key, Range: aws.String("bytes=100003-100007")})
	if body := must[[]byte](t)(io.ReadAll(part.Body)); string(body) != "34567" || aws.ToString(part.ContentRange) != "bytes 100003-100007/200000" {
		t.Errorf("the range holds %q of %s", body, aws.ToString(part.ContentRange))
	}
	head := call(t, client.HeadObject, s3.HeadObjectInput{Bucket: bucket, Key: key})
	if *head.ContentLength != int64(len(content)) || *head.ETag != *put.ETag || head.Metadata["origin"] != "here" {
		t.Errorf("head tells %d, %s, %v", *head.ContentLength, *head.ETag, head.Metadata)
	}
	for _, k := range []string{"b", "c", "dir/d"} {
		call(t, client.PutObject, s3.PutObjectInput{Bucket: bucket, Key: &k, Body: strings.NewReader("x")})
	}
	var keys []string
	for p := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: bucket, MaxKeys: aws.Int32(1)}); p.HasMorePages(); {
		for _, o := range must[*s3.ListObjectsV2Output](t)(p.NextPage(t.Context())).Contents {
			keys = append(keys, *o.Key)
		}
	}
	if want := []string{"b", "c", *key, "dir/d"}; !slices.Equal(keys, want) {
		t.Errorf("lists %q, not %q", keys, want)
	}
	presigned(t, client, bucket)

	// A body that is not what its checksum says is not stored.
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("bad"), Body: strings.NewReader("body"), ChecksumCRC32: aws.String("AAAAAA==")})
	refused(t, "a wrong checksum", "BadDigest", err)

	// Typed errors.
	_, err = client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("bad")})
	if e := (*s3types.NoSuchKey)(nil); !errors.As(err, &e) {
		t.Errorf("an object that is not there: %v", err)
	}
	_, err = client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("bad")})
	if e := (*s3types.NotFound)(nil); !errors.As(err, &e) {
		t.Errorf("head of an object that is not there: %v", err)
	}
	_, err = client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("no-such-bucket")})
	if e := (*s3types.NoSuchBucket)(nil); !errors.As(err, &e) {
		t.Errorf("a bucket that is not there: %v", err)
	}
	_, err = client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket})
	if e := (*s3types.BucketAlreadyOwnedByYou)(nil); err != nil && !errors.As(err, &e) { // us-east-1 answers 200 for one's own
		t.Errorf("a bucket that is there: %v", err)
	}
	fails(t, "BucketNotEmpty", client.DeleteBucket, s3.DeleteBucketInput{Bucket: bucket})
	for _, k := range append(keys, "by-url") {
		call(t, client.DeleteObject, s3.DeleteObjectInput{Bucket: bucket, Key: &k})
	}
	call(t, client.DeleteBucket, s3.DeleteBucketInput{Bucket: bucket})
}

// presigned uploads and downloads by URL alone, and tries what the URL was not
// made for.
func presigned(t *testing.T, client *s3.Client, bucket *string) {
	t.Helper()
	signer := s3.NewPresignClient(client, s3.WithPresignExpires(time.Minute))
	key := aws.String("by-url")
	up, err := signer.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	down, err := signer.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	do := func(method, url, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Options().HTTPClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode, string(must[[]byte](t)(io.ReadAll(resp.Body)))
	}
	if status, body := do(up.Method, up.URL, "sent by url"); status != http.StatusOK {
		t.Fatalf("a presigned put answers %d %s", status, body)
	}
	if status, body := do(down.Method, down.URL, ""); status != http.StatusOK || body != "sent by url" {
		t.Errorf("a presigned get answers %d %q", status, body)
	}
	for what, attempt := range map[string]struct{ method, url string }{
		"another object":       {http.MethodGet, strings.Replace(down.URL, "by-url", "b", 1)},
		"another method":       {http.MethodDelete, down.URL},
		"a longer life":        {http.MethodGet, strings.Replace(down.URL, "X-Amz-Expires=60", "X-Amz-Expires=3600", 1)},
		"one more parameter":   {http.MethodGet, down.URL + "&response-content-type=text%2Fhtml"},
		"without a signature":  {http.MethodGet, down.URL[:strings.Index(down.URL, "?")]},
		"a download to upload": {http.MethodPut, down.URL},
	} {
		if status, body := do(attempt.method, attempt.url, ""); status != http.StatusForbidden {
			t.Errorf("%s: %d %s", what, status, body)
		}
	}
}

// The record holds each call once, in pages as on one page.
func TestRecord(t *testing.T) {
	admin := start(t).admin(t)
	people := iam.NewFromConfig(admin)
	names := []string{"u1", "u2", "u3", "u4", "u5", "u6", "u7"}
	for i := range names {
		call(t, people.CreateUser, iam.CreateUserInput{UserName: &names[i]})
	}
	records := cloudtrail.NewFromConfig(admin)
	question := cloudtrail.LookupEventsInput{LookupAttributes: []trailtypes.LookupAttribute{{AttributeKey: trailtypes.LookupAttributeKeyEventName, AttributeValue: aws.String("CreateUser")}}}
	whole := call(t, records.LookupEvents, question).Events
	question.MaxResults = aws.Int32(3)
	var paged []string
	for p := cloudtrail.NewLookupEventsPaginator(records, &question); p.HasMorePages(); {
		events := must[*cloudtrail.LookupEventsOutput](t)(p.NextPage(t.Context())).Events
		if len(events) > 3 {
			t.Errorf("a page of %d", len(events))
		}
		for _, e := range events {
			paged = append(paged, *e.EventId)
		}
	}
	if len(whole) != len(names) || len(paged) != len(names) {
		t.Fatalf("%d events, %d in pages, of %d calls", len(whole), len(paged), len(names))
	}
	for i, e := range whole { // newest first
		name := names[len(names)-1-i]
		if *e.EventId != paged[i] || aws.ToString(e.Username) != "admin" || !strings.Contains(*e.CloudTrailEvent, `"userName":"`+name+`"`) {
			t.Errorf("event %d is not of %s: %s", i, name, *e.CloudTrailEvent)
		}
	}
	question.NextToken = aws.String("made-up")
	_, err := records.LookupEvents(t.Context(), &question)
	if e := (*trailtypes.InvalidNextTokenException)(nil); !errors.As(err, &e) {
		t.Errorf("a made-up token: %v", err)
	}
}
