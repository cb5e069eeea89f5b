package s3

import "bawn.dev/internal/api"

// settings are the operations on what a bucket is set to, and on what is said of
// objects beside their content.
func (s *Service) settings() []api.Operation {
	return []api.Operation{
		api.Read("GetBucketPolicyStatus", s.readStatus, s.getBucketPolicyStatus),
		api.Write("DeleteBucketEncryption", s.droppedEncryption, s.deleteBucketEncryption).Demands("s3:PutEncryptionConfiguration"),

		api.Read("GetBucketOwnershipControls", s.readOwnership, s.getOwnership),
		api.Write("PutBucketOwnershipControls", s.replacedOwnership, s.putOwnership),
		api.Write("DeleteBucketOwnershipControls", s.droppedOwnership, s.deleteOwnership).Demands("s3:PutBucketOwnershipControls"),
		api.Read("GetBucketAcl", s.readBucketACL, s.getBucketACL),
		api.Write("PutBucketAcl", s.replacedBucketACL, s.putBucketACL),
		api.Read("GetObjectAcl", s.readObjectACL, s.getObjectACL).Data().
			Demands("s3:GetObjectAcl", "s3:GetObjectVersionAcl", "s3:ListBucket", "s3:ListBucketVersions"),
		api.Write("PutObjectAcl", s.replacedObjectACL, s.putObjectACL).Data().
			Demands("s3:PutObjectAcl", "s3:PutObjectVersionAcl", "s3:ListBucket", "s3:ListBucketVersions"),

		api.Read("GetBucketTagging", s.readBucketTags, s.getBucketTags),
		api.Write("PutBucketTagging", s.replacedBucketTags, s.putBucketTags),
		api.Write("DeleteBucketTagging", s.droppedBucketTags, s.deleteBucketTags).Demands("s3:PutBucketTagging"),
		api.Read("GetObjectTagging", s.readTags, s.getTags).Data().
			Demands("s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:ListBucket", "s3:ListBucketVersions"),
		api.Write("PutObjectTagging", s.replacedTags, s.putTags).Data().
			Demands("s3:PutObjectTagging", "s3:PutObjectVersionTagging", "s3:ListBucket", "s3:ListBucketVersions"),
		api.Write("DeleteObjectTagging", s.droppedTags, s.deleteTags).Data().
			Demands("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging", "s3:ListBucket", "s3:ListBucketVersions"),
		api.Read("GetObjectAttributes", s.readAttributes, s.getAttributes).Data().
			Demands("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAttributes", "s3:GetObjectVersionAttributes", "s3:ListBucket", "s3:ListBucketVersions"),

		api.Read("GetBucketCors", s.readCORS, s.getCORS).Demands("s3:GetBucketCORS"),
		api.Write("PutBucketCors", s.replacedCORS, s.putCORS).Demands("s3:PutBucketCORS"),
		api.Write("DeleteBucketCors", s.droppedCORS, s.deleteCORS).Demands("s3:PutBucketCORS"),
		api.Read("GetBucketLifecycleConfiguration", s.readLifecycle, s.getLifecycle).Demands("s3:GetLifecycleConfiguration"),
		api.Write("PutBucketLifecycleConfiguration", s.replacedLifecycle, s.putLifecycle).Demands("s3:PutLifecycleConfiguration"),
		api.Write("DeleteBucketLifecycle", s.droppedLifecycle, s.deleteLifecycle).Demands("s3:PutLifecycleConfiguration"),

		api.Read("GetBucketWebsite", s.readWebsite, s.getWebsite),
		api.Read("GetBucketReplication", s.readReplication, s.getReplication).Demands("s3:GetReplicationConfiguration"),
		api.Read("GetBucketAccelerateConfiguration", s.readAcceleration, s.getAcceleration).Demands("s3:GetAccelerateConfiguration"),
		api.Read("GetBucketLogging", s.readLogging, s.getLogging),
		api.Read("GetBucketNotificationConfiguration", s.readNotification, s.getNotification).Demands("s3:GetBucketNotification"),
		api.Read("GetBucketRequestPayment", s.readPayer, s.getPayer),
		api.Read("ListBucketAnalyticsConfigurations", s.listingAnalytics, s.listAnalytics).Demands("s3:GetAnalyticsConfiguration"),
		api.Read("ListBucketIntelligentTieringConfigurations", s.listingTiering, s.listTiering).Demands("s3:GetIntelligentTieringConfiguration"),
		api.Read("ListBucketInventoryConfigurations", s.listingInventories, s.listInventories).Demands("s3:GetInventoryConfiguration"),
		api.Read("ListBucketMetricsConfigurations", s.listingMetrics, s.listMetrics).Demands("s3:GetMetricsConfiguration"),
	}
}
