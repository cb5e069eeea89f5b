package cloudtrail

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
)

func (s *Service) startedTrail(_ context.Context, c *api.Call, in *shape.StartLoggingInput) (*found, []api.Demand, error) {
	return s.on(c, "StartLogging", in.Name, false)
}

func (s *Service) startLogging(_ context.Context, c *api.Call, _ *shape.StartLoggingInput, f *found) (api.Commit[shape.StartLoggingOutput], error) {
	return func(tx *store.Tx) (*shape.StartLoggingOutput, error) {
		if f.run != "" {
			return &shape.StartLoggingOutput{}, nil
		}
		if err := s.begin(tx, c, f.row, ""); err != nil {
			return nil, err
		}
		_, err := tx.Exec("UPDATE cloudtrail_trails SET started = ? WHERE id = ?", c.Now.UnixMicro(), f.id)
		if err != nil {
			return nil, err
		}
		return &shape.StartLoggingOutput{}, tx.Touch(versionKey(f.account, f.name))
	}, nil
}

func (s *Service) stoppedTrail(_ context.Context, c *api.Call, in *shape.StopLoggingInput) (*found, []api.Demand, error) {
	return s.on(c, "StopLogging", in.Name, false)
}

func (s *Service) stopLogging(_ context.Context, c *api.Call, _ *shape.StopLoggingInput, f *found) (api.Commit[shape.StopLoggingOutput], error) {
	return func(tx *store.Tx) (*shape.StopLoggingOutput, error) {
		if f.run == "" {
			return &shape.StopLoggingOutput{}, nil
		}
		if err := s.end(tx, c, f.row); err != nil {
			return nil, err
		}
		_, err := tx.Exec("UPDATE cloudtrail_trails SET stopped = ? WHERE id = ?", c.Now.UnixMicro(), f.id)
		if err != nil {
			return nil, err
		}
		return &shape.StopLoggingOutput{}, tx.Touch(versionKey(f.account, f.name))
	}, nil
}

// begin opens a run with the first record after now or, if opening names a request,
// with the one after that request's.
func (s *Service) begin(tx *store.Tx, c *api.Call, t *row, opening string) error {
	last, err := s.Records.Last(tx)
	if err != nil {
		return err
	}
	organization := ""
	if t.organization {
		organization = c.Organization().OrgID
	}
	r := &run{
		id: strings.ToLower(rand.Text()), trail: t.id, account: t.account, name: t.name, bucket: t.bucket, prefix: t.prefix, kmsKey: t.kmsKey,
		validation: t.validation, organization: organization, choice: t.choice, opening: opening, position: last,
		begun: c.Now.UnixMicro(), due: c.Now.Add(s.Period).UnixMicro(),
	}
	if err := insertRun(tx, r); err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE cloudtrail_trails SET run = ? WHERE id = ?", r.id, t.id)
	return err
}

// end closes the open run of a trail with the record of this call.
func (s *Service) end(tx *store.Tx, c *api.Call, t *row) error {
	if err := turn(tx, c, t.run, ""); err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE cloudtrail_runs SET due = ? WHERE id = ?", c.Now.UnixMicro(), t.run); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE cloudtrail_trails SET run = '' WHERE id = ?", t.id)
	return err
}

// turn notes what changes in a run after the record of this call.
func turn(tx *store.Tx, c *api.Call, run, choice string) error {
	_, err := tx.Exec("INSERT INTO cloudtrail_turns (run, request, choice) VALUES (?, ?, ?)", run, c.RequestID, choice)
	return err
}

func (s *Service) watchedTrail(_ context.Context, c *api.Call, in *shape.GetTrailStatusInput) (*found, []api.Demand, error) {
	return s.on(c, "GetTrailStatus", in.Name, true)
}

// getTrailStatus reads the row as it is: what deliveries write there is no decision's.
func (s *Service) getTrailStatus(_ context.Context, _ *api.Call, _ *shape.GetTrailStatusInput, f *found) (*shape.GetTrailStatusOutput, error) {
	logging := f.run != ""
	out := &shape.GetTrailStatusOutput{
		IsLogging: &logging, LatestDeliveryError: f.failure, LatestDigestDeliveryError: f.digestFailure,
		LatestDeliveryTime: moment(f.delivered), LatestDigestDeliveryTime: moment(f.digested),
		StartLoggingTime: moment(f.started), StopLoggingTime: moment(f.stopped),
		LatestDeliveryAttemptTime: text(f.attempted), LatestDeliveryAttemptSucceeded: text(f.delivered),
		TimeLoggingStarted: text(f.started), TimeLoggingStopped: text(f.stopped),
	}
	return out, nil
}

// moment is a column's time; 0 is none.
func moment(micro int64) time.Time {
	if micro == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micro).UTC()
}

func text(micro int64) string {
	if micro == 0 {
		return ""
	}
	return stamp(micro)
}

// stamp is a time as events and digests write it.
func stamp(micro int64) string { return time.UnixMicro(micro).UTC().Format("2006-01-02T15:04:05Z") }
