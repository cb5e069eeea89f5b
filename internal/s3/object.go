package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/blob"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

const (
	maxKey      = 1024    // bytes of an object's key
	maxMetadata = 2 << 10 // bytes of user metadata, names and values
	maxObject   = 5 << 30 // bytes of an object in one part
)

// An object is an object as its row says.
type object struct {
	etag      string // without quotes; new with each upload
	size      int64
	modified  time.Time
	ref       blob.Ref // of its bytes
	kmsKey    string   // ARN
	dataKey   []byte   // as KMS sealed it
	algorithm string   // of the checksum that the proof holds
	text      string   // of details, as they are stored
	proof     []byte
	details   details
}

// details are what an upload said of an object and a download repeats.
type details struct {
	CacheControl       string            `json:"cacheControl,omitempty"`
	ContentDisposition string            `json:"contentDisposition,omitempty"`
	ContentEncoding    string            `json:"contentEncoding,omitempty"`
	ContentLanguage    string            `json:"contentLanguage,omitempty"`
	ContentType        string            `json:"contentType,omitempty"`
	Expires            string            `json:"expires,omitempty"`
	Metadata           map[string]string `json:"metadata,omitempty"`
	Context            map[string]string `json:"context,omitempty"` // further encryption context
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

// binding is the encryption context of an object's data key.
func binding(arn string, further map[string]string) map[string]string {
	bound := make(map[string]string, len(further)+1)
	for name, value := range further {
		bound[name] = value
	}
	bound["aws:s3:arn"] = arn
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

// reading is at for an object that must exist. That it does not is told to those
// who may list the bucket; to others it looks like a refusal.
func (s *Service) reading(ctx context.Context, c *api.Call, bucket, key, owner string) (*place, []api.Demand, error) {
	p, demands, err := s.at(c, "GetObject", bucket, key, owner)
	if err != nil || p.bucket == nil {
		return p, demands, err
	}
	if p.object, err = objectRow(c.Snapshot, bucket, key); err != nil {
		return nil, nil, err
	}
	if p.object == nil && demands[0].Resource.Missing == nil {
		demands[0].Resource.Missing = noSuchKey(key)
		list := p.demand("ListBucket")
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

func (s *Service) deletedObject(_ context.Context, c *api.Call, in *s3.DeleteObjectInput) (*place, []api.Demand, error) {
	p, demands, err := s.at(c, "DeleteObject", in.Bucket, in.Key, in.ExpectedBucketOwner)
	if err == nil {
		setConditions(demands[0].Keys, in.IfMatch, "")
	}
	return p, demands, err
}

func setConditions(keys policy.Context, ifMatch, ifNoneMatch string) {
	if ifMatch != "" {
		keys.Set("s3:if-match", ifMatch)
	}
	if ifNoneMatch != "" {
		keys.Set("s3:if-none-match", ifNoneMatch)
	}
}

func (s *Service) deleteObject(ctx context.Context, _ *api.Call, in *s3.DeleteObjectInput, _ *place) (api.Commit[s3.DeleteObjectOutput], error) {
	return func(tx *store.Tx) (*s3.DeleteObjectOutput, error) {
		old, err := presentObject(tx, in.Bucket, in.Key)
		if err != nil {
			return nil, err
		}
		if in.IfMatch != "" && (old == nil || !matches(in.IfMatch, old.etag)) {
			return nil, preconditionFailed("If-Match")
		}
		if old == nil {
			return &s3.DeleteObjectOutput{}, nil
		}
		if _, err := tx.Exec("DELETE FROM s3_objects WHERE bucket = ? AND key = ?", in.Bucket, []byte(in.Key)); err != nil {
			return nil, err
		}
		tx.AfterCommit(func() { s.drop(ctx, old.ref) })
		return &s3.DeleteObjectOutput{}, nil
	}, nil
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
