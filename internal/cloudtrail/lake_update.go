package cloudtrail

import (
	"cmp"
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
)

func (s *Service) updatedLake(_ context.Context, c *api.Call, in *shape.UpdateEventDataStoreInput) (*foundLake, []api.Demand, error) {
	if _, err := c.Snapshot.Version(lakesKey(c.Account)); err != nil {
		return nil, nil, err
	}
	return s.onLake(c, "UpdateEventDataStore", in.EventDataStore)
}

// updateLake changes what a store says. What it takes in holds for what comes after
// this call. A longer period shows again what the record still has.
func (s *Service) updateLake(_ context.Context, c *api.Call, in *shape.UpdateEventDataStoreInput, f *foundLake) (api.Commit[shape.UpdateEventDataStoreOutput], error) {
	if err := f.active(); err != nil {
		return nil, err
	}
	l := *f.lakeRow
	l.name, l.updated = cmp.Or(in.Name, l.name), f.changed(c)
	if in.RetentionPeriod != nil {
		l.retention = *in.RetentionPeriod
	}
	if in.MultiRegionEnabled != nil {
		l.multiRegion = *in.MultiRegionEnabled
	}
	if in.TerminationProtectionEnabled != nil {
		l.protected = *in.TerminationProtectionEnabled
	}
	if len(in.AdvancedEventSelectors) > 0 {
		if err := checkAdvanced(in.AdvancedEventSelectors); err != nil {
			return nil, err
		}
		l.choice = choice{Global: true, Advanced: in.AdvancedEventSelectors}.text()
	}
	if err := s.checkLake(in.RetentionPeriod, in.OrganizationEnabled, in.BillingMode); err != nil {
		return nil, err
	}
	all, err := lakeRows(c.Snapshot, "account = ?", c.Account)
	if err == nil {
		err = only(all, &l)
	}
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.UpdateEventDataStoreOutput, error) {
		if err := updateLake(tx, &l); err != nil {
			return nil, err
		}
		if l.ingesting && l.choice != f.choice {
			if err := l.leave(tx, l.updated); err != nil {
				return nil, err
			}
			if err := l.take(tx, l.updated+1); err != nil {
				return nil, err
			}
		}
		p, err := s.presentLake(&l)
		if err != nil {
			return nil, err
		}
		return &shape.UpdateEventDataStoreOutput{
			AdvancedEventSelectors: p.AdvancedEventSelectors, BillingMode: shape.BillingModeExtendableRetentionPricing, CreatedTimestamp: p.CreatedTimestamp,
			EventDataStoreArn: p.EventDataStoreArn, MultiRegionEnabled: p.MultiRegionEnabled, Name: p.Name, OrganizationEnabled: p.OrganizationEnabled,
			RetentionPeriod: p.RetentionPeriod, Status: p.Status, TerminationProtectionEnabled: p.TerminationProtectionEnabled, UpdatedTimestamp: p.UpdatedTimestamp,
		}, tx.Touch(lakeKey(l.id), lakesKey(l.account))
	}, nil
}

// changed is when a call changes a store: after the change before, also where the call
// began earlier. So no two periods have a moment in common.
func (f *foundLake) changed(c *api.Call) int64 { return max(c.Now.UnixMicro(), f.updated+1) }

// turned is a store as it is after a change of its life, and the change.
func (f *foundLake) turned(c *api.Call, change func(l *lakeRow)) (*lakeRow, func(tx *store.Tx) error) {
	l := *f.lakeRow
	l.updated = f.changed(c)
	change(&l)
	return &l, func(tx *store.Tx) error {
		if err := updateLake(tx, &l); err != nil {
			return err
		}
		takes := l.ingesting && l.deleted == 0
		if took := f.ingesting && f.deleted == 0; took != takes {
			end := l.leave
			if takes {
				end = l.take
			}
			if err := end(tx, l.updated); err != nil {
				return err
			}
		}
		return tx.Touch(lakeKey(l.id), lakesKey(l.account))
	}
}
