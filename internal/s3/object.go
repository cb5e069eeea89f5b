package s3

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/blob"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
)

const (
	maxKey      = 1024    // bytes of an object's key
	maxMetadata = 2 << 10 // bytes of user metadata, names and values
	maxObject   = 5 << 30 // bytes of an object in one part
)

// An object is one version of an object as its row says.
type object struct {
	version   string // its id; nullVersion if the bucket kept no versions when it came
	versioned bool   // its bucket keeps versions, or did
	seq       int64  // orders the versions of a key: the newest has the greatest
	marker    bool   // it says that the key was deleted, and has no content
	etag      string // without quotes; new with each upload
	size      int64
	modified  time.Time
	ref       blob.Ref // of its bytes; empty if they lie in parts
	upload    string   // whose parts they are; empty: none
	kmsKey    string   // ARN
	dataKey   []byte   // as KMS sealed it
	algorithm string   // of the checksum that the proof holds
	text      string   // of details, as they are stored
	proof     []byte
	details   details
	tags      tagSet
	lock      lock
}

// nullVersion is the id of a version that came while the bucket kept none.
const nullVersion = "null"

// details are what an upload said of an object and a download repeats.
type details struct {
	CacheControl       string            `json:"cacheControl,omitempty"`
	ContentDisposition string            `json:"contentDisposition,omitempty"`
	ContentEncoding    string            `json:"contentEncoding,omitempty"`
	ContentLanguage    string            `json:"contentLanguage,omitempty"`
	ContentType        string            `json:"contentType,omitempty"`
	Expires            string            `json:"expires,omitempty"`
	Metadata           map[string]string `json:"metadata,omitempty"`
	Context            map[string]string `json:"context,omitempty"`   // further encryption context
	Managed            bool              `json:"managed,omitempty"`   // sealed for SSE-S3: see encryption.go
	BucketKey          bool              `json:"bucketKey,omitempty"` // the encryption context names the bucket, not the object
	Parts              int               `json:"parts,omitempty"`
	Manifest           string            `json:"manifest,omitempty"` // what those parts are: see parts.go
}

func (d *details) parse(s string) error { return json.Unmarshal([]byte(s), d) }

func (d *details) text() (string, error) {
	b, err := json.Marshal(d, json.Deterministic(true))
	return string(b), err
}

// checkKey applies S3's rules for keys. Beyond them a key may be anything: it is
// a name, not a path.
func checkKey(key string) error {
	switch {
	case key == "":
		return badArgument("Key", key, "A key is needed")
	case len(key) > maxKey:
		e := fail(400, "KeyTooLongError", "Your key is too long")
		return e
	case !utf8.ValidString(key):
		return fail(400, "InvalidURI", "Couldn't parse the specified URI.")
	}
	return nil
}

// binding is the encryption context of an object's data key. With a bucket key it
// names the bucket, as AWS's does, so that policies on the key see that; what binds
// the bytes to the object is the seal.
func (o *object) binding(p *place) map[string]string {
	bound := make(map[string]string, len(o.details.Context)+1)
	maps.Copy(bound, o.details.Context)
	bound["aws:s3:arn"] = p.arn
	if o.details.BucketKey {
		bound["aws:s3:arn"] = bucketARN(p.name)
	}
	return bound
}

// associated is what an object's bytes are bound to besides their key.
func associated(arn, etag string) []byte { return []byte("s3 object " + etag + " " + arn) }

const proving seal.Purpose = "s3 object details"

// claims are what the store says of an object and an upload has proven.
func (o *object) claims(arn string) []byte {
	return fmt.Appendf(nil, "%q %s %d %d %s %s", arn, o.etag, o.size, o.modified.UnixMicro(), o.algorithm, o.text)
}

// prove seals the checksum of the content, which would tell of it, together with
// what is stored in clear beside it: whoever changes that in the store is noticed
// when the object is read.
func (o *object) prove(key []byte, arn, checksum string) (err error) {
	if o.text, err = o.details.text(); err != nil {
		return err
	}
	o.proof, err = proving.Seal(key, []byte(checksum), o.claims(arn))
	return err
}

// checksum opens the proof.
func (o *object) checksum(key []byte, arn string) (string, error) {
	sum, err := proving.Open(key, o.proof, o.claims(arn))
	if err != nil {
		return "", fmt.Errorf("s3: what is stored of %s is not what was uploaded: %w", arn, err)
	}
	return string(sum), nil
}

// A place is what Bucket and Key of a request name.
type place struct {
	*found
	key    string
	arn    string
	object *object // nil: none, or not looked for
	marker *object // a delete marker that stands in its place
	upload *upload // what is said of the object that comes; nil: none comes
}

// shownVersion is the version's id where one is shown: buckets that never kept
// versions show none.
func (o *object) shownVersion() string {
	if o.version == nullVersion && !o.versioned {
		return ""
	}
	return o.version
}

// at resolves bucket and key, and states the demand on the object.
func (s *Service) at(c *api.Call, action, bucket, key, owner string) (*place, []api.Demand, error) {
	if err := checkKey(key); err != nil {
		return nil, nil, err
	}
	f, err := s.find(c, bucket, owner)
	if err != nil {
		return nil, nil, err
	}
	p := &place{found: f, key: key, arn: objectARN(bucket, key)}
	r := f.resource
	r.ARN, r.Type = p.arn, "AWS::S3::Object"
	return p, []api.Demand{{Action: "s3:" + action, Resource: r, Keys: f.keys()}}, nil
}

// reading is at for an object that must exist, or for one of its versions. That it
// does not is told to those who may list the bucket; to others it looks like a
// refusal.
func (s *Service) reading(ctx context.Context, c *api.Call, action, bucket, key, version, owner string) (*place, []api.Demand, error) {
	if version != "" {
		// GetObject and GetObjectVersion, GetObjectTagging and GetObjectVersionTagging.
		action = strings.Replace(action, "Object", "ObjectVersion", 1)
	}
	return s.existing(ctx, c, action, bucket, key, version, owner)
}

// existing is reading for actions that have one name, with a version and without.
func (s *Service) existing(ctx context.Context, c *api.Call, action, bucket, key, version, owner string) (*place, []api.Demand, error) {
	if err := checkVersion(version); err != nil {
		return nil, nil, err
	}
	list := "ListBucket"
	if version != "" {
		list = "ListBucketVersions"
	}
	p, demands, err := s.at(c, action, bucket, key, owner)
	if err != nil || p.bucket == nil {
		return p, demands, err
	}
	setVersion(demands[0].Keys, version)
	if err := s.fetch(c, p, version); err != nil {
		return nil, nil, err
	}
	if p.object != nil {
		setObjectTags(demands[0].Keys, p.object.tags)
	}
	if p.object == nil && demands[0].Resource.Missing == nil {
		demands[0].Resource.Missing = p.absent(version)
		list := p.demand(list)
		list.Keys.Set("s3:prefix", key)
		err := c.Allowed(ctx, list)
		if _, refused := errors.AsType[*api.Error](err); refused {
			demands[0].Resource.Missing = accessDenied()
		} else if err != nil {
			return nil, nil, err
		}
	}
	return p, demands, nil
}

// fetch looks for the object, or for the delete marker in its place.
func (s *Service) fetch(c *api.Call, p *place, version string) error {
	var o *object
	var err error
	switch {
	case version != "":
		o, err = versionRow(c.Snapshot, p.name, p.key, version)
	default:
		if o, err = objectRow(c.Snapshot, p.name, p.key); o == nil && err == nil && p.versioning != "" {
			o, err = hiddenRow(c.Snapshot, p.name, p.key)
		}
	}
	if o != nil {
		o.versioned = p.versioning != ""
	}
	if o != nil && o.marker {
		p.marker, o = o, nil
	}
	p.object = o
	return err
}

// absent says in which way the object is not there.
func (p *place) absent(version string) *api.Error {
	var e *api.Error
	switch {
	case p.marker != nil && version != "":
		e = fail(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
		e.Fields = map[string]string{"Method": "GET", "ResourceType": "DeleteMarker"}
		e.Header = map[string]string{"Allow": "DELETE"}
	case version != "":
		e = fail(404, "NoSuchVersion", "The specified version does not exist.")
		e.Fields = map[string]string{"Key": p.key, "VersionId": version}
	default:
		e = noSuchKey(p.key)
	}
	if p.marker != nil {
		if e.Header == nil {
			e.Header = map[string]string{}
		}
		e.Header["x-amz-delete-marker"], e.Header["x-amz-version-id"] = "true", p.marker.version
	}
	return e
}

func setVersion(keys policy.Context, version string) {
	if version != "" {
		keys.Set("s3:VersionId", version)
	}
}

// setObjectTags are the condition keys of the tags that an object has.
func setObjectTags(keys policy.Context, tags tagSet) {
	for name, value := range tags {
		keys.Set("s3:ExistingObjectTag/"+name, value)
	}
}

func setConditions(keys policy.Context, ifMatch, ifNoneMatch string) {
	if ifMatch != "" {
		keys.Set("s3:if-match", ifMatch)
	}
	if ifNoneMatch != "" {
		keys.Set("s3:if-none-match", ifNoneMatch)
	}
}

// drop deletes bytes that no row refers to any more.
func (s *Service) drop(ctx context.Context, ref blob.Ref) {
	if err := s.Blobs.Delete(ctx, ref); err != nil {
		s.Orphan(ref, err)
	}
}

// matches compares an If-Match or If-None-Match with an ETag. Both may come with
// quotes; several are separated by commas.
func matches(condition, etag string) bool {
	for one := range strings.SplitSeq(condition, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.Trim(strings.TrimPrefix(one, "W/"), `"`) == etag {
			return true
		}
	}
	return false
}
