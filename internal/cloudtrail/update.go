package cloudtrail

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
)

func (s *Service) updatedTrail(_ context.Context, c *api.Call, in *shape.UpdateTrailInput) (*found, []api.Demand, error) {
	return s.on(c, "UpdateTrail", in.Name, false)
}

func (s *Service) updateTrail(ctx context.Context, c *api.Call, in *shape.UpdateTrailInput, f *found) (api.Commit[shape.UpdateTrailOutput], error) {
	t := *f.row
	chosen, err := parseChoice(t.choice)
	if err != nil {
		return nil, err
	}
	key := t.kmsKey
	for _, m := range []struct{ given, into *string }{{in.S3BucketName, &t.bucket}, {in.S3KeyPrefix, &t.prefix}, {in.KmsKeyId, &key}} {
		if m.given != nil {
			*m.into = *m.given
		}
	}
	for _, m := range []struct {
		given *bool
		into  *bool
	}{
		{in.IsMultiRegionTrail, &t.multiRegion}, {in.EnableLogFileValidation, &t.validation},
		{in.IsOrganizationTrail, &t.organization}, {in.IncludeGlobalServiceEvents, &chosen.Global},
	} {
		if m.given != nil {
			*m.into = *m.given
		}
	}
	t.choice = chosen.text()
	if err := t.check(c); err != nil {
		return nil, err
	}
	t.kmsKey = ""
	if err := s.admit(ctx, c, &t, key); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.UpdateTrailOutput, error) {
		if err := s.change(tx, c, f.row, &t); err != nil {
			return nil, err
		}
		p := s.present(&t)
		return &shape.UpdateTrailOutput{
			IncludeGlobalServiceEvents: p.IncludeGlobalServiceEvents, IsMultiRegionTrail: p.IsMultiRegionTrail, IsOrganizationTrail: p.IsOrganizationTrail,
			KmsKeyId: p.KmsKeyId, LogFileValidationEnabled: p.LogFileValidationEnabled, Name: p.Name, S3BucketName: p.S3BucketName,
			S3KeyPrefix: p.S3KeyPrefix, TrailARN: p.TrailARN,
		}, tx.Touch(versionKey(t.account, t.name), listKey)
	}, nil
}

// change makes a trail what it is to be. Where it delivers holds for all that it has
// not delivered yet; what it selects, for what comes after this call. Whether it signs
// and for whom it logs begins another run: another chain of digests.
func (s *Service) change(tx *store.Tx, c *api.Call, old, t *row) error {
	_, err := tx.Exec(`UPDATE cloudtrail_trails SET bucket = ?, prefix = ?, kms_key = ?, multi_region = ?, validation = ?, organization = ?, choice = ?
		WHERE id = ?`, t.bucket, t.prefix, t.kmsKey, t.multiRegion, t.validation, t.organization, t.choice, t.id)
	if err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE cloudtrail_runs SET bucket = ?, prefix = ?, kms_key = ? WHERE trail = ?", t.bucket, t.prefix, t.kmsKey, t.id)
	if err != nil || old.run == "" {
		return err
	}
	if old.validation != t.validation || old.organization != t.organization {
		if err := s.end(tx, c, old); err != nil {
			return err
		}
		return s.begin(tx, c, t, c.RequestID)
	}
	if old.choice != t.choice {
		return turn(tx, c, old.run, t.choice)
	}
	return nil
}

func (s *Service) deletedTrail(_ context.Context, c *api.Call, in *shape.DeleteTrailInput) (*found, []api.Demand, error) {
	return s.on(c, "DeleteTrail", in.Name, false)
}

// deleteTrail ends a trail. What it selected up to here is still delivered.
func (s *Service) deleteTrail(_ context.Context, c *api.Call, _ *shape.DeleteTrailInput, f *found) (api.Commit[shape.DeleteTrailOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteTrailOutput, error) {
		if f.run != "" {
			if err := s.end(tx, c, f.row); err != nil {
				return nil, err
			}
		}
		if _, err := tx.Exec("UPDATE cloudtrail_runs SET orphaned = ? WHERE trail = ?", c.Now.UnixMicro(), f.id); err != nil {
			return nil, err
		}
		for _, statement := range []string{"DELETE FROM cloudtrail_tags WHERE trail = ?", "DELETE FROM cloudtrail_trails WHERE id = ?"} {
			if _, err := tx.Exec(statement, f.id); err != nil {
				return nil, err
			}
		}
		return &shape.DeleteTrailOutput{}, tx.Touch(versionKey(f.account, f.name), listKey)
	}, nil
}
