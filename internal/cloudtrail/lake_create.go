package cloudtrail

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

// AWS's usual period of a store, in days.
const usualRetention = 366

// usualLake is what a new store takes in: management events.
func usualLake() []shape.AdvancedEventSelector {
	return []shape.AdvancedEventSelector{{
		Name:           "Default management events",
		FieldSelectors: []shape.AdvancedFieldSelector{{Field: "eventCategory", Equals: []string{"Management"}}},
	}}
}

// checkLake refuses what a store cannot be here.
func (s *Service) checkLake(retention *int32, organization *bool, billing shape.BillingMode) error {
	switch {
	case is(organization):
		return fail("UnsupportedOperationException", "OrganizationEnabled: an event data store is of one account's events.")
	case billing == shape.BillingModeFixedRetentionPricing:
		return badParameter("BillingMode: events are kept by RetentionPeriod alone, as EXTENDABLE_RETENTION_PRICING has it.")
	case s.Retain > 0 && retention != nil && int(*retention) > s.Retain:
		return badParameter("RetentionPeriod: the record is kept for %d days here, and an event data store has no events of its own.", s.Retain)
	}
	return nil
}

func (s *Service) newLake(_ context.Context, c *api.Call, in *shape.CreateEventDataStoreInput) (string, []api.Demand, error) {
	id := uuid.New()
	if _, err := c.Snapshot.Version(lakesKey(c.Account)); err != nil {
		return "", nil, err
	}
	resource := api.Resource{ARN: s.lakeARN(c.Account, id), Account: c.Account, Type: "AWS::CloudTrail::EventDataStore"}
	demands := api.On("cloudtrail:CreateEventDataStore", resource)
	if len(in.TagsList) > 0 {
		keys, err := tagKeys(in.TagsList, true)
		if err != nil {
			return "", nil, err
		}
		demands[0].Keys = keys
		demands = append(demands, api.Demand{Action: "cloudtrail:AddTags", Resource: resource, Keys: keys})
	}
	return id, demands, nil
}

func (s *Service) createLake(_ context.Context, c *api.Call, in *shape.CreateEventDataStoreInput, id string) (api.Commit[shape.CreateEventDataStoreOutput], error) {
	selectors := in.AdvancedEventSelectors
	if len(selectors) == 0 {
		selectors = usualLake()
	}
	if err := checkAdvanced(selectors); err != nil {
		return nil, err
	}
	l := &lakeRow{
		id: id, account: c.Account, name: in.Name, choice: choice{Global: true, Advanced: selectors}.text(), retention: usualRetention,
		protected: in.TerminationProtectionEnabled == nil || *in.TerminationProtectionEnabled, multiRegion: in.MultiRegionEnabled == nil || *in.MultiRegionEnabled,
		ingesting: in.StartIngestion == nil || *in.StartIngestion, created: c.Now.UnixMicro(), updated: c.Now.UnixMicro(),
	}
	if s.Retain > 0 {
		l.retention = int32(min(usualRetention, s.Retain))
	}
	if in.RetentionPeriod != nil {
		l.retention = *in.RetentionPeriod
	}
	if err := s.checkLake(in.RetentionPeriod, in.OrganizationEnabled, in.BillingMode); err != nil {
		return nil, err
	}
	all, err := lakeRows(c.Snapshot, "account = ?", c.Account)
	if err != nil {
		return nil, err
	}
	if err := only(all, l); err != nil {
		return nil, err
	}
	if len(all) >= maxLakes {
		return nil, fail("EventDataStoreMaxLimitExceededException", "Your account has used the maximum number of event data stores (%d).", maxLakes)
	}
	return func(tx *store.Tx) (*shape.CreateEventDataStoreOutput, error) {
		if err := insertLake(tx, l); err != nil {
			return nil, err
		}
		if l.ingesting {
			if err := l.take(tx, l.created); err != nil {
				return nil, err
			}
		}
		if err := putTags(tx, l.id, tagMap(in.TagsList)); err != nil {
			return nil, err
		}
		p, err := s.presentLake(l)
		if err != nil {
			return nil, err
		}
		return &shape.CreateEventDataStoreOutput{
			AdvancedEventSelectors: p.AdvancedEventSelectors, BillingMode: shape.BillingModeExtendableRetentionPricing, CreatedTimestamp: p.CreatedTimestamp,
			EventDataStoreArn: p.EventDataStoreArn, MultiRegionEnabled: p.MultiRegionEnabled, Name: p.Name, OrganizationEnabled: p.OrganizationEnabled,
			RetentionPeriod: p.RetentionPeriod, Status: p.Status, TagsList: in.TagsList, TerminationProtectionEnabled: p.TerminationProtectionEnabled,
			UpdatedTimestamp: p.UpdatedTimestamp,
		}, tx.Touch(lakeKey(l.id), lakesKey(l.account))
	}, nil
}

// only says whether a store is the only one of its name among all of its account. A
// store that is gone but not cleared away yet keeps its name, for minutes.
func only(all []*lakeRow, l *lakeRow) error {
	for _, other := range all {
		if other.name == l.name && other.id != l.id {
			return fail("EventDataStoreAlreadyExistsException", "An event data store with the name %s already exists.", l.name)
		}
	}
	return nil
}
