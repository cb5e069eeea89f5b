package cloudtrail

import (
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
)

// AWS's limits of one trail.
const (
	maxSelectors     = 5
	maxDataResources = 250
	maxConditions    = 500 // values of all advanced selectors
)

func (s *Service) choosingTrail(_ context.Context, c *api.Call, in *shape.PutEventSelectorsInput) (*found, []api.Demand, error) {
	return s.on(c, "PutEventSelectors", in.TrailName, false)
}

func (s *Service) putEventSelectors(_ context.Context, c *api.Call, in *shape.PutEventSelectorsInput, f *found) (api.Commit[shape.PutEventSelectorsOutput], error) {
	old, err := parseChoice(f.choice)
	if err != nil {
		return nil, err
	}
	chosen := choice{Global: old.Global}
	switch {
	case len(in.EventSelectors) > 0 && len(in.AdvancedEventSelectors) > 0:
		return nil, badSelectors("Event selectors and advanced event selectors cannot both be given.")
	case len(in.EventSelectors) > 0:
		chosen.Basic, err = checkedBasic(in.EventSelectors)
	case len(in.AdvancedEventSelectors) > 0:
		chosen.Advanced, err = in.AdvancedEventSelectors, checkAdvanced(in.AdvancedEventSelectors)
	default:
		err = badSelectors("Event selectors or advanced event selectors are needed.")
	}
	if err != nil {
		return nil, err
	}
	t := *f.row
	t.choice = chosen.text()
	return func(tx *store.Tx) (*shape.PutEventSelectorsOutput, error) {
		if err := s.change(tx, c, f.row, &t); err != nil {
			return nil, err
		}
		out := &shape.PutEventSelectorsOutput{TrailARN: f.named, EventSelectors: chosen.Basic, AdvancedEventSelectors: chosen.Advanced}
		return out, tx.Touch(versionKey(f.account, f.name))
	}, nil
}

// checkedBasic refuses what cannot be selected by, and fills in what AWS supposes.
func checkedBasic(all []shape.EventSelector) ([]shape.EventSelector, error) {
	if len(all) > maxSelectors {
		return nil, badSelectors("A trail has at most %d event selectors.", maxSelectors)
	}
	all = slices.Clone(all)
	values := 0
	for i := range all {
		b := &all[i]
		if b.ReadWriteType == "" {
			b.ReadWriteType = shape.ReadWriteTypeAll
		}
		if b.IncludeManagementEvents == nil {
			yes := true
			b.IncludeManagementEvents = &yes
		}
		for _, source := range b.ExcludeManagementEventSources {
			if source != "kms.amazonaws.com" && source != "rdsdata.amazonaws.com" {
				return nil, badSelectors("The value %s for ExcludeManagementEventSources is not valid.", source)
			}
		}
		for _, d := range b.DataResources {
			if d.Type != "AWS::S3::Object" {
				return nil, badSelectors("Data resources of type %q are not served by event selectors: use advanced ones.", d.Type)
			}
			values += len(d.Values)
			for _, v := range d.Values {
				if v != "arn:aws:s3" && !strings.HasPrefix(v, "arn:aws:s3:::") {
					return nil, badSelectors("Value %s for DataResources.Values is not the ARN of a bucket or the prefix of an object's.", v)
				}
			}
		}
	}
	if values > maxDataResources {
		return nil, badSelectors("A trail has at most %d data resources.", maxDataResources)
	}
	return all, nil
}

// checkAdvanced refuses fields and operators that AWS does not know, and fields that
// no record has here.
func checkAdvanced(all []shape.AdvancedEventSelector) error {
	values := 0
	for _, a := range all {
		given := map[string]shape.AdvancedFieldSelector{}
		for _, f := range a.FieldSelectors {
			if _, known := fields[f.Field]; !known {
				return badSelectors("Field %s is not served.", f.Field)
			}
			if _, twice := given[f.Field]; twice {
				return badSelectors("Field %s is given twice.", f.Field)
			}
			given[f.Field] = f
			n := len(f.Equals) + len(f.StartsWith) + len(f.EndsWith) + len(f.NotEquals) + len(f.NotStartsWith) + len(f.NotEndsWith)
			if n == 0 {
				return badSelectors("Field %s is compared with nothing.", f.Field)
			}
			if slices.Contains([]string{"eventCategory", "readOnly", "resources.type"}, f.Field) && n != len(f.Equals) {
				return badSelectors("Field %s takes Equals only.", f.Field)
			}
			values += n
		}
		if err := checkCategory(given); err != nil {
			return err
		}
	}
	if values > maxConditions {
		return badSelectors("The advanced event selectors of a trail have at most %d values.", maxConditions)
	}
	return nil
}

func checkCategory(given map[string]shape.AdvancedFieldSelector) error {
	category := given["eventCategory"].Equals
	if len(category) != 1 {
		return badSelectors("Each selector names one eventCategory.")
	}
	for _, v := range given["readOnly"].Equals {
		if v != "true" && v != "false" {
			return badSelectors("readOnly is true or false.")
		}
	}
	_, typed := given["resources.type"]
	_, sourced := given["eventSource"]
	_, named := given["resources.ARN"]
	switch category[0] {
	case "Management":
		if typed || named {
			return badSelectors("Management events are not selected by their resources.")
		}
	case "Data":
		if !typed || len(given["resources.type"].Equals) != 1 {
			return badSelectors("A selector of data events names one resources.type.")
		}
	case "NetworkActivity":
		if !sourced || len(given["eventSource"].Equals) == 0 {
			return badSelectors("A selector of network activity events names its eventSource.")
		}
	default:
		return badSelectors("eventCategory %s is not served.", category[0])
	}
	return nil
}

func (s *Service) chosenTrail(_ context.Context, c *api.Call, in *shape.GetEventSelectorsInput) (*found, []api.Demand, error) {
	return s.on(c, "GetEventSelectors", in.TrailName, true)
}

func (s *Service) getEventSelectors(_ context.Context, _ *api.Call, _ *shape.GetEventSelectorsInput, f *found) (*shape.GetEventSelectorsOutput, error) {
	k, err := parseChoice(f.choice)
	if err != nil {
		return nil, err
	}
	return &shape.GetEventSelectorsOutput{TrailARN: f.named, EventSelectors: k.Basic, AdvancedEventSelectors: k.Advanced}, nil
}
