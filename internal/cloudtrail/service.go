// Package cloudtrail answers questions about the record: who did what in an
// account, newest first.
//
// It writes nothing. It trusts package trail for what happened, and shows a caller
// only the trail of her own account. LookupEvents here finds data events too
// (object reads and writes), which AWS leaves to other tools: an auditor's first
// question is who read the data.
package cloudtrail

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/trail"
)

// Finder finds records; *trail.Trail is one.
type Finder interface {
	Find(ctx context.Context, q trail.Query) (trail.Page, error)
}

// A Service is CloudTrail as far as it is served.
type Service struct{ records Finder }

// New makes the service over the record.
func New(records Finder) *Service { return &Service{records} }

// API lists what is served.
func (s *Service) API() *api.Service {
	return &api.Service{
		Model:  shape.Model(),
		Prefix: "cloudtrail",
		Operations: []api.Operation{
			api.Read("LookupEvents", s.question, s.lookupEvents),
		},
	}
}
