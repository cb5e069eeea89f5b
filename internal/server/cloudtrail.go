package server

import (
	"context"

	"bawn.dev/internal/cloudtrail"
	"bawn.dev/internal/seal"
)

// trails is what CloudTrail is made of.
func (s *Server) trails(key seal.Key) cloudtrail.Config {
	return cloudtrail.Config{
		Region: s.cfg.Region, Records: s.trail, Key: key, Period: s.cfg.TrailPeriod, Now: s.now, Door: s.Door, Accounts: s.organizations.Open,
	}
}

// delivering delivers the record to the buckets of trails.
func (s *Server) delivering(ctx context.Context) error {
	return s.cloudtrail.Run(ctx, s.store, func(err error) { s.log.Warn("what a trail delivers is tried again", "err", err) })
}
