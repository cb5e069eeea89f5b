package s3

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"time"

	"bawn.dev/internal/shape/s3"
)

// A verdict is when a rule ends something.
type verdict struct {
	at   time.Time // zero: never
	rule string
}

func (v verdict) due(now time.Time) bool { return !v.at.IsZero() && !now.Before(v.at) }

// sooner is the earlier of two verdicts.
func (v verdict) sooner(at time.Time, rule string) verdict {
	if v.at.IsZero() || at.Before(v.at) {
		return verdict{at, rule}
	}
	return v
}

// after counts days as S3 does: to the midnight that follows them.
func daysAfter(t time.Time, days int32) time.Time {
	end := t.UTC().AddDate(0, 0, int(days))
	if midnight := end.Truncate(24 * time.Hour); !midnight.Equal(end) {
		return midnight.Add(24 * time.Hour)
	}
	return end
}

// A lifecycle is a bucket's rules.
type lifecycle []s3.LifecycleRule

// each goes over the rules in force that are about a version of a key.
func (l lifecycle) each(key string, o *object, visit func(r *s3.LifecycleRule)) {
	for i := range l {
		if r := &l[i]; r.Status == s3.ExpirationStatusEnabled && scopeOf(r).covers(key, o) {
			visit(r)
		}
	}
}

// has says whether a rule in force is of a kind.
func (l lifecycle) has(kind func(*s3.LifecycleRule) bool) bool {
	return slices.ContainsFunc(l, func(r s3.LifecycleRule) bool { return r.Status == s3.ExpirationStatusEnabled && kind(&r) })
}

// mayEnd says whether a version may be due that is not in s3_objects, without looking
// at those around it: it cannot be hidden for longer than it exists.
func (l lifecycle) mayEnd(key string, o *object, now time.Time) bool {
	return l.hidden(key, o, o.modified, math.MaxInt).due(now) || o.marker && l.orphan(key, o).due(now)
}

// current says when the newest version of a key expires.
func (l lifecycle) current(key string, o *object) (v verdict) {
	l.each(key, o, func(r *s3.LifecycleRule) {
		switch e := r.Expiration; {
		case e == nil:
		case e.Days != nil:
			v = v.sooner(daysAfter(o.modified, *e.Days), r.ID)
		case !e.Date.IsZero():
			v = v.sooner(e.Date, r.ID)
		}
	})
	return v
}

// orphan says when a delete marker goes behind which nothing is left.
func (l lifecycle) orphan(key string, o *object) (v verdict) {
	l.each(key, o, func(r *s3.LifecycleRule) {
		if e := r.Expiration; e != nil && e.ExpiredObjectDeleteMarker != nil && *e.ExpiredObjectDeleteMarker {
			v = v.sooner(o.modified, r.ID)
		}
	})
	if also := l.current(key, o); !also.at.IsZero() {
		v = v.sooner(also.at, also.rule)
	}
	return v
}

// hidden says when a version goes that a newer one has hidden since a time, and newer
// hidden ones follow.
func (l lifecycle) hidden(key string, o *object, since time.Time, newer int) (v verdict) {
	l.each(key, o, func(r *s3.LifecycleRule) {
		e := r.NoncurrentVersionExpiration
		if e == nil || e.NewerNoncurrentVersions != nil && newer < int(*e.NewerNoncurrentVersions) {
			return
		}
		v = v.sooner(daysAfter(since, *e.NoncurrentDays), r.ID)
	})
	return v
}

// upload says when an upload is aborted that is not completed by then.
func (l lifecycle) upload(key string, started time.Time) (v verdict) {
	l.each(key, &object{}, func(r *s3.LifecycleRule) {
		if a := r.AbortIncompleteMultipartUpload; a != nil {
			v = v.sooner(daysAfter(started, *a.DaysAfterInitiation), r.ID)
		}
	})
	return v
}

// ending is expiry of what a read that asked for no version found.
func (p *place) ending(version string) string {
	if version != "" {
		return ""
	}
	return p.expiry(p.object)
}

// expiry is what answers about the newest version of an object say of its end.
func (p *place) expiry(o *object) string {
	v := p.rules.current(p.key, o)
	if v.at.IsZero() {
		return ""
	}
	return fmt.Sprintf(`expiry-date="%s", rule-id="%s"`, httpDate(v.at), url.QueryEscape(v.rule))
}
