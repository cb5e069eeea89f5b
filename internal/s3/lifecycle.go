package s3

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

const maxRules = 1000

// A lifecycleSetting is how the store keeps rules.
type lifecycleSetting struct {
	Rules []s3.LifecycleRule
	// Minimum is from which size transitions count. There are none; it is what clients
	// that put it expect to read.
	Minimum s3.TransitionDefaultMinimumObjectSize
}

// checkLifecycle applies S3's rules for rules, and names those without a name.
func checkLifecycle(rules []s3.LifecycleRule) error {
	if len(rules) == 0 || len(rules) > maxRules {
		return malformedXML()
	}
	names := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		if r.ID == "" {
			r.ID = rand.Text()
		}
		if len(r.ID) > 255 {
			return badArgument("ID", r.ID, "ID length should not exceed allowed limit of 255")
		}
		if names[r.ID] {
			return badArgument("ID", r.ID, "Rule ID must be unique. Found same ID for more than one rule")
		}
		names[r.ID] = true
		if err := checkFilter(r); err != nil {
			return err
		}
		if err := checkActions(r); err != nil {
			return err
		}
	}
	return nil
}

// checkFilter wants one condition, or several under And.
func checkFilter(r *s3.LifecycleRule) error {
	f := r.Filter
	if len(r.Prefix) > maxKey {
		return malformedXML()
	}
	if f == nil {
		return nil
	}
	n := 0
	for _, has := range []bool{f.Prefix != "", f.Tag != nil, f.ObjectSizeGreaterThan != nil, f.ObjectSizeLessThan != nil, f.And != nil} {
		if has {
			n++
		}
	}
	if n > 1 || r.Prefix != "" || len(f.Prefix) > maxKey {
		return malformedXML()
	}
	s := scopeOf(r)
	if a := f.And; a != nil {
		if len(a.Tags) == 0 && (a.ObjectSizeGreaterThan == nil || a.ObjectSizeLessThan == nil) && (a.Prefix == "" || a.ObjectSizeGreaterThan == nil && a.ObjectSizeLessThan == nil) ||
			len(a.Prefix) > maxKey {
			return malformedXML()
		}
		if _, err := tagsOf(a.Tags, maxObjectTags); err != nil {
			return err
		}
	}
	if f.Tag != nil {
		if _, err := tagsOf([]s3.Tag{*f.Tag}, maxObjectTags); err != nil {
			return err
		}
	}
	if s.above != nil && *s.above < 0 || s.below != nil && *s.below < 1 {
		return badRequest("'ObjectSizeGreaterThan' and 'ObjectSizeLessThan' must be sizes")
	}
	if s.above != nil && s.below != nil && *s.above >= *s.below {
		return badRequest("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'")
	}
	return nil
}

func checkActions(r *s3.LifecycleRule) error {
	s := scopeOf(r)
	whole := len(s.tags) == 0 && s.above == nil && s.below == nil
	if r.Expiration == nil && r.NoncurrentVersionExpiration == nil && r.AbortIncompleteMultipartUpload == nil {
		return badRequest("At least one action needs to be specified in a rule")
	}
	if e := r.Expiration; e != nil {
		n := 0
		for _, has := range []bool{e.Days != nil, !e.Date.IsZero(), e.ExpiredObjectDeleteMarker != nil} {
			if has {
				n++
			}
		}
		switch {
		case n != 1:
			return malformedXML()
		case e.Days != nil && *e.Days < 1:
			return badArgument("Days", "", "'Days' for Expiration action must be a positive integer")
		case !e.Date.IsZero() && !e.Date.Equal(e.Date.UTC().Truncate(24*time.Hour)):
			return badArgument("Date", "", "'Date' must be at midnight GMT")
		case e.ExpiredObjectDeleteMarker != nil && !whole:
			return badRequest("ExpiredObjectDeleteMarker cannot be specified with Tags or object sizes.")
		}
	}
	if e := r.NoncurrentVersionExpiration; e != nil {
		switch n := e.NewerNoncurrentVersions; {
		case e.NoncurrentDays == nil:
			return malformedXML()
		case *e.NoncurrentDays < 1:
			return badArgument("NoncurrentDays", "", "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer")
		case n != nil && (*n < 1 || *n > 100):
			return badArgument("NewerNoncurrentVersions", "", "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be a positive integer of at most 100")
		case n != nil && r.Filter == nil:
			return badRequest("NewerNoncurrentVersions needs a rule with a Filter")
		}
	}
	if a := r.AbortIncompleteMultipartUpload; a != nil {
		switch {
		case a.DaysAfterInitiation == nil || *a.DaysAfterInitiation < 1:
			return badArgument("DaysAfterInitiation", "", "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer")
		case !whole:
			return badRequest("AbortIncompleteMultipartUpload cannot be specified with Tags or object sizes.")
		}
	}
	return nil
}

func (s *Service) readLifecycle(_ context.Context, c *api.Call, in *s3.GetBucketLifecycleConfigurationInput) (*found, []api.Demand, error) {
	return s.on(c, "GetLifecycleConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getLifecycle(_ context.Context, _ *api.Call, _ *s3.GetBucketLifecycleConfigurationInput, f *found) (*s3.GetBucketLifecycleConfigurationOutput, error) {
	if len(f.rules) == 0 {
		return nil, f.none("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
	}
	return &s3.GetBucketLifecycleConfigurationOutput{Rules: f.rules, TransitionDefaultMinimumObjectSize: f.minimum}, nil
}

func (s *Service) replacedLifecycle(_ context.Context, c *api.Call, in *s3.PutBucketLifecycleConfigurationInput) (*found, []api.Demand, error) {
	return s.on(c, "PutLifecycleConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) putLifecycle(_ context.Context, _ *api.Call, in *s3.PutBucketLifecycleConfigurationInput, _ *found) (api.Commit[s3.PutBucketLifecycleConfigurationOutput], error) {
	if in.LifecycleConfiguration == nil {
		return nil, malformedXML()
	}
	rules := in.LifecycleConfiguration.Rules
	if err := checkLifecycle(rules); err != nil {
		return nil, err
	}
	l := lifecycleSetting{rules, in.TransitionDefaultMinimumObjectSize}
	if l.Minimum == "" {
		l.Minimum = s3.TransitionDefaultMinimumObjectSizeAllStorageClasses128K
	}
	return func(tx *store.Tx) (*s3.PutBucketLifecycleConfigurationOutput, error) {
		return &s3.PutBucketLifecycleConfigurationOutput{TransitionDefaultMinimumObjectSize: l.Minimum}, setBucket(tx, in.Bucket, "lifecycle", settingText(l, false))
	}, nil
}

func (s *Service) droppedLifecycle(_ context.Context, c *api.Call, in *s3.DeleteBucketLifecycleInput) (*found, []api.Demand, error) {
	return s.on(c, "PutLifecycleConfiguration", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) deleteLifecycle(_ context.Context, _ *api.Call, in *s3.DeleteBucketLifecycleInput, _ *found) (api.Commit[s3.DeleteBucketLifecycleOutput], error) {
	return func(tx *store.Tx) (*s3.DeleteBucketLifecycleOutput, error) {
		return &s3.DeleteBucketLifecycleOutput{}, setBucket(tx, in.Bucket, "lifecycle", "")
	}, nil
}

// A scope is which objects a rule is about.
type scope struct {
	prefix       string
	tags         []s3.Tag
	above, below *int64 // bytes; nil: any
}

func scopeOf(r *s3.LifecycleRule) scope {
	s := scope{prefix: r.Prefix}
	if f := r.Filter; f != nil {
		s.prefix, s.above, s.below = f.Prefix, f.ObjectSizeGreaterThan, f.ObjectSizeLessThan
		if f.Tag != nil {
			s.tags = []s3.Tag{*f.Tag}
		}
		if a := f.And; a != nil {
			s = scope{a.Prefix, a.Tags, a.ObjectSizeGreaterThan, a.ObjectSizeLessThan}
		}
	}
	return s
}

// covers says whether a version of a key is in the scope.
func (s scope) covers(key string, o *object) bool {
	if !strings.HasPrefix(key, s.prefix) || s.above != nil && o.size <= *s.above || s.below != nil && o.size >= *s.below {
		return false
	}
	for _, t := range s.tags {
		if value, has := o.tags[t.Key]; !has || value != t.Value {
			return false
		}
	}
	return true
}
