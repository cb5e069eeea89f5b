package s3

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/s3"
)

// Whether versions of a bucket can be locked, and that it is there at all, is told to
// who may write to it.
func TestLocksAreNoOracle(t *testing.T) {
	b := newBench(t)
	b.bucket(t, "data")
	b.lockable(t, "vault")
	nobody := b.User(t, apitest.Account, "nobody")
	for _, bucket := range []string{"data", "vault", "none"} {
		in := put(bucket, "k", "x")
		in.ObjectLockLegalHoldStatus = s3.ObjectLockLegalHoldStatusOn
		refused[s3.PutObjectOutput](t, nobody, "s3:PutObject", in, "AccessDenied")
		until := b.Now().Add(time.Hour)
		refused[s3.CreateMultipartUploadOutput](t, nobody, "s3:CreateMultipartUpload", &s3.CreateMultipartUploadInput{
			Bucket: bucket, Key: "k", ObjectLockMode: s3.ObjectLockModeGovernance, ObjectLockRetainUntilDate: until}, "AccessDenied")
	}
	in := put("data", "k", "x")
	in.ObjectLockLegalHoldStatus = s3.ObjectLockLegalHoldStatusOn
	refused[s3.PutObjectOutput](t, b.admin, "s3:PutObject", in, "InvalidRequest")
}

// A thousand rules about prefixes of each other have a bucket walked once, not a
// thousand times while others wait.
func TestNestedPrefixesAreWalkedOnce(t *testing.T) {
	var l lifecycle
	for _, prefix := range []string{"logs/a", "logs/", "b", "logs/a/b", "logs/c", "b", "logz"} {
		l = append(l, s3.LifecycleRule{Status: s3.ExpirationStatusEnabled, Prefix: prefix})
	}
	if got := l.prefixes(); !slices.Equal(got, []string{"b", "logs/", "logz"}) {
		t.Errorf("%q", got)
	}
	for n := range 1000 {
		l = append(l, s3.LifecycleRule{Status: s3.ExpirationStatusEnabled, Prefix: "b" + strings.Repeat("x", n)})
	}
	if got := l.prefixes(); len(got) != 3 {
		t.Errorf("%d prefixes", len(got))
	}
}
