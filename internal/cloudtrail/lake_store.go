package cloudtrail

import (
	"regexp"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	shape "bawn.dev/internal/shape/cloudtrail"
)

// maxLakes is how many event data stores an account has, as at AWS: those that are to be
// deleted count.
const maxLakes = 10

// mourning is how long a deleted store can be restored, as at AWS.
const mourning = 7 * 24 * time.Hour

func lakeKey(id string) string { return "cloudtrail:eventdatastore/" + id }

// lakesKey changes with every store of an account.
func lakesKey(account string) string { return "cloudtrail:eventdatastores/" + account }

const lakeResource = "eventdatastore/"

func (s *Service) lakeARN(account, id string) string {
	return "arn:aws:cloudtrail:" + s.Region + ":" + account + ":" + lakeResource + id
}

var lakeID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// foundLake is an event data store that a request names, or the fact that there is none.
type foundLake struct {
	*lakeRow
	named    string // its ARN
	resource api.Resource
}

// lake looks up a store by ARN or id. Stores of other accounts are not there.
func (s *Service) lake(c *api.Call, name string) (*foundLake, error) {
	account, id := c.Account, name
	if strings.HasPrefix(name, "arn:") {
		a, err := arn.Parse(name)
		own, ok := strings.CutPrefix(a.Resource, lakeResource)
		if err != nil || !ok || a.Service != "cloudtrail" || a.Region != s.Region {
			return nil, badLake(name)
		}
		account, id = a.Account, own
	}
	if !lakeID.MatchString(id) {
		return nil, badLake(name)
	}
	f := &foundLake{named: s.lakeARN(account, id)}
	f.resource = api.Resource{ARN: f.named, Account: c.Account, Type: "AWS::CloudTrail::EventDataStore", Missing: noLake(f.named)}
	version, err := c.Snapshot.Version(lakeKey(id))
	if err != nil || version == 0 || account != c.Account {
		return f, err
	}
	l, err := one(lakeRows(c.Snapshot, "id = ? AND account = ?", id, account))
	if err != nil || l == nil || l.gone(c.Now) {
		return f, err
	}
	if l.tags, err = tagsOf(c.Snapshot, l.id); err != nil {
		return nil, err
	}
	f.lakeRow, f.resource.Missing, f.resource.Tags = l, nil, l.tags
	return f, nil
}

// gone says whether a deleted store can be restored no more.
func (l *lakeRow) gone(now time.Time) bool {
	return l.deleted != 0 && now.Sub(moment(l.deleted)) >= mourning
}

// onLake is lake, and the demand for an action on the store.
func (s *Service) onLake(c *api.Call, action, name string) (*foundLake, []api.Demand, error) {
	f, err := s.lake(c, name)
	if err != nil {
		return nil, nil, err
	}
	return f, api.On("cloudtrail:"+action, f.resource), nil
}

// active is an error if a store waits to be deleted.
func (f *foundLake) active() error {
	if f.deleted != 0 {
		return fail("InactiveEventDataStoreException", "The event data store is inactive: %s", f.named)
	}
	return nil
}

func (l *lakeRow) status() shape.EventDataStoreStatus {
	switch {
	case l.deleted != 0:
		return shape.EventDataStoreStatusPendingDeletion
	case !l.ingesting:
		return shape.EventDataStoreStatusStoppedIngestion
	}
	return shape.EventDataStoreStatusEnabled
}

// presentLake is a store as answers show it.
func (s *Service) presentLake(l *lakeRow) (shape.EventDataStore, error) {
	chosen, err := parseChoice(l.choice)
	none := false
	return shape.EventDataStore{
		AdvancedEventSelectors: chosen.Advanced, CreatedTimestamp: moment(l.created), EventDataStoreArn: s.lakeARN(l.account, l.id),
		MultiRegionEnabled: &l.multiRegion, Name: l.name, OrganizationEnabled: &none, RetentionPeriod: &l.retention, Status: l.status(),
		TerminationProtectionEnabled: &l.protected, UpdatedTimestamp: moment(l.updated),
	}, err
}
