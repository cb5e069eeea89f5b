// Package s3 is the object store: buckets with their policies, public access
// block and default key, and objects, each sealed under a data key of its own
// that a KMS key protects.
//
// It trusts package api to decide every demand, the key service to guard data
// keys, and package seal to notice every change to what blob keeps; it does not
// trust the bytes on the disk, nor the store's word on which bytes belong to
// which object: the object's ARN is part of the encryption context of its data
// key and of what its bytes are bound to. Whoever controls requests controls
// bytes, keys and headers of objects that he may write; a key is a name and
// nothing more, and never becomes a path. There is no anonymous access, and no
// way to keep an object that no customer-controlled key seals. A version that a
// lock holds stays, whoever asks: what ends a retention in compliance mode is time
// alone.
package s3

import (
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/blob"
	"bawn.dev/internal/cache"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/s3"
)

// Config is what the service is made of.
type Config struct {
	Region string
	Blobs  Blobs
	// Catalogue knows the actions and condition keys that a bucket policy may
	// name; nil judges none.
	Catalogue policy.Catalogue
	// Orphan hears of a blob that could not be deleted and now waits for fsck; may
	// be nil.
	Orphan func(ref blob.Ref, err error)
}

// Service is the object store.
type Service struct {
	Config
	buckets *cache.Cache[string, *bucket]
	minPart int64 // bytes of each part of an upload but the last
	readers readers
}

// New makes the service. It fails when something of Config is missing.
func New(cfg Config) (*Service, error) {
	if cfg.Region == "" || cfg.Blobs == nil {
		return nil, errors.New("s3: region and blobs are needed")
	}
	if cfg.Orphan == nil {
		cfg.Orphan = func(blob.Ref, error) {}
	}
	return &Service{
		Config: cfg, minPart: 5 << 20,
		buckets: cache.NewWeighed(4096, cachedLarge, large),
	}, nil
}

// API is what the door serves.
func (s *Service) API() *api.Service {
	return &api.Service{Model: s3.Model(), Prefix: "s3", Operations: append(s.operations(), s.settings()...), Resolver: s.Resolve, Sharing: s.sharing}
}

func (s *Service) operations() []api.Operation {
	return []api.Operation{
		api.Write("CreateBucket", s.newBucket, s.createBucket).Demands("s3:CreateBucket", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning"),
		api.Write("DeleteBucket", s.deletedBucket, s.deleteBucket),
		api.Read("HeadBucket", s.headedBucket, s.headBucket).Demands("s3:ListBucket"),
		api.Read("ListBuckets", s.listingBuckets, s.listBuckets).Demands("s3:ListAllMyBuckets"),
		api.Read("GetBucketLocation", s.locatedBucket, s.getBucketLocation),
		api.Read("GetBucketVersioning", s.versionedBucket, s.getBucketVersioning),
		api.Write("PutBucketVersioning", s.changedVersioning, s.putBucketVersioning),
		api.Read("GetObjectLockConfiguration", s.lockedBucket, s.getLockConfiguration).Demands("s3:GetBucketObjectLockConfiguration"),
		api.Write("PutObjectLockConfiguration", s.lockingBucket, s.putLockConfiguration).Demands("s3:PutBucketObjectLockConfiguration"),

		api.Read("GetBucketPolicy", s.readPolicy, s.getBucketPolicy),
		api.Write("PutBucketPolicy", s.replacedPolicy, s.putBucketPolicy),
		api.Write("DeleteBucketPolicy", s.droppedPolicy, s.deleteBucketPolicy),

		api.Read("GetPublicAccessBlock", s.readBlock, s.getPublicAccessBlock).Demands("s3:GetBucketPublicAccessBlock"),
		api.Write("PutPublicAccessBlock", s.replacedBlock, s.putPublicAccessBlock).Demands("s3:PutBucketPublicAccessBlock"),
		api.Write("DeletePublicAccessBlock", s.droppedBlock, s.deletePublicAccessBlock).Demands("s3:PutBucketPublicAccessBlock"),

		api.Read("GetBucketEncryption", s.readEncryption, s.getBucketEncryption).Demands("s3:GetEncryptionConfiguration"),
		api.Write("PutBucketEncryption", s.replacedEncryption, s.putBucketEncryption).Demands("s3:PutEncryptionConfiguration"),

		api.Write("PutObject", s.newObject, s.putObject).Data().Streams().
			Demands("s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectRetention", "s3:PutObjectLegalHold"),
		api.Read("GetObject", s.readObject, s.getObject).Data().
			Demands("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions", "s3:GetObjectRetention", "s3:GetObjectLegalHold",
				"s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
		api.Read("HeadObject", s.headedObject, s.headObject).Data().
			Demands("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions", "s3:GetObjectRetention", "s3:GetObjectLegalHold",
				"s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
		api.Write("DeleteObject", s.deletedObject, s.deleteObject).Data().
			Demands("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"),
		api.Write("DeleteObjects", s.deletedObjects, s.deleteObjects).Data().Each().
			Demands("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"),
		api.Read("GetObjectRetention", s.retainedObject, s.getObjectRetention).Data().Demands("s3:GetObjectRetention", "s3:ListBucket", "s3:ListBucketVersions"),
		api.Write("PutObjectRetention", s.retainingObject, s.putObjectRetention).Data().
			Demands("s3:PutObjectRetention", "s3:BypassGovernanceRetention", "s3:ListBucket", "s3:ListBucketVersions"),
		api.Read("GetObjectLegalHold", s.heldObject, s.getObjectLegalHold).Data().Demands("s3:GetObjectLegalHold", "s3:ListBucket", "s3:ListBucketVersions"),
		api.Write("PutObjectLegalHold", s.holdingObject, s.putObjectLegalHold).Data().Demands("s3:PutObjectLegalHold", "s3:ListBucket", "s3:ListBucketVersions"),
		api.Write("CopyObject", s.copiedObject, s.copyObject).Data().
			Demands("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions", "s3:GetObjectTagging", "s3:GetObjectVersionTagging",
				"s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectRetention", "s3:PutObjectLegalHold"),
		api.Write("CreateMultipartUpload", s.newUpload, s.createUpload).Data().
			Demands("s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectRetention", "s3:PutObjectLegalHold"),
		api.Write("UploadPart", s.newPart, s.putPart).Data().Streams().Demands("s3:PutObject"),
		api.Write("UploadPartCopy", s.copiedPart, s.copyPart).Data().
			Demands("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions", "s3:PutObject"),
		api.Write("CompleteMultipartUpload", s.completedUpload, s.completeUpload).Data().Demands("s3:PutObject"),
		api.Write("AbortMultipartUpload", s.abortedUpload, s.abortUpload).Data(),
		api.Read("ListParts", s.listingParts, s.listParts).Data().Demands("s3:ListMultipartUploadParts"),
		api.Read("ListMultipartUploads", s.listingUploads, s.listUploads).Data().Demands("s3:ListBucketMultipartUploads"),
		api.Read("ListObjects", s.listingObjectsV1, s.listObjectsV1).Data().Demands("s3:ListBucket"),
		api.Read("ListObjectVersions", s.listingVersions, s.listVersions).Data().Demands("s3:ListBucketVersions"),
		api.Read("ListObjectsV2", s.listingObjects, s.listObjects).Data().Demands("s3:ListBucket"),
	}
}
