package s3

import (
	"strconv"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
)

// lockDemands checks what an upload says of its lock and demands what that needs.
func (s *Service) lockDemands(c *api.Call, p *place, demands []api.Demand, u *upload) ([]api.Demand, error) {
	if u.lockMode == "" && u.lockUntil.IsZero() && u.hold == "" {
		return demands, nil
	}
	if p.bucket != nil && !p.bucket.lock.Enabled {
		return nil, badRequest("Bucket is missing Object Lock Configuration")
	}
	keys := demands[0].Keys
	if u.lockMode != "" || !u.lockUntil.IsZero() {
		if u.lockMode == "" || u.lockUntil.IsZero() {
			return nil, badArgument("x-amz-object-lock-mode", "", "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
		}
		if !u.lockUntil.After(c.Now) {
			return nil, badArgument("x-amz-object-lock-retain-until-date", "", "The retain until date must be in the future!")
		}
		keys.Set("s3:object-lock-mode", string(u.lockMode))
		keys.Set("s3:object-lock-retain-until-date", u.lockUntil.UTC().Format(time.RFC3339))
		keys.Set("s3:object-lock-remaining-retention-days", strconv.Itoa(daysUntil(c.Now, u.lockUntil)))
		demands = append(demands, p.also("PutObjectRetention", keys))
	}
	if u.hold != "" {
		keys.Set("s3:object-lock-legal-hold", string(u.hold))
		demands = append(demands, p.also("PutObjectLegalHold", keys))
	}
	return demands, nil
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
		return fail(403, "AccessDenied", "Access Denied because object protected by object lock.")
	}
	return nil
}
