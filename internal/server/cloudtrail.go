package server

import (
	"context"

	"bawn.dev/internal/cloudtrail"
	"bawn.dev/internal/seal"
)

// trails is what CloudTrail is made of.
func (s *Server) trails(key seal.Key) cloudtrail.Config {
	return cloudtrail.Config{
		Region: s.cfg.Region, Records: s.trail, Key: key, Period: s.cfg.TrailPeriod, Retain: s.cfg.Retain, Now: s.now, Door: s.Door, Accounts: s.organizations.Open,
	}
}

// delivering delivers the record to the buckets of trails.
func (s *Server) delivering(ctx context.Context) error {
	return s.cloudtrail.Run(ctx, s.store, func(err error) { s.log.Warn("what a trail delivers is tried again", "err", err) })
}

// querying answers the queries of event data stores.
func (s *Server) querying(ctx context.Context) error {
	return s.cloudtrail.Answer(ctx, s.store, func(err error) { s.log.Warn("a query of an event data store", "err", err) })
}
