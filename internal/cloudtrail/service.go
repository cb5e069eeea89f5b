// Package cloudtrail answers questions about the record, who did what in an account,
// and delivers it: trails put the events that they select into buckets, and sign each
// hour for what they put there.
//
// It trusts package trail for what happened and shows a caller only the trail of her
// own account. LookupEvents finds data events too (object reads and writes), which AWS
// leaves to other tools: an auditor's first question is who read the data.
//
// What is delivered is put by the service principal, which the bucket's and the key's
// policies must let in for the trail, as at AWS. Whoever controls a bucket can change
// what lies there: the digests tell. Whoever may change a trail can end what it
// delivers from then on, never what happened before: selectors and ends hold from the
// record of the call that made them. Whoever can write the database can stop
// deliveries, and cannot sign: the keys are sealed under the room's. He who has those
// too can sign another history in AWS's format; what shows him up is the ledger.
//
// Event data stores are views of the record, of one account's events. Who may query one
// sees all of them, with parameters: her text is read by package lake and reaches no
// database. Queries of all accounts wait for one worker, in turn by account, that rests
// as long as it works. What they ask and answer is sealed under the room's key.
package cloudtrail

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// Records is the record; *trail.Trail is it.
type Records interface {
	Find(ctx context.Context, q trail.Query) (trail.Page, error)
	After(ctx context.Context, from int64, limit int) ([]trail.Line, error)
	Search(ctx context.Context, s trail.Search) (trail.Found, error)
	Last(q store.Querier) (int64, error)
}

// DefaultPeriod is how often a trail delivers.
const DefaultPeriod = 5 * time.Minute

// Config is what the service is made of. Everything is needed but Period and Retain.
type Config struct {
	Region  string
	Records Records
	Key     seal.Key      // seals the keys that sign digests
	Period  time.Duration // from one delivery of a trail to the next; 0 stands for DefaultPeriod
	Retain  int           // days for which the record is kept; 0: for ever
	Now     func() time.Time
	// Door is the way to buckets and keys. A function, since the door is made after its
	// services.
	Door func() *api.Door
	// Accounts lists the accounts of the organization.
	Accounts func(q store.Querier) ([]string, error)
}

// Service is CloudTrail as far as it is served.
type Service struct {
	Config
	asked  chan struct{}    // wakes who answers queries
	work   time.Duration    // that a query may take
	served map[string]int64 // the turn that an account last had; of who answers
	turns  int64
}

// New makes the service. It fails when something of Config is missing, or the period
// is more than an hour.
func New(cfg Config) (*Service, error) {
	if cfg.Region == "" || cfg.Records == nil || cfg.Key == (seal.Key{}) || cfg.Now == nil || cfg.Door == nil || cfg.Accounts == nil {
		return nil, errors.New("cloudtrail: region, records, key, clock, door and accounts are needed")
	}
	if cfg.Period == 0 {
		cfg.Period = DefaultPeriod
	}
	if cfg.Period < time.Second || cfg.Period > time.Hour {
		return nil, errors.New("cloudtrail: trails deliver every second at most and every hour at least")
	}
	return &Service{Config: cfg, asked: make(chan struct{}, 1), work: maxWork, served: map[string]int64{}}, nil
}

// API lists what is served.
func (s *Service) API() *api.Service {
	return &api.Service{
		Model:  shape.Model(),
		Prefix: "cloudtrail",
		Operations: []api.Operation{
			api.Read("LookupEvents", s.question, s.lookupEvents),

			api.Write("CreateTrail", s.newTrail, s.createTrail).Demands("cloudtrail:CreateTrail", "cloudtrail:AddTags"),
			api.Write("UpdateTrail", s.updatedTrail, s.updateTrail),
			api.Write("DeleteTrail", s.deletedTrail, s.deleteTrail),
			api.Read("DescribeTrails", s.describedTrails, s.describeTrails),
			api.Read("GetTrail", s.shownTrail, s.getTrail),
			api.Read("ListTrails", s.listedTrails, s.listTrails),

			api.Write("StartLogging", s.startedTrail, s.startLogging),
			api.Write("StopLogging", s.stoppedTrail, s.stopLogging),
			api.Read("GetTrailStatus", s.watchedTrail, s.getTrailStatus),

			api.Write("PutEventSelectors", s.choosingTrail, s.putEventSelectors),
			api.Read("GetEventSelectors", s.chosenTrail, s.getEventSelectors),

			api.Write("AddTags", s.taggedOne, s.addTags),
			api.Write("RemoveTags", s.untaggedOne, s.removeTags),
			api.Read("ListTags", s.labelledSome, s.listTags),

			api.Write("CreateEventDataStore", s.newLake, s.createLake).Demands("cloudtrail:CreateEventDataStore", "cloudtrail:AddTags"),
			api.Read("GetEventDataStore", s.shownLake, s.getLake),
			api.Read("ListEventDataStores", s.listedLakes, s.listLakes),
			api.Write("UpdateEventDataStore", s.updatedLake, s.updateLake),
			api.Write("DeleteEventDataStore", s.deletedLake, s.deleteLake),
			api.Write("RestoreEventDataStore", s.restoredLake, s.restoreLake),
			api.Write("StartEventDataStoreIngestion", s.startedLake, s.startLake),
			api.Write("StopEventDataStoreIngestion", s.stoppedLake, s.stopLake),

			api.Write("StartQuery", s.askedLake, s.startQuery),
			api.Read("DescribeQuery", s.describedQuery, s.describeQuery),
			api.Read("GetQueryResults", s.wantedResults, s.getQueryResults),
			api.Write("CancelQuery", s.cancelledQuery, s.cancelQuery),
			api.Read("ListQueries", s.queriedLake, s.listQueries),

			api.Read("ListPublicKeys", s.wantedKeys, s.listPublicKeys),
		},
	}
}

// principal is whom policies of buckets and keys name.
const principal = "cloudtrail.amazonaws.com"
