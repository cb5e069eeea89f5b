package s3

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// A begun upload is a multipart upload that is neither completed nor aborted. Its row
// never changes.
type begun struct {
	id        string
	bucketID  string
	initiator string         // ARN
	object                   // that it will make: what CreateMultipartUpload said of it, and its data key
	asked     policy.Context // the condition keys of that; the parts are held to them too
	chosen    bool           // the checksum was
	proof     []byte         // that the store has not changed any of it
}

// begunDetails are how a begun upload's row says what is no column.
type begunDetails struct {
	details
	Asked  policy.Context `json:"asked,omitempty"`
	Chosen bool           `json:"chosen,omitempty"`
	Proof  []byte         `json:"proof,omitempty"`
}

const provingUpload seal.Purpose = "s3 upload details"

func (b *begun) text() (string, error) {
	t, err := json.Marshal(begunDetails{b.details, b.asked, b.chosen, b.proof}, json.Deterministic(true))
	return string(t), err
}

// claims are what the store says of the upload and its creation has proven.
func (b *begun) claims(arn string) ([]byte, error) {
	unproven := *b
	unproven.proof = nil
	text, err := unproven.text()
	return fmt.Appendf(nil, "%s %s %d %s %s", b.id, arn, b.modified.UnixMicro(), b.algorithm, text), err
}

func (b *begun) prove(key []byte, arn string) error {
	claims, err := b.claims(arn)
	if err == nil {
		b.proof, err = provingUpload.Seal(key, nil, claims)
	}
	return err
}

func (b *begun) check(key []byte, arn string) error {
	claims, err := b.claims(arn)
	if err == nil {
		_, err = provingUpload.Open(key, b.proof, claims)
	}
	if err != nil {
		err = fmt.Errorf("s3: what is stored of an upload of %s is not what began it: %w", arn, err)
	}
	return err
}

// shownKind is of a checksum that was chosen; the other is no client's business yet.
func (b *begun) shownKind() (s3.ChecksumAlgorithm, s3.ChecksumType) {
	if !b.chosen {
		return "", ""
	}
	return checksumKind(b.algorithm)
}

const uploadColumns = "id, bucket_id, started, initiator, kms_key, data_key, algorithm, details, tags, lock"

func (b *begun) scan(row interface{ Scan(...any) error }, first ...any) error {
	var started int64
	var text, tags, lock string
	err := row.Scan(append(first, &b.id, &b.bucketID, &started, &b.initiator, &b.kmsKey, &b.dataKey, &b.algorithm, &text, &tags, &lock)...)
	if err != nil {
		return err
	}
	var d begunDetails
	err = json.Unmarshal([]byte(text), &d)
	b.details, b.asked, b.chosen, b.proof = d.details, d.Asked, d.Chosen, d.Proof
	b.modified, b.upload = time.UnixMicro(started).UTC(), b.id
	return errors.Join(err, b.tags.parse(tags), b.lock.parse(lock))
}

// uploadRow reads an upload's row, or answers nil.
func uploadRow(q querier, bucket, key, id string) (*begun, error) {
	b := &begun{}
	err := b.scan(q.QueryRow("SELECT "+uploadColumns+" FROM s3_uploads WHERE bucket = ? AND key = ? AND id = ?", bucket, []byte(key), id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return b, err
}

func insertUpload(tx *store.Tx, bucket, key string, b *begun) error {
	text, err := b.text()
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO s3_uploads (bucket, key, "+uploadColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		bucket, []byte(key), b.id, b.bucketID, b.modified.UnixMicro(), b.initiator, b.kmsKey, b.dataKey, b.algorithm, text, b.tags.text(), b.lock.text())
	return err
}

// deleteUpload ends an upload. It was completed or aborted by another if there is
// nothing to end.
func deleteUpload(tx *store.Tx, bucket, key, id string) (bool, error) {
	done, err := tx.Exec("DELETE FROM s3_uploads WHERE bucket = ? AND key = ? AND id = ?", bucket, []byte(key), id)
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

func noSuchUpload(id string) *api.Error {
	e := fail(404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	e.Fields = map[string]string{"UploadId": id}
	return e
}

// An assembly is a place where an upload is under way.
type assembly struct {
	*place
	begun *begun // nil: there is no such upload
}

// assembling is at for an upload that must be under way.
func (s *Service) assembling(c *api.Call, action, bucket, key, id, owner string) (*assembly, []api.Demand, error) {
	p, demands, err := s.at(c, action, bucket, key, owner)
	if err != nil {
		return nil, nil, err
	}
	a := &assembly{place: p}
	if p.bucket == nil {
		return a, demands, nil
	}
	if a.begun, err = uploadRow(c.Snapshot, bucket, key, id); err != nil {
		return nil, nil, err
	}
	if a.begun != nil && a.begun.bucketID != p.id {
		a.begun = nil
	}
	if a.begun == nil {
		if demands[0].Resource.Missing == nil {
			demands[0].Resource.Missing = noSuchUpload(id)
		}
		return a, demands, nil
	}
	p.object = &a.begun.object
	return a, demands, nil
}

// adding is assembling for what adds to the upload. A policy sees of it what it saw of
// the upload's creation.
func (s *Service) adding(c *api.Call, bucket, key, id, owner string) (*assembly, []api.Demand, error) {
	a, demands, err := s.assembling(c, "PutObject", bucket, key, id, owner)
	if err != nil {
		return nil, nil, err
	}
	setCreation(demands, false)
	if a.begun != nil {
		maps.Copy(demands[0].Keys, a.begun.asked)
	}
	return a, demands, nil
}

func (s *Service) newUpload(_ context.Context, c *api.Call, in *s3.CreateMultipartUploadInput) (*assembly, []api.Demand, error) {
	p, demands, err := s.at(c, "PutObject", in.Bucket, in.Key, in.ExpectedBucketOwner)
	if err != nil {
		return nil, nil, err
	}
	p.upload = &upload{
		acl: in.ACL, storageClass: in.StorageClass, tagging: in.Tagging,
		details: detailsOf(&s3.PutObjectInput{
			CacheControl: in.CacheControl, ContentDisposition: in.ContentDisposition, ContentEncoding: in.ContentEncoding,
			ContentLanguage: in.ContentLanguage, ContentType: in.ContentType, Expires: in.Expires, Metadata: in.Metadata,
		}),
		lockMode: in.ObjectLockMode, lockUntil: in.ObjectLockRetainUntilDate, hold: in.ObjectLockLegalHoldStatus,
		sse: sealing{in.ServerSideEncryption, in.SSEKMSKeyId, in.SSEKMSEncryptionContext, in.BucketKeyEnabled},
	}
	every := maps.Clone(demands[0].Keys)
	if demands, err = s.admitted(c, p, demands, p.upload); err != nil {
		return nil, nil, err
	}
	a := &assembly{p, &begun{asked: maps.Clone(demands[0].Keys)}}
	maps.DeleteFunc(a.begun.asked, func(name string, _ []string) bool { _, ok := every[name]; return ok })
	setCreation(demands, false)
	return a, demands, nil
}

// createUpload makes the data key that all parts will be sealed under.
func (s *Service) createUpload(ctx context.Context, c *api.Call, in *s3.CreateMultipartUploadInput, a *assembly) (api.Commit[s3.CreateMultipartUploadOutput], error) {
	b := &begun{
		id: newUploadID(c.Now), bucketID: a.id, initiator: c.Caller().ARN, object: *newObject(c, a.place.upload),
		asked: a.begun.asked, chosen: in.ChecksumAlgorithm != "",
	}
	var err error
	if b.algorithm, err = uploadKind(in.ChecksumAlgorithm, in.ChecksumType); err != nil {
		return nil, err
	}
	key, err := s.dataKey(ctx, c, a.place, &b.object)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	b.lock = a.place.upload.lock(&bucket{}, c.Now) // the bucket's default is that of the time when the object comes
	if err := b.prove(key, a.arn); err != nil {
		return nil, err
	}
	algorithm, kind := b.shownKind()
	return func(tx *store.Tx) (*s3.CreateMultipartUploadOutput, error) {
		if _, err := s.slot(ctx, tx, a.name, a.id, a.key); err != nil {
			return nil, err
		}
		abort := a.rules.upload(a.key, c.Now)
		return &s3.CreateMultipartUploadOutput{
			AbortDate: abort.at, AbortRuleId: abort.rule, Bucket: in.Bucket, Key: in.Key, UploadId: b.id, ChecksumAlgorithm: algorithm, ChecksumType: kind,
			ServerSideEncryption: b.sse(), SSEKMSKeyId: b.shownKey(), SSEKMSEncryptionContext: in.SSEKMSEncryptionContext,
			BucketKeyEnabled: &b.details.BucketKey,
		}, insertUpload(tx, a.name, a.key, b)
	}, nil
}

// newUploadID makes ids that sort by the time when uploads began, as listings show them.
func newUploadID(now time.Time) string {
	return fmt.Sprintf("%016x", now.UnixMicro()) + rand.Text() + rand.Text()
}

func (s *Service) abortedUpload(_ context.Context, c *api.Call, in *s3.AbortMultipartUploadInput) (*assembly, []api.Demand, error) {
	return s.assembling(c, "AbortMultipartUpload", in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner)
}

func (s *Service) abortUpload(ctx context.Context, _ *api.Call, in *s3.AbortMultipartUploadInput, a *assembly) (api.Commit[s3.AbortMultipartUploadOutput], error) {
	return func(tx *store.Tx) (*s3.AbortMultipartUploadOutput, error) {
		if ended, err := deleteUpload(tx, a.name, a.key, in.UploadId); err != nil {
			return nil, err
		} else if !ended {
			return nil, noSuchUpload(in.UploadId)
		}
		return &s3.AbortMultipartUploadOutput{}, s.dropParts(ctx, tx, in.UploadId)
	}, nil
}

// dropUploads ends every upload of a bucket that goes.
func (s *Service) dropUploads(ctx context.Context, tx *store.Tx, bucket string) error {
	ids, err := store.Collect(tx, func(rows *store.Rows) (id string, err error) { return id, rows.Scan(&id) },
		"SELECT id FROM s3_uploads WHERE bucket = ?", bucket)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.dropParts(ctx, tx, id); err != nil {
			return err
		}
	}
	_, err = tx.Exec("DELETE FROM s3_uploads WHERE bucket = ?", bucket)
	return err
}
