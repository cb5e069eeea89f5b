package s3

import (
	"maps"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
)

func TestTheLeastCapableCallerIsRefusedEverything(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.put(t, "data", "k", "content")
	upload := apitest.Must[s3.CreateMultipartUploadOutput](t, b.admin, "s3:CreateMultipartUpload", &s3.CreateMultipartUploadInput{Bucket: "data", Key: "k"})
	nobody := b.User(t, apitest.Account, "nobody")
	calls := map[string]any{
		"CreateBucket": &s3.CreateBucketInput{Bucket: "new-bucket"}, "DeleteBucket": &s3.DeleteBucketInput{Bucket: "data"},
		"HeadBucket": &s3.HeadBucketInput{Bucket: "data"}, "ListBuckets": &s3.ListBucketsInput{},
		"GetBucketLocation": &s3.GetBucketLocationInput{Bucket: "data"}, "GetBucketVersioning": &s3.GetBucketVersioningInput{Bucket: "data"},
		"GetBucketPolicy": &s3.GetBucketPolicyInput{Bucket: "data"}, "PutBucketPolicy": &s3.PutBucketPolicyInput{Bucket: "data", Policy: "{}"},
		"DeleteBucketPolicy":   &s3.DeleteBucketPolicyInput{Bucket: "data"},
		"GetPublicAccessBlock": &s3.GetPublicAccessBlockInput{Bucket: "data"}, "DeletePublicAccessBlock": &s3.DeletePublicAccessBlockInput{Bucket: "data"},
		"PutPublicAccessBlock": &s3.PutPublicAccessBlockInput{Bucket: "data", PublicAccessBlockConfiguration: &s3.PublicAccessBlockConfiguration{}},
		"GetBucketEncryption":  &s3.GetBucketEncryptionInput{Bucket: "data"}, "PutBucketEncryption": &s3.PutBucketEncryptionInput{Bucket: "data"},
		"PutObject": put("data", "k", "x"), "GetObject": &s3.GetObjectInput{Bucket: "data", Key: "k"},
		"HeadObject": &s3.HeadObjectInput{Bucket: "data", Key: "k"}, "DeleteObject": &s3.DeleteObjectInput{Bucket: "data", Key: "k"},
		"ListObjectsV2": &s3.ListObjectsV2Input{Bucket: "data"}, "ListObjects": &s3.ListObjectsInput{Bucket: "data"},
		"ListObjectVersions": &s3.ListObjectVersionsInput{Bucket: "data"},
		// Of a bucket that is there it refuses object by object: see TestManyAreDecidedOneByOne.
		"DeleteObjects":              &s3.DeleteObjectsInput{Bucket: "none", Delete: &s3.Delete{Objects: []s3.ObjectIdentifier{{Key: "k"}}}},
		"PutBucketVersioning":        &s3.PutBucketVersioningInput{Bucket: "data", VersioningConfiguration: &s3.VersioningConfiguration{Status: "Enabled"}},
		"GetObjectLockConfiguration": &s3.GetObjectLockConfigurationInput{Bucket: "data"},
		"PutObjectLockConfiguration": &s3.PutObjectLockConfigurationInput{Bucket: "data"},
		"GetObjectRetention":         &s3.GetObjectRetentionInput{Bucket: "data", Key: "k"}, "PutObjectRetention": &s3.PutObjectRetentionInput{Bucket: "data", Key: "k"},
		"GetObjectLegalHold": &s3.GetObjectLegalHoldInput{Bucket: "data", Key: "k"}, "PutObjectLegalHold": &s3.PutObjectLegalHoldInput{Bucket: "data", Key: "k"},

		"CopyObject":              &s3.CopyObjectInput{Bucket: "data", Key: "copy", CopySource: "data/k"},
		"CreateMultipartUpload":   &s3.CreateMultipartUploadInput{Bucket: "data", Key: "k"},
		"UploadPart":              &s3.UploadPartInput{Bucket: "data", Key: "k", UploadId: upload.UploadId, PartNumber: 1, Body: strings.NewReader("x")},
		"UploadPartCopy":          &s3.UploadPartCopyInput{Bucket: "data", Key: "k", UploadId: upload.UploadId, PartNumber: 1, CopySource: "data/k"},
		"CompleteMultipartUpload": &s3.CompleteMultipartUploadInput{Bucket: "data", Key: "k", UploadId: upload.UploadId, MultipartUpload: &s3.CompletedMultipartUpload{}},
		"AbortMultipartUpload":    &s3.AbortMultipartUploadInput{Bucket: "data", Key: "k", UploadId: upload.UploadId},
		"ListParts":               &s3.ListPartsInput{Bucket: "data", Key: "k", UploadId: upload.UploadId},
		"ListMultipartUploads":    &s3.ListMultipartUploadsInput{Bucket: "data"},
	}
	maps.Copy(calls, settingsCalls())
	for _, m := range s3.Model().Operations {
		in := calls[m.Name]
		if in == nil {
			t.Errorf("%s is not tried", m.Name)
			continue
		}
		if _, err := apitest.Call[struct{}](t, nobody, "s3:"+m.Name, in); err == nil || err.Code != "AccessDenied" {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	if got := b.get(t, "data", "k"); got != "content" {
		t.Errorf("reads %q", got)
	}
}

func TestUnknownNamesAreRefused(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	for _, statement := range []string{
		`{"Effect":"Deny","Principal":"*","Action":"s3:GetObjekt","Resource":"arn:aws:s3:::data/*"}`,
		`{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*","Condition":{"StringNotEquals":{"aws:SourceVcp":"vpc-1"}}}`,
	} {
		refused[s3.PutBucketPolicyOutput](t, b.admin, "s3:PutBucketPolicy", &s3.PutBucketPolicyInput{Bucket: "data", Policy: document(statement)}, "MalformedPolicy")
	}
}
