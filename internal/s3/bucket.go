package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// A bucket is a bucket as one version of its row says. It does not change and is
// shared by calls.
type bucket struct {
	name    string
	id      string // a new one when the name is used again
	account string
	created time.Time
	text    string      // of the policy, as it was put
	policy  *policy.Doc // nil: none
	public  bool        // that policy lets everyone in
	kmsKey  string      // default key as it was put; empty: the managed one
	block   block

	versioning s3.BucketVersioningStatus // empty: never
	sse        s3.ServerSideEncryption   // empty: SSE-KMS
	bucketKey  bool
	lock       lockDefaults
	tags       tagSet
	ownership  s3.ObjectOwnership // empty: its controls were deleted, which changes nothing
	cors       string             // JSON; empty: none
	lifecycle  string             // likewise
	origins    []s3.CORSRule      // as cors has them; only of buckets that get found
	rules      lifecycle          // as lifecycle has them, likewise
	minimum    s3.TransitionDefaultMinimumObjectSize

	bindings policy.Bindings // of the policy
}

func versionKey(name string) string { return "s3:bucket/" + name }

func bucketARN(name string) string { return "arn:aws:s3:::" + name }

func objectARN(bucket, key string) string { return "arn:aws:s3:::" + bucket + "/" + key }

// get finds a bucket by name; a missing one is nil. The decision depends on what
// it answers.
func (s *Service) get(sn *store.Snapshot, name string) (*bucket, error) {
	version, err := sn.Version(versionKey(name))
	if err != nil || version == 0 {
		return nil, err
	}
	if b, ok := s.buckets.Get(name, version); ok {
		return b, nil
	}
	b, err := bucketRow(sn, name)
	if err != nil || b == nil {
		return nil, err
	}
	if b.text != "" {
		p, err := b.bindings.Parse(b.text, policy.Resource)
		if err != nil {
			return nil, fmt.Errorf("s3: the stored policy of %s: %w", name, err)
		}
		b.policy = &policy.Doc{Name: "bucket policy of " + name, Policy: p}
		b.public = p.Public()
	}
	var l lifecycleSetting
	if err := errors.Join(parseSetting(b.cors, &b.origins), parseSetting(b.lifecycle, &l)); err != nil {
		return nil, fmt.Errorf("s3: the stored settings of %s: %w", name, err)
	}
	b.rules, b.minimum = l.Rules, l.Minimum
	s.buckets.Put(name, version, b)
	return b, nil
}

// Of buckets with long settings few are kept: parsed, a policy takes up to thirty times
// its text, rules may take megabytes, and whoever makes buckets must not fill the memory.
const (
	cachedLarge   = 64      // buckets with more than
	largeSettings = 4 << 10 // bytes of policy and rules, as they are stored
)

func large(_ string, b *bucket) bool {
	return len(b.text)+len(b.cors)+len(b.lifecycle) > largeSettings
}

// A found bucket is what a request's Bucket names, as decisions see it.
type found struct {
	*bucket  // nil: there is none
	resource api.Resource
	signing  policy.Context // condition keys of the request's signature
}

// find resolves a bucket name. owner is the account that the caller expects to
// own it, or empty.
func (s *Service) find(c *api.Call, name, owner string) (*found, error) {
	r := api.Resource{ARN: bucketARN(name), Type: "AWS::S3::Bucket"}
	b, err := s.get(c.Snapshot, name)
	if err != nil {
		return nil, err
	}
	if b == nil {
		r.Missing = noSuchBucket(name)
		return &found{nil, r, signingKeys(c)}, nil
	}
	r.Account, r.Policy = b.account, b.inForce(c)
	if owner != "" && owner != b.account {
		r.Missing = accessDenied() // also for those who may do what they ask
	}
	return &found{b, r, signingKeys(c)}, nil
}

// demand states an action on the bucket.
func (f *found) demand(action string) api.Demand {
	return api.Demand{Action: "s3:" + action, Resource: f.resource, Keys: f.keys()}
}

// keys are the condition keys that every request on the bucket has.
func (f *found) keys() policy.Context {
	keys := make(policy.Context, 8)
	maps.Copy(keys, f.signing)
	keys.Set("s3:signatureversion", "AWS4-HMAC-SHA256")
	if f.bucket != nil {
		keys.Set("s3:ResourceAccount", f.account)
	}
	return keys
}

// signingKeys are the condition keys that tell how the request was signed. As with
// AWS, a signature's age is one of presigned requests only.
func signingKeys(c *api.Call) policy.Context {
	s, ok := c.Signing()
	if !ok {
		return nil
	}
	keys := make(policy.Context, 4)
	keys.Set("s3:authType", "REST-HEADER")
	if s.Presigned {
		keys.Set("s3:authType", "REST-QUERY-STRING")
		keys.Set("s3:signatureAge", fmt.Sprint(s.Age.Milliseconds()))
	}
	if s.ContentHash != "" {
		keys.Set("s3:x-amz-content-sha256", s.ContentHash)
	}
	if s.TLS != "" {
		keys.Set("s3:TlsVersion", s.TLS)
	}
	return keys
}

// on resolves the bucket of an operation that demands one action of it.
func (s *Service) on(c *api.Call, action, name, owner string) (*found, []api.Demand, error) {
	f, err := s.find(c, name, owner)
	if err != nil {
		return nil, nil, err
	}
	return f, []api.Demand{f.demand(action)}, nil
}

// checkName applies AWS's rules for the names of general purpose buckets.
func checkName(name string) error {
	bad := fail(400, "InvalidBucketName", "The specified bucket is not valid.")
	bad.Fields = map[string]string{"BucketName": name}
	if len(name) < 3 || len(name) > 63 || strings.Contains(name, "..") {
		return bad
	}
	if edges := strings.Trim(name, "-."); edges != name || !plainName(name) {
		return bad
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return bad
	}
	for _, prefix := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, prefix) {
			return bad
		}
	}
	for _, suffix := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, suffix) {
			return bad
		}
	}
	return nil
}

// plainName says whether s is made of what bucket names are made of.
func plainName(s string) bool {
	for i := range len(s) {
		if ch := s[i]; !('a' <= ch && ch <= 'z' || '0' <= ch && ch <= '9' || ch == '-' || ch == '.') {
			return false
		}
	}
	return len(s) <= 63
}

// owner is the canonical user of an account.
func owner(account string) *s3.Owner {
	sum := sha256.Sum256([]byte("canonical user of " + account))
	return &s3.Owner{ID: hex.EncodeToString(sum[:])}
}

// Resolve finds buckets and objects by ARN, for other services' decisions. An
// object's resource stands for its name, whether or not there is one.
func (s *Service) Resolve(_ context.Context, sn *store.Snapshot, name string) (*api.Foreign, error) {
	a, err := arn.Parse(name)
	if err != nil || a.Service != "s3" || a.Region != "" || a.Account != "" {
		return nil, nil
	}
	bucketName, key, isObject := strings.Cut(a.Resource, "/")
	r := api.Resource{ARN: name, Type: "AWS::S3::Bucket"}
	if isObject && key != "" {
		r.Type = "AWS::S3::Object"
	}
	b, err := s.get(sn, bucketName)
	if err != nil {
		return nil, err
	}
	if b == nil {
		r.Missing = noSuchBucket(bucketName)
		return &api.Foreign{Resource: r}, nil
	}
	r.Account, r.Policy = b.account, b.policy
	return &api.Foreign{Resource: r, Detail: &s3.Bucket{
		Name: b.name, BucketArn: bucketARN(b.name), BucketRegion: s.Region, CreationDate: b.created,
	}}, nil
}
