package s3

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
)

// lockDemands checks what an upload says of its lock and demands what that needs.
func (s *Service) lockDemands(c *api.Call, p *place, demands []api.Demand, u *upload) ([]api.Demand, error) {
	if u.lockMode == "" && u.lockUntil.IsZero() && u.hold == "" {
		return demands, nil
	}
	if r := &demands[0].Resource; p.bucket != nil && !p.bucket.lock.Enabled && r.Missing == nil {
		r.Missing = unlockable() // nobody hears of the bucket who may not write to it
	}
	keys := demands[0].Keys
	if u.lockMode != "" || !u.lockUntil.IsZero() {
		if u.lockMode == "" || u.lockUntil.IsZero() {
			return nil, badArgument("x-amz-object-lock-mode", "", "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
		}
		if err := checkUntil(c.Now, u.lockUntil); err != nil {
			return nil, err
		}
		setRetention(keys, string(u.lockMode), c.Now, u.lockUntil)
		demands = append(demands, p.also("PutObjectRetention", keys))
	}
	if u.hold != "" {
		keys.Set("s3:object-lock-legal-hold", string(u.hold))
		demands = append(demands, p.also("PutObjectLegalHold", keys))
	}
	return demands, nil
}

// checkUntil refuses the end of a retention that is over, or that has no form in which
// it could be kept.
func checkUntil(now, until time.Time) error {
	const name = "x-amz-object-lock-retain-until-date"
	switch {
	case !until.After(now):
		return badArgument(name, "", "The retain until date must be in the future!")
	case until.UTC().Year() > 9999:
		return badArgument(name, "", "The retain until date must be provided in ISO 8601 format")
	}
	return nil
}

// checked refuses an upload of something that will be locked if nothing says what it
// must be: a mistake would be kept.
func (u *upload) checked(p *place, stated bool) error {
	if !stated && (u.lockMode != "" || u.hold != "" || p.bucket.lock.Mode != "") {
		return badRequest("Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
	}
	return nil
}

// may says whether the caller may do something more with the object.
func (p *place) may(ctx context.Context, c *api.Call, action string) (bool, error) {
	err := c.Allowed(ctx, p.also(action, p.keys()))
	if _, refused := errors.AsType[*api.Error](err); refused {
		return false, nil
	}
	return err == nil, err
}

func daysUntil(now, until time.Time) int { return int(until.Sub(now) / (24 * time.Hour)) }

// lock is what holds a new version: what its upload says, or the bucket's default.
func (u *upload) lock(b *bucket, now time.Time) lock {
	l := lock{Mode: s3.ObjectLockRetentionMode(u.lockMode), Until: u.lockUntil.UTC(), Hold: u.hold == s3.ObjectLockLegalHoldStatusOn}
	if u.lockUntil.IsZero() {
		l.Until = time.Time{}
	}
	if d := b.lock; l.Mode == "" && d.Mode != "" {
		l.Mode, l.Until = d.Mode, now.AddDate(int(d.Years), 0, int(d.Days)).UTC()
	}
	return l
}

// held says why a version may not be deleted or overwritten. bypass lifts a
// retention in governance mode, for callers who may.
func (o *object) held(now time.Time, bypass bool) error {
	switch l := o.lock; {
	case l.Hold, l.Until.After(now) && !(bypass && l.Mode == s3.ObjectLockRetentionModeGovernance):
		return protected()
	}
	return nil
}

func protected() *api.Error {
	return fail(403, "AccessDenied", "Access Denied because object protected by object lock.")
}
