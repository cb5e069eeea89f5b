package cloudtrail

import (
	"context"
	"crypto/rand"
	"regexp"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
)

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixText = regexp.MustCompile(`^[A-Za-z0-9!_.*'()/-]*$`)
)

// check says what is wrong with what a trail is to be.
func (t *settings) check(c *api.Call) error {
	switch {
	case !bucketName.MatchString(t.bucket):
		return fail("InvalidS3BucketNameException", "Bucket name is invalid: %s", t.bucket)
	case len(t.prefix) > 200 || !prefixText.MatchString(t.prefix) || strings.HasPrefix(t.prefix, "/") || strings.HasSuffix(t.prefix, "/"):
		return fail("InvalidS3PrefixException", "S3 prefix is not valid: at most 200 letters, digits and !_.*'()/-, without a slash at its ends.")
	case t.organization && !c.Organization().Management:
		return fail("NotOrganizationMasterAccountException", "Only the management account of an organization can have a trail of the organization.")
	}
	chosen, err := parseChoice(t.choice)
	if err == nil && t.multiRegion && !chosen.Global {
		err = fail("InvalidParameterCombinationException", "Multi-Region trail must include global service events.")
	}
	return err
}

func (s *Service) newTrail(_ context.Context, c *api.Call, in *shape.CreateTrailInput) (*found, []api.Demand, error) {
	if strings.HasPrefix(in.Name, "arn:") {
		return nil, nil, badName("Trail name must not be an ARN.")
	}
	f, err := s.find(c, in.Name, false)
	if err != nil {
		return nil, nil, err
	}
	f.resource.Missing, f.resource.Tags = nil, nil
	demands := api.On("cloudtrail:CreateTrail", f.resource)
	if len(in.TagsList) > 0 {
		keys, err := tagKeys(in.TagsList, true)
		if err != nil {
			return nil, nil, err
		}
		demands[0].Keys = keys
		demands = append(demands, api.Demand{Action: "cloudtrail:AddTags", Resource: f.resource, Keys: keys})
	}
	return f, demands, nil
}

func (s *Service) createTrail(ctx context.Context, c *api.Call, in *shape.CreateTrailInput, f *found) (api.Commit[shape.CreateTrailOutput], error) {
	if f.row != nil {
		return nil, fail("TrailAlreadyExistsException", "Trail %s already exists for customer: %s", in.Name, c.Account)
	}
	global := in.IncludeGlobalServiceEvents == nil || *in.IncludeGlobalServiceEvents
	t := &row{id: strings.ToLower(rand.Text()), account: c.Account, name: in.Name, settings: settings{
		bucket: in.S3BucketName, prefix: in.S3KeyPrefix, multiRegion: is(in.IsMultiRegionTrail),
		validation: is(in.EnableLogFileValidation), organization: is(in.IsOrganizationTrail), choice: usual(global).text(),
	}}
	err := t.check(c)
	if err == nil {
		err = s.admit(ctx, c, t, in.KmsKeyId)
	}
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateTrailOutput, error) {
		n, err := count(tx, "SELECT COUNT(*) FROM cloudtrail_trails WHERE account = ?", t.account)
		if err != nil {
			return nil, err
		}
		if n >= maxTrails {
			return nil, fail("MaximumNumberOfTrailsExceededException", "User: %s already has %d trails in %s.", t.account, n, s.Region)
		}
		if n, err = count(tx, "SELECT COUNT(*) FROM cloudtrail_trails WHERE account = ? AND name = ?", t.account, t.name); err != nil {
			return nil, err
		} else if n > 0 {
			return nil, api.ErrAgain
		}
		if err := insertTrail(tx, t); err != nil {
			return nil, err
		}
		if err := putTags(tx, t.id, tagMap(in.TagsList)); err != nil {
			return nil, err
		}
		if err := tx.Touch(versionKey(t.account, t.name), listKey); err != nil {
			return nil, err
		}
		p := s.present(t)
		return &shape.CreateTrailOutput{
			IncludeGlobalServiceEvents: p.IncludeGlobalServiceEvents, IsMultiRegionTrail: p.IsMultiRegionTrail, IsOrganizationTrail: p.IsOrganizationTrail,
			KmsKeyId: p.KmsKeyId, LogFileValidationEnabled: p.LogFileValidationEnabled, Name: p.Name, S3BucketName: p.S3BucketName,
			S3KeyPrefix: p.S3KeyPrefix, TrailARN: p.TrailARN,
		}, nil
	}, nil
}

func is(b *bool) bool { return b != nil && *b }

// present is a trail as answers show it.
func (s *Service) present(t *row) shape.Trail {
	chosen, err := parseChoice(t.choice)
	custom, none := err != nil || chosen.custom(), false
	return shape.Trail{
		HasCustomEventSelectors: &custom, HasInsightSelectors: &none, HomeRegion: s.Region, IncludeGlobalServiceEvents: &chosen.Global,
		IsMultiRegionTrail: &t.multiRegion, IsOrganizationTrail: &t.organization, KmsKeyId: t.kmsKey, LogFileValidationEnabled: &t.validation,
		Name: t.name, S3BucketName: t.bucket, S3KeyPrefix: t.prefix, TrailARN: s.arn(t.account, t.name),
	}
}
