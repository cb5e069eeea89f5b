// Package logs is CloudWatch Logs, as far as a job's output needs it: groups,
// streams, events put in and read back by time, by token and by pattern.
//
// It trusts package api to decide every demand and the key service to guard data
// keys. Events are sealed at rest under a key of their stream, which the group's
// KMS key protects and which is asked for on every call: no key stays in memory,
// so that turning the KMS key off makes the events unreadable on the next call.
// What is logged is data that anybody may have chosen: it never reaches a record,
// an error or a log of Bawn's. Whoever controls requests controls names, times
// and texts of bounded size and, with a token, a place in a stream that she may
// read; a token lets her see nothing else. Whoever can write the database can
// delete events or batches of them, but neither change one nor move it to another
// stream.
package logs

import (
	"context"
	"errors"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/logs"
)

// Config is what the service is made of. Everything is needed.
type Config struct {
	Region string
	// Begin is the door's. The key of a group that has one of its own is used as
	// the service principal logs.REGION.amazonaws.com, which is whom AWS's key
	// policies for log groups name. A function, since the door is made after its
	// services.
	Begin func(ctx context.Context, claim api.Claim, via string) (*api.Call, error)
}

// Service is CloudWatch Logs.
type Service struct {
	Config
	budget int // bytes of sealed batches that one call opens, if it can go on later
}

// New makes the service. It fails when something of Config is missing.
func New(cfg Config) (*Service, error) {
	if cfg.Region == "" || cfg.Begin == nil {
		return nil, errors.New("logs: region and Begin are needed")
	}
	return &Service{cfg, scanBudget}, nil
}

// API is what the door serves.
func (s *Service) API() *api.Service {
	return &api.Service{Model: shape.Model(), Prefix: "logs", Operations: []api.Operation{
		api.Write("CreateLogGroup", s.newGroup, s.createLogGroup).Demands("logs:CreateLogGroup", "logs:TagResource"),
		api.Read("DescribeLogGroups", s.listingGroups, s.describeLogGroups),
		api.Write("DeleteLogGroup", s.deletedGroup, s.deleteLogGroup),

		api.Write("CreateLogStream", s.newStream, s.createLogStream),
		api.Read("DescribeLogStreams", s.listingStreams, s.describeLogStreams),

		api.Write("PutLogEvents", s.putting, s.putLogEvents).Data(),
		api.Read("GetLogEvents", s.readStream, s.getLogEvents).Data(),
		api.Read("FilterLogEvents", s.filtered, s.filterLogEvents).Data(),
	}}
}

// principal is whom key policies of log groups name.
func (s *Service) principal() string { return "logs." + s.Region + ".amazonaws.com" }
