package s3

import (
	"net/url"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/s3"
)

// An upload is what PutObject, CopyObject and CreateMultipartUpload say alike of the
// object that they bring.
type upload struct {
	acl          s3.ObjectCannedACL
	storageClass s3.StorageClass
	details      details
	tagging      string // as a query string
	lockMode     s3.ObjectLockMode
	lockUntil    time.Time
	hold         s3.ObjectLockLegalHoldStatus
	sse          sealing

	ifMatch, ifNoneMatch string

	tags tagSet // read from tagging
}

// sealing is what a request says of the key to seal under.
type sealing struct {
	algorithm s3.ServerSideEncryption
	key       string
	context   string // further encryption context, in base64
	bucketKey *bool
}

// admitted checks what an upload says, sets its condition keys and adds the demands
// that parts of it make of their own.
func (s *Service) admitted(c *api.Call, p *place, demands []api.Demand, u *upload) ([]api.Demand, error) {
	if err := checkACL(string(u.acl)); err != nil {
		return nil, err
	}
	if u.storageClass != "" && u.storageClass != s3.StorageClassStandard {
		return nil, notServed("StorageClass " + string(u.storageClass))
	}
	if u.ifNoneMatch != "" && u.ifNoneMatch != "*" {
		return nil, notServed("If-None-Match with an ETag")
	}
	if err := checkMetadata(u.details.Metadata); err != nil {
		return nil, err
	}
	var err error
	if u.tags, err = parseTagging(u.tagging); err != nil {
		return nil, err
	}
	keys := demands[0].Keys
	set := func(name, value string) {
		if value != "" {
			keys.Set("s3:"+name, value)
		}
	}
	set("x-amz-acl", string(u.acl))
	set("x-amz-storage-class", string(u.storageClass))
	set("x-amz-server-side-encryption", string(u.sse.algorithm))
	if u.sse.key != "" {
		set("x-amz-server-side-encryption-aws-kms-key-id", s.keyARN(c.Account, u.sse.key))
	}
	setConditions(keys, u.ifMatch, u.ifNoneMatch)
	setRequestTags(keys, u.tags)
	if len(u.tags) > 0 {
		demands = append(demands, p.also("PutObjectTagging", keys))
	}
	return s.lockDemands(c, p, demands, u)
}

// also demands a second action on the object, under the same condition keys.
func (p *place) also(action string, keys policy.Context) api.Demand {
	r := p.found.resource
	r.ARN, r.Type = p.arn, "AWS::S3::Object"
	return api.Demand{Action: "s3:" + action, Resource: r, Keys: keys}
}

// setRequestTags are the condition keys of the tags that a request gives an object.
func setRequestTags(keys policy.Context, tags tagSet) {
	names := make([]string, 0, len(tags))
	for name, value := range tags {
		keys.Set("s3:RequestObjectTag/"+name, value)
		names = append(names, name)
	}
	keys.Set("s3:RequestObjectTagKeys", names...)
}

// checkACL takes the two canned ACLs that say what holds anyhow where ACLs are
// disabled, as they are here.
func checkACL(acl string) error {
	if acl == "" || acl == string(s3.ObjectCannedACLBucketOwnerFullControl) {
		return nil
	}
	return fail(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")
}

// The limits of an object's tags.
const (
	maxObjectTags = 10
	maxTagKey     = 128 // characters
	maxTagValue   = 256
)

// parseTagging reads tags as headers carry them: a query string.
func parseTagging(text string) (tagSet, error) {
	if text == "" {
		return nil, nil
	}
	bad := badArgument("x-amz-tagging", "", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	tags := tagSet{}
	for pair := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if _, double := tags[name]; double || err1 != nil || err2 != nil {
			return nil, bad
		}
		tags[name] = value
	}
	return tags, tags.check(maxObjectTags)
}
