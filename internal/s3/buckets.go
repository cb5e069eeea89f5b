package s3

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

func (s *Service) newBucket(_ context.Context, c *api.Call, in *s3.CreateBucketInput) (struct{}, []api.Demand, error) {
	none := struct{}{}
	if err := checkName(in.Bucket); err != nil {
		return none, nil, err
	}
	location := s3.BucketLocationConstraint("")
	if cfg := in.CreateBucketConfiguration; cfg != nil {
		location = cfg.LocationConstraint
	}
	// us-east-1 is the one region that is written as no constraint.
	if want := s.location(); location != want && !(want == "" && location == s3.BucketLocationConstraint(s.Region)) {
		if location == "" {
			return none, nil, fail(400, "IllegalLocationConstraintException", "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.")
		}
		return none, nil, fail(400, "IllegalLocationConstraintException", "The "+string(location)+" location constraint is incompatible for the region specific endpoint this request was sent to.")
	}
	if o := in.ObjectOwnership; o != "" && o != s3.ObjectOwnershipBucketOwnerEnforced {
		return none, nil, notServed("ObjectOwnership " + string(o))
	}
	if in.ACL != "" && in.ACL != s3.BucketCannedACLPrivate {
		return none, nil, fail(400, "InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
	}
	f, err := s.find(c, in.Bucket, "") // the commit depends on the name being free
	if err != nil {
		return none, nil, err
	}
	// The bucket that is asked for is the caller's, whoever has one of that name.
	d := api.Demand{
		Action:   "s3:CreateBucket",
		Resource: api.Resource{ARN: f.resource.ARN, Account: c.Account, Type: f.resource.Type},
		Keys:     (&found{signing: f.signing}).keys(),
	}
	if location != "" {
		d.Keys.Set("s3:locationconstraint", string(location))
	}
	d.Keys.Set("s3:ResourceAccount", c.Account)
	demands := []api.Demand{d}
	if locks(in) {
		for _, action := range []string{"s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning"} {
			demands = append(demands, api.Demand{Action: action, Resource: d.Resource, Keys: d.Keys})
		}
	}
	return none, demands, nil
}

// locks says whether a bucket's versions shall be lockable, for which it keeps them.
func locks(in *s3.CreateBucketInput) bool {
	return in.ObjectLockEnabledForBucket != nil && *in.ObjectLockEnabledForBucket
}

// location is the constraint that stands for our region.
func (s *Service) location() s3.BucketLocationConstraint {
	if s.Region == "us-east-1" {
		return ""
	}
	return s3.BucketLocationConstraint(s.Region)
}

// maxBuckets is how many an account may have.
const maxBuckets = 10_000

func (s *Service) createBucket(_ context.Context, c *api.Call, in *s3.CreateBucketInput, _ struct{}) (api.Commit[s3.CreateBucketOutput], error) {
	id := rand.Text()
	return func(tx *store.Tx) (*s3.CreateBucketOutput, error) {
		b, err := bucketRow(tx, in.Bucket)
		if err != nil {
			return nil, err
		}
		if b != nil {
			e := fail(409, "BucketAlreadyExists", "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.")
			if b.account == c.Account {
				e = fail(409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
			}
			e.Fields = map[string]string{"BucketName": in.Bucket}
			return nil, e
		}
		var has int
		if err := tx.QueryRow("SELECT COUNT(*) FROM s3_buckets WHERE account = ?", c.Account).Scan(&has); err != nil {
			return nil, err
		}
		if has >= maxBuckets {
			return nil, fail(400, "TooManyBuckets", "You have attempted to create more buckets than allowed")
		}
		if _, err := tx.Exec(`INSERT INTO s3_buckets (name, id, account, created, policy, kms_key, block)
			VALUES (?, ?, ?, ?, '', '', ?)`, in.Bucket, id, c.Account, c.Now.UnixMicro(), int64(blockAll)); err != nil {
			return nil, err
		}
		if locks(in) {
			if err := errors.Join(
				setBucket(tx, in.Bucket, "versioning", string(s3.BucketVersioningStatusEnabled)),
				setBucket(tx, in.Bucket, "lock", lockDefaults{Enabled: true}.text()),
			); err != nil {
				return nil, err
			}
		}
		return &s3.CreateBucketOutput{Location: "/" + in.Bucket, BucketArn: bucketARN(in.Bucket)}, tx.Touch(versionKey(in.Bucket))
	}, nil
}

func (s *Service) deletedBucket(_ context.Context, c *api.Call, in *s3.DeleteBucketInput) (*found, []api.Demand, error) {
	return s.on(c, "DeleteBucket", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) deleteBucket(ctx context.Context, _ *api.Call, in *s3.DeleteBucketInput, _ *found) (api.Commit[s3.DeleteBucketOutput], error) {
	return func(tx *store.Tx) (*s3.DeleteBucketOutput, error) {
		var etag string
		err := tx.QueryRow("SELECT etag FROM s3_objects WHERE bucket = ? LIMIT 1", in.Bucket).Scan(&etag)
		if err == nil {
			e := fail(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
			e.Fields = map[string]string{"BucketName": in.Bucket}
			return nil, e
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		if err := tx.QueryRow("SELECT version FROM s3_versions WHERE bucket = ? LIMIT 1", in.Bucket).Scan(&etag); err == nil {
			e := fail(409, "BucketNotEmpty", "The bucket you tried to delete is not empty. You must delete all versions in the bucket.")
			e.Fields = map[string]string{"BucketName": in.Bucket}
			return nil, e
		} else if !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		if err := s.dropUploads(ctx, tx, in.Bucket); err != nil {
			return nil, err
		}
		if _, err := tx.Exec("DELETE FROM s3_buckets WHERE name = ?", in.Bucket); err != nil {
			return nil, err
		}
		return &s3.DeleteBucketOutput{}, tx.Touch(versionKey(in.Bucket))
	}, nil
}

func (s *Service) headedBucket(_ context.Context, c *api.Call, in *s3.HeadBucketInput) (*found, []api.Demand, error) {
	return s.on(c, "ListBucket", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) headBucket(_ context.Context, _ *api.Call, in *s3.HeadBucketInput, _ *found) (*s3.HeadBucketOutput, error) {
	return &s3.HeadBucketOutput{BucketArn: bucketARN(in.Bucket), BucketRegion: s.Region}, nil
}

func (s *Service) locatedBucket(_ context.Context, c *api.Call, in *s3.GetBucketLocationInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketLocation", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getBucketLocation(context.Context, *api.Call, *s3.GetBucketLocationInput, *found) (*s3.GetBucketLocationOutput, error) {
	return &s3.GetBucketLocationOutput{LocationConstraint: s.location()}, nil
}

func (s *Service) listingBuckets(context.Context, *api.Call, *s3.ListBucketsInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("s3:ListAllMyBuckets", api.Any), nil
}

func (s *Service) listBuckets(_ context.Context, c *api.Call, in *s3.ListBucketsInput, _ struct{}) (*s3.ListBucketsOutput, error) {
	limit := 10000
	if in.MaxBuckets != nil {
		limit = int(*in.MaxBuckets)
	}
	if limit < 1 || limit > 10000 {
		return nil, badArgument("max-buckets", "", "max-buckets must be between 1 and 10000")
	}
	after, err := base64.RawURLEncoding.DecodeString(in.ContinuationToken)
	if err != nil || len(after) > 0 && !plainName(string(after)) {
		return nil, badArgument("continuation-token", in.ContinuationToken, "The continuation token provided is incorrect")
	}
	out := &s3.ListBucketsOutput{Owner: owner(c.Account), Prefix: in.Prefix}
	if in.BucketRegion != "" && in.BucketRegion != s.Region {
		return out, nil
	}
	if in.Prefix != "" && !plainName(in.Prefix) {
		return out, nil
	}
	rows, err := c.Snapshot.Query(`SELECT name, created FROM s3_buckets
		WHERE account = ? AND name > ? AND name >= ? ORDER BY name LIMIT ?`,
		c.Account, string(after), in.Prefix, limit+1)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var created int64
		if err := rows.Scan(&name, &created); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(name, in.Prefix) {
			break
		}
		if len(out.Buckets) == limit {
			last := out.Buckets[limit-1].Name
			out.ContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(last))
			break
		}
		out.Buckets = append(out.Buckets, s3.Bucket{
			Name: name, CreationDate: time.UnixMicro(created).UTC(), BucketRegion: s.Region, BucketArn: bucketARN(name),
		})
	}
	return out, rows.Err()
}
