package s3

import (
	"context"
	"maps"
	"strconv"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

func (s *Service) retainedObject(ctx context.Context, c *api.Call, in *s3.GetObjectRetentionInput) (*place, []api.Demand, error) {
	return s.existing(ctx, c, "GetObjectRetention", in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
}

func (s *Service) getObjectRetention(_ context.Context, _ *api.Call, _ *s3.GetObjectRetentionInput, p *place) (*s3.GetObjectRetentionOutput, error) {
	if !p.bucket.lock.Enabled {
		return nil, unlockable()
	}
	l := p.object.lock
	if l.Mode == "" {
		return nil, noLock()
	}
	return &s3.GetObjectRetentionOutput{Retention: &s3.ObjectLockRetention{Mode: l.Mode, RetainUntilDate: l.Until}}, nil
}

func unlockable() *api.Error { return badRequest("Bucket is missing Object Lock Configuration") }

func noLock() *api.Error {
	return fail(404, "NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration")
}

func (s *Service) retainingObject(ctx context.Context, c *api.Call, in *s3.PutObjectRetentionInput) (*place, []api.Demand, error) {
	p, demands, err := s.existing(ctx, c, "PutObjectRetention", in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
	if err != nil {
		return nil, nil, err
	}
	if r := in.Retention; r != nil && r.Mode != "" && !r.RetainUntilDate.IsZero() {
		setRetention(demands[0].Keys, string(r.Mode), c.Now, r.RetainUntilDate)
	}
	if given(in.BypassGovernanceRetention) {
		bypass := demands[0]
		bypass.Action = "s3:BypassGovernanceRetention"
		demands = append(demands, bypass)
	}
	return p, demands, nil
}

// setRetention are the condition keys of a retention that is asked for.
func setRetention(keys policy.Context, mode string, now, until time.Time) {
	keys.Set("s3:object-lock-mode", mode)
	keys.Set("s3:object-lock-retain-until-date", until.UTC().Format(time.RFC3339))
	keys.Set("s3:object-lock-remaining-retention-days", strconv.Itoa(daysUntil(now, until)))
}

// putObjectRetention changes until when a version is held. An empty retention takes
// it off.
func (s *Service) putObjectRetention(ctx context.Context, c *api.Call, in *s3.PutObjectRetentionInput, p *place) (api.Commit[s3.PutObjectRetentionOutput], error) {
	next := lock{}
	if r := in.Retention; r != nil {
		next.Mode, next.Until = r.Mode, r.RetainUntilDate
	}
	switch {
	case !p.bucket.lock.Enabled:
		return nil, unlockable()
	case in.Retention == nil, (next.Mode == "") != next.Until.IsZero():
		return nil, malformedXML()
	}
	if next.Mode != "" {
		if err := checkUntil(c.Now, next.Until); err != nil {
			return nil, err
		}
	}
	return func(tx *store.Tx) (*s3.PutObjectRetentionOutput, error) {
		return &s3.PutObjectRetentionOutput{}, s.relock(ctx, tx, p, in.VersionId, func(l *lock) error {
			if !l.yields(next, c.Now, given(in.BypassGovernanceRetention)) {
				return protected()
			}
			l.Mode, l.Until = next.Mode, next.Until
			if !l.Until.IsZero() {
				l.Until = l.Until.UTC()
			}
			return nil
		})
	}, nil
}

// yields says whether a retention may become another. While it lasts, it may be
// extended; only in governance mode, and by who may bypass that, can it be shortened,
// taken off or become one of the other mode.
func (l lock) yields(next lock, now time.Time, bypass bool) bool {
	return !l.Until.After(now) || next.Mode == l.Mode && !next.Until.Before(l.Until) ||
		bypass && l.Mode == s3.ObjectLockRetentionModeGovernance
}

func (s *Service) heldObject(ctx context.Context, c *api.Call, in *s3.GetObjectLegalHoldInput) (*place, []api.Demand, error) {
	return s.existing(ctx, c, "GetObjectLegalHold", in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
}

func (s *Service) getObjectLegalHold(_ context.Context, _ *api.Call, _ *s3.GetObjectLegalHoldInput, p *place) (*s3.GetObjectLegalHoldOutput, error) {
	if !p.bucket.lock.Enabled {
		return nil, unlockable()
	}
	hold := p.object.lock.holdStatus()
	if hold == "" {
		return nil, noLock()
	}
	return &s3.GetObjectLegalHoldOutput{LegalHold: &s3.ObjectLockLegalHold{Status: hold}}, nil
}

func (l lock) holdStatus() s3.ObjectLockLegalHoldStatus {
	switch {
	case l.Hold:
		return s3.ObjectLockLegalHoldStatusOn
	case l.Freed:
		return s3.ObjectLockLegalHoldStatusOff
	}
	return ""
}

func (s *Service) holdingObject(ctx context.Context, c *api.Call, in *s3.PutObjectLegalHoldInput) (*place, []api.Demand, error) {
	p, demands, err := s.existing(ctx, c, "PutObjectLegalHold", in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
	if err == nil && in.LegalHold != nil && in.LegalHold.Status != "" {
		demands[0].Keys.Set("s3:object-lock-legal-hold", string(in.LegalHold.Status))
	}
	return p, demands, err
}

func (s *Service) putObjectLegalHold(ctx context.Context, _ *api.Call, in *s3.PutObjectLegalHoldInput, p *place) (api.Commit[s3.PutObjectLegalHoldOutput], error) {
	switch {
	case !p.bucket.lock.Enabled:
		return nil, unlockable()
	case in.LegalHold == nil || in.LegalHold.Status == "":
		return nil, malformedXML()
	}
	on := in.LegalHold.Status == s3.ObjectLockLegalHoldStatusOn
	return func(tx *store.Tx) (*s3.PutObjectLegalHoldOutput, error) {
		return &s3.PutObjectLegalHoldOutput{}, s.relock(ctx, tx, p, in.VersionId, func(l *lock) error {
			l.Hold, l.Freed = on, !on
			return nil
		})
	}, nil
}

// relock changes what holds a version, or the newest one. If that is gone meanwhile
// the call is decided again.
func (s *Service) relock(ctx context.Context, tx *store.Tx, p *place, version string, change func(*lock) error) error {
	l, err := s.slot(ctx, tx, p.name, p.id, p.key)
	if err != nil {
		return err
	}
	if version == "" {
		version = p.object.version
	}
	o, err := versionRow(tx, p.name, p.key, version)
	if err != nil {
		return err
	}
	if o == nil || o.marker || o.seq != p.object.seq || !maps.Equal(o.tags, p.object.tags) { // which the decision saw
		return api.ErrAgain
	}
	if err := change(&o.lock); err != nil {
		return err
	}
	return l.keepLock(o)
}

// keepLock stores what holds a version.
func (l *slot) keepLock(o *object) error {
	now, err := l.now()
	if err != nil {
		return err
	}
	table := "s3_versions"
	if now != nil && now.seq == o.seq {
		table = "s3_objects"
	}
	_, err = l.tx.Exec("UPDATE "+table+" SET lock = ? WHERE bucket = ? AND key = ? AND seq = ?", o.lock.text(), l.bucket.name, []byte(l.key), o.seq)
	return err
}

// shownLock is what an answer about a version says of its lock, to those who may ask
// for it.
func (s *Service) shownLock(ctx context.Context, c *api.Call, p *place) (lock, error) {
	l := p.object.lock
	if l.Mode != "" {
		if may, err := p.may(ctx, c, "GetObjectRetention"); err != nil {
			return lock{}, err
		} else if !may {
			l.Mode, l.Until = "", time.Time{}
		}
	}
	if l.holdStatus() != "" {
		if may, err := p.may(ctx, c, "GetObjectLegalHold"); err != nil {
			return lock{}, err
		} else if !may {
			l.Hold, l.Freed = false, false
		}
	}
	return l, nil
}
