package cloudtrail

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
)

func (s *Service) deletedLake(_ context.Context, c *api.Call, in *shape.DeleteEventDataStoreInput) (*foundLake, []api.Demand, error) {
	return s.onLake(c, "DeleteEventDataStore", in.EventDataStore)
}

// deleteLake ends a store: it takes nothing in and answers no queries, and is gone in
// seven days unless it is restored.
func (s *Service) deleteLake(_ context.Context, c *api.Call, _ *shape.DeleteEventDataStoreInput, f *foundLake) (api.Commit[shape.DeleteEventDataStoreOutput], error) {
	if err := f.active(); err != nil {
		return nil, err
	}
	if f.protected {
		return nil, fail("EventDataStoreTerminationProtectedException", "The event data store cannot be deleted because termination protection is enabled for it.")
	}
	_, change := f.turned(c, func(l *lakeRow) { l.deleted = l.updated })
	return func(tx *store.Tx) (*shape.DeleteEventDataStoreOutput, error) {
		return &shape.DeleteEventDataStoreOutput{}, change(tx)
	}, nil
}

func (s *Service) restoredLake(_ context.Context, c *api.Call, in *shape.RestoreEventDataStoreInput) (*foundLake, []api.Demand, error) {
	return s.onLake(c, "RestoreEventDataStore", in.EventDataStore)
}

func (s *Service) restoreLake(_ context.Context, c *api.Call, _ *shape.RestoreEventDataStoreInput, f *foundLake) (api.Commit[shape.RestoreEventDataStoreOutput], error) {
	if f.deleted == 0 {
		return nil, badStatus(f, "PENDING_DELETION")
	}
	l, change := f.turned(c, func(l *lakeRow) { l.deleted = 0 })
	p, err := s.presentLake(l)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.RestoreEventDataStoreOutput, error) {
		return &shape.RestoreEventDataStoreOutput{
			AdvancedEventSelectors: p.AdvancedEventSelectors, BillingMode: shape.BillingModeExtendableRetentionPricing, CreatedTimestamp: p.CreatedTimestamp,
			EventDataStoreArn: p.EventDataStoreArn, MultiRegionEnabled: p.MultiRegionEnabled, Name: p.Name, OrganizationEnabled: p.OrganizationEnabled,
			RetentionPeriod: p.RetentionPeriod, Status: p.Status, TerminationProtectionEnabled: p.TerminationProtectionEnabled, UpdatedTimestamp: p.UpdatedTimestamp,
		}, change(tx)
	}, nil
}

func (s *Service) startedLake(_ context.Context, c *api.Call, in *shape.StartEventDataStoreIngestionInput) (*foundLake, []api.Demand, error) {
	return s.onLake(c, "StartEventDataStoreIngestion", in.EventDataStore)
}

func (s *Service) startLake(_ context.Context, c *api.Call, _ *shape.StartEventDataStoreIngestionInput, f *foundLake) (api.Commit[shape.StartEventDataStoreIngestionOutput], error) {
	if f.deleted != 0 || f.ingesting {
		return nil, badStatus(f, "STOPPED_INGESTION")
	}
	_, change := f.turned(c, func(l *lakeRow) { l.ingesting = true })
	return func(tx *store.Tx) (*shape.StartEventDataStoreIngestionOutput, error) {
		return &shape.StartEventDataStoreIngestionOutput{}, change(tx)
	}, nil
}

func (s *Service) stoppedLake(_ context.Context, c *api.Call, in *shape.StopEventDataStoreIngestionInput) (*foundLake, []api.Demand, error) {
	return s.onLake(c, "StopEventDataStoreIngestion", in.EventDataStore)
}

func (s *Service) stopLake(_ context.Context, c *api.Call, _ *shape.StopEventDataStoreIngestionInput, f *foundLake) (api.Commit[shape.StopEventDataStoreIngestionOutput], error) {
	if f.deleted != 0 || !f.ingesting {
		return nil, badStatus(f, "ENABLED")
	}
	_, change := f.turned(c, func(l *lakeRow) { l.ingesting = false })
	return func(tx *store.Tx) (*shape.StopEventDataStoreIngestionOutput, error) {
		return &shape.StopEventDataStoreIngestionOutput{}, change(tx)
	}, nil
}

func (s *Service) shownLake(_ context.Context, c *api.Call, in *shape.GetEventDataStoreInput) (*foundLake, []api.Demand, error) {
	return s.onLake(c, "GetEventDataStore", in.EventDataStore)
}

func (s *Service) getLake(_ context.Context, _ *api.Call, _ *shape.GetEventDataStoreInput, f *foundLake) (*shape.GetEventDataStoreOutput, error) {
	p, err := s.presentLake(f.lakeRow)
	if err != nil {
		return nil, err
	}
	return &shape.GetEventDataStoreOutput{
		AdvancedEventSelectors: p.AdvancedEventSelectors, BillingMode: shape.BillingModeExtendableRetentionPricing, CreatedTimestamp: p.CreatedTimestamp,
		EventDataStoreArn: p.EventDataStoreArn, MultiRegionEnabled: p.MultiRegionEnabled, Name: p.Name, OrganizationEnabled: p.OrganizationEnabled,
		RetentionPeriod: p.RetentionPeriod, Status: p.Status, TerminationProtectionEnabled: p.TerminationProtectionEnabled, UpdatedTimestamp: p.UpdatedTimestamp,
	}, nil
}

// listedLakes reads where a listing goes on.
func (s *Service) listedLakes(_ context.Context, c *api.Call, in *shape.ListEventDataStoresInput) (int, []api.Demand, error) {
	from, err := offset(in.NextToken, lakesKey(c.Account))
	return from, api.On("cloudtrail:ListEventDataStores", api.Any), err
}

func (s *Service) listLakes(_ context.Context, c *api.Call, in *shape.ListEventDataStoresInput, from int) (*shape.ListEventDataStoresOutput, error) {
	if _, err := c.Snapshot.Version(lakesKey(c.Account)); err != nil {
		return nil, err
	}
	all, err := lakeRows(c.Snapshot, "account = ? ORDER BY name", c.Account)
	if err != nil {
		return nil, err
	}
	out := &shape.ListEventDataStoresOutput{EventDataStores: []shape.EventDataStore{}}
	for i, l := range all {
		switch {
		case i < from || l.gone(c.Now):
			continue
		case in.MaxResults != nil && len(out.EventDataStores) == int(*in.MaxResults):
			out.NextToken = token(lakesKey(c.Account), i)
			return out, nil
		}
		p, err := s.presentLake(l)
		if err != nil {
			return nil, err
		}
		out.EventDataStores = append(out.EventDataStores, p)
	}
	return out, nil
}
