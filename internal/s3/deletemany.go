package s3

import (
	"context"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// maxDeleted is how many objects one DeleteObjects names.
const maxDeleted = 1000

// A deletion is of many objects. Each is decided, and fails, by itself.
type deletion struct {
	*found
	refusals []*api.Error // by object; nil: it was allowed
}

// deletedObjects decides object by object. What is not there at all, or not the
// expected owner's, is told to who may delete the first.
func (s *Service) deletedObjects(ctx context.Context, c *api.Call, in *s3.DeleteObjectsInput) (*deletion, []api.Demand, error) {
	if in.Delete == nil || len(in.Delete.Objects) == 0 || len(in.Delete.Objects) > maxDeleted {
		return nil, nil, malformedXML()
	}
	f, err := s.find(c, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, nil, err
	}
	d := &deletion{found: f, refusals: make([]*api.Error, len(in.Delete.Objects))}
	asked := false
	for i, o := range in.Delete.Objects {
		_, demands, err := f.deleting(o.Key, o.VersionId, o.ETag, given(in.BypassGovernanceRetention))
		if err == nil && f.resource.Missing != nil {
			return d, demands, nil
		}
		for _, demand := range demands {
			if err == nil {
				err = c.Allowed(ctx, demand)
			}
		}
		asked = asked || len(demands) > 0
		if e, refused := errors.AsType[*api.Error](err); refused {
			d.refusals[i] = e
		} else if err != nil {
			return nil, nil, err
		}
	}
	if !asked {
		return nil, nil, d.refusals[0] // none is a name that could be decided about
	}
	return d, nil, nil
}

// deleteObjects deletes what may be deleted, all in one transaction. The record
// names every object and what became of it.
func (s *Service) deleteObjects(ctx context.Context, c *api.Call, in *s3.DeleteObjectsInput, d *deletion) (api.Commit[s3.DeleteObjectsOutput], error) {
	quiet := given(in.Delete.Quiet)
	return func(tx *store.Tx) (*s3.DeleteObjectsOutput, error) {
		l, err := s.slot(ctx, tx, in.Bucket, d.id, "")
		if err != nil {
			return nil, err
		}
		out := &s3.DeleteObjectsOutput{}
		items := make([]api.Item, len(in.Delete.Objects))
		for i, o := range in.Delete.Objects {
			refusal := d.refusals[i]
			var gone *s3.DeleteObjectOutput
			if refusal == nil {
				l.key = o.Key
				gone, err = l.delete(o.VersionId, o.ETag, c.Now, given(in.BypassGovernanceRetention))
				if e, refused := errors.AsType[*api.Error](err); refused {
					refusal = e
				} else if err != nil {
					return nil, err
				}
			}
			items[i] = d.item(o)
			if refusal != nil {
				items[i].Fate["errorCode"] = refusal.Code
				out.Errors = append(out.Errors, s3.Error{Key: o.Key, VersionId: o.VersionId, Code: refusal.Code, Message: refusal.Message})
				continue
			}
			done := s3.DeletedObject{Key: o.Key, VersionId: o.VersionId}
			if gone.DeleteMarker != nil {
				done.DeleteMarker, done.DeleteMarkerVersionId = gone.DeleteMarker, gone.VersionId
				items[i].Fate["deleteMarkerVersionId"] = gone.VersionId
			}
			if !quiet {
				out.Deleted = append(out.Deleted, done)
			}
		}
		c.Itemize(items)
		return out, nil
	}, nil
}

// item is what the record says of one object.
func (d *deletion) item(o s3.ObjectIdentifier) api.Item {
	r := d.resource
	r.ARN, r.Type = objectARN(d.name, o.Key), "AWS::S3::Object"
	fate := map[string]any{"key": o.Key}
	if o.VersionId != "" {
		fate["versionId"] = o.VersionId
	}
	return api.Item{Resource: r, Fate: fate}
}
