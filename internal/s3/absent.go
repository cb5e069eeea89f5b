package s3

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
)

// What S3 can be configured to do and this one cannot: reads answer as AWS's do of a
// bucket where it was not configured, and the router refuses to configure it.

// none says that the bucket has no configuration of a kind.
func (f *found) none(code, message string) *api.Error {
	e := fail(404, code, message)
	e.Fields = map[string]string{"BucketName": f.name}
	return e
}

func (s *Service) readWebsite(_ context.Context, c *api.Call, in *s3.GetBucketWebsiteInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketWebsite", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getWebsite(_ context.Context, _ *api.Call, _ *s3.GetBucketWebsiteInput, f *found) (*s3.GetBucketWebsiteOutput, error) {
	return nil, f.none("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration")
}

func (s *Service) readReplication(_ context.Context, c *api.Call, in *s3.GetBucketReplicationInput) (*found, []api.Demand, error) {
	return s.on(c, "GetReplicationConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getReplication(_ context.Context, _ *api.Call, _ *s3.GetBucketReplicationInput, f *found) (*s3.GetBucketReplicationOutput, error) {
	return nil, f.none("ReplicationConfigurationNotFoundError", "The replication configuration was not found")
}

func (s *Service) readAcceleration(_ context.Context, c *api.Call, in *s3.GetBucketAccelerateConfigurationInput) (*found, []api.Demand, error) {
	return s.on(c, "GetAccelerateConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getAcceleration(context.Context, *api.Call, *s3.GetBucketAccelerateConfigurationInput, *found) (*s3.GetBucketAccelerateConfigurationOutput, error) {
	return &s3.GetBucketAccelerateConfigurationOutput{}, nil
}

func (s *Service) readLogging(_ context.Context, c *api.Call, in *s3.GetBucketLoggingInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketLogging", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getLogging(context.Context, *api.Call, *s3.GetBucketLoggingInput, *found) (*s3.GetBucketLoggingOutput, error) {
	return &s3.GetBucketLoggingOutput{}, nil
}

func (s *Service) readNotification(_ context.Context, c *api.Call, in *s3.GetBucketNotificationConfigurationInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketNotification", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getNotification(context.Context, *api.Call, *s3.GetBucketNotificationConfigurationInput, *found) (*s3.GetBucketNotificationConfigurationOutput, error) {
	return &s3.GetBucketNotificationConfigurationOutput{}, nil
}

func (s *Service) readPayer(_ context.Context, c *api.Call, in *s3.GetBucketRequestPaymentInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketRequestPayment", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getPayer(context.Context, *api.Call, *s3.GetBucketRequestPaymentInput, *found) (*s3.GetBucketRequestPaymentOutput, error) {
	return &s3.GetBucketRequestPaymentOutput{Payer: s3.PayerBucketOwner}, nil
}

// emptyList is the answer to a list of configurations. No page of it ever named a
// token.
func emptyList[Out any](token string, out *Out) (*Out, error) {
	if token != "" {
		return nil, badArgument("continuation-token", token, "The continuation token provided is incorrect")
	}
	return out, nil
}

func (s *Service) listingAnalytics(_ context.Context, c *api.Call, in *s3.ListBucketAnalyticsConfigurationsInput) (*found, []api.Demand, error) {
	return s.on(c, "GetAnalyticsConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) listAnalytics(_ context.Context, _ *api.Call, in *s3.ListBucketAnalyticsConfigurationsInput, _ *found) (*s3.ListBucketAnalyticsConfigurationsOutput, error) {
	return emptyList(in.ContinuationToken, &s3.ListBucketAnalyticsConfigurationsOutput{IsTruncated: new(bool)})
}

func (s *Service) listingTiering(_ context.Context, c *api.Call, in *s3.ListBucketIntelligentTieringConfigurationsInput) (*found, []api.Demand, error) {
	return s.on(c, "GetIntelligentTieringConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) listTiering(_ context.Context, _ *api.Call, in *s3.ListBucketIntelligentTieringConfigurationsInput, _ *found) (*s3.ListBucketIntelligentTieringConfigurationsOutput, error) {
	return emptyList(in.ContinuationToken, &s3.ListBucketIntelligentTieringConfigurationsOutput{IsTruncated: new(bool)})
}

func (s *Service) listingInventories(_ context.Context, c *api.Call, in *s3.ListBucketInventoryConfigurationsInput) (*found, []api.Demand, error) {
	return s.on(c, "GetInventoryConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) listInventories(_ context.Context, _ *api.Call, in *s3.ListBucketInventoryConfigurationsInput, _ *found) (*s3.ListBucketInventoryConfigurationsOutput, error) {
	return emptyList(in.ContinuationToken, &s3.ListBucketInventoryConfigurationsOutput{IsTruncated: new(bool)})
}

func (s *Service) listingMetrics(_ context.Context, c *api.Call, in *s3.ListBucketMetricsConfigurationsInput) (*found, []api.Demand, error) {
	return s.on(c, "GetMetricsConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) listMetrics(_ context.Context, _ *api.Call, in *s3.ListBucketMetricsConfigurationsInput, _ *found) (*s3.ListBucketMetricsConfigurationsOutput, error) {
	return emptyList(in.ContinuationToken, &s3.ListBucketMetricsConfigurationsOutput{IsTruncated: new(bool)})
}
