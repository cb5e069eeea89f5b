package s3

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// ACLs are disabled, as on AWS's own new buckets: what they say is fixed, and nothing
// that they could grant counts.

// ownersACL is the one ACL there is: the owner may do all.
func ownersACL(account string) []s3.Grant {
	return []s3.Grant{{Grantee: &s3.Grantee{Type: s3.TypeCanonicalUser, ID: owner(account).ID}, Permission: s3.PermissionFullControl}}
}

// sameACL takes a document that says what holds anyhow.
func (f *found) sameACL(doc *s3.AccessControlPolicy) error {
	if doc.Owner == nil || doc.Owner.ID != owner(f.account).ID || len(doc.Grants) != 1 {
		return noACLs()
	}
	g, want := doc.Grants[0], ownersACL(f.account)[0]
	if g.Grantee == nil || g.Permission != want.Permission || g.Grantee.Type != want.Grantee.Type || g.Grantee.ID != want.Grantee.ID ||
		g.Grantee.URI != "" || g.Grantee.EmailAddress != "" {
		return noACLs()
	}
	return nil
}

func noACLs() *api.Error {
	return fail(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")
}

// checkNewACL takes a change of an ACL that changes nothing.
func (f *found) checkNewACL(canned string, doc *s3.AccessControlPolicy) error {
	switch {
	case canned == "" && doc == nil:
		return fail(400, "MissingSecurityHeader", "Your request was missing a required header")
	case canned != "" && doc != nil:
		return fail(400, "UnexpectedContent", "This request does not support content")
	case doc != nil:
		return f.sameACL(doc)
	}
	return checkACL(canned)
}

func (s *Service) readBucketACL(_ context.Context, c *api.Call, in *s3.GetBucketAclInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketAcl", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getBucketACL(_ context.Context, _ *api.Call, _ *s3.GetBucketAclInput, f *found) (*s3.GetBucketAclOutput, error) {
	return &s3.GetBucketAclOutput{Owner: owner(f.account), Grants: ownersACL(f.account)}, nil
}

func (s *Service) replacedBucketACL(_ context.Context, c *api.Call, in *s3.PutBucketAclInput) (*found, []api.Demand, error) {
	f, demands, err := s.on(c, "PutBucketAcl", in.Bucket, in.ExpectedBucketOwner)
	if err == nil && in.ACL != "" {
		demands[0].Keys.Set("s3:x-amz-acl", string(in.ACL))
	}
	return f, demands, err
}

func (s *Service) putBucketACL(_ context.Context, _ *api.Call, in *s3.PutBucketAclInput, f *found) (api.Commit[s3.PutBucketAclOutput], error) {
	if err := f.checkNewACL(string(in.ACL), in.AccessControlPolicy); err != nil {
		return nil, err
	}
	return func(*store.Tx) (*s3.PutBucketAclOutput, error) { return &s3.PutBucketAclOutput{}, nil }, nil
}

func (s *Service) readObjectACL(ctx context.Context, c *api.Call, in *s3.GetObjectAclInput) (*place, []api.Demand, error) {
	return s.reading(ctx, c, "GetObjectAcl", in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
}

func (s *Service) getObjectACL(_ context.Context, _ *api.Call, _ *s3.GetObjectAclInput, p *place) (*s3.GetObjectAclOutput, error) {
	return &s3.GetObjectAclOutput{Owner: owner(p.account), Grants: ownersACL(p.account)}, nil
}

func (s *Service) replacedObjectACL(ctx context.Context, c *api.Call, in *s3.PutObjectAclInput) (*place, []api.Demand, error) {
	p, demands, err := s.reading(ctx, c, "PutObjectAcl", in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
	if err == nil && in.ACL != "" {
		demands[0].Keys.Set("s3:x-amz-acl", string(in.ACL))
	}
	return p, demands, err
}

func (s *Service) putObjectACL(_ context.Context, _ *api.Call, in *s3.PutObjectAclInput, p *place) (api.Commit[s3.PutObjectAclOutput], error) {
	if err := p.checkNewACL(string(in.ACL), in.AccessControlPolicy); err != nil {
		return nil, err
	}
	return func(*store.Tx) (*s3.PutObjectAclOutput, error) { return &s3.PutObjectAclOutput{}, nil }, nil
}
