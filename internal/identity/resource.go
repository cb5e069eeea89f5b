package identity

import (
	"context"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
)

// What lies in the directory, as policies name it.
func personARN(kind, id string) string { return "arn:aws:identitystore:::" + kind + "/" + id }

func (s *Service) thing(kind, id, recorded string) api.Resource {
	return api.Resource{ARN: personARN(kind, id), Account: s.account, Type: "AWS::IdentityStore::" + recorded}
}

// The wildcards are what operations act on that name no one thing.
func (s *Service) allUsers() api.Resource  { return s.thing("user", "*", "User") }
func (s *Service) allGroups() api.Resource { return s.thing("group", "*", "Group") }
func (s *Service) allMemberships() api.Resource {
	return s.thing("membership", "*", "GroupMembership")
}

// inside demands an action on things in the directory and on the directory that
// the caller named. keys may be nil.
func (s *Service) inside(c *api.Call, action, storeID string, keys policy.Context, things ...api.Resource) (instance, []api.Demand, error) {
	i, err := s.instance(c.Snapshot)
	if err != nil {
		return i, nil, err
	}
	directory := api.Resource{ARN: i.storeARN(), Account: s.account, Type: "AWS::IdentityStore::IdentityStore"}
	if storeID != i.store {
		directory.ARN = "arn:aws:identitystore::" + s.account + ":identitystore/" + storeID
		directory.Missing = absent("IDENTITY_STORE", "")
	}
	if keys == nil {
		keys = policy.Context{}
	}
	keys.Set("identitystore:PrimaryRegion", c.Region)
	var demands []api.Demand
	for _, r := range append(things, directory) {
		demands = append(demands, api.Demand{Action: "identitystore:" + action, Resource: r, Keys: keys})
	}
	return i, demands, nil
}

// userResource is a user as a decision sees her, and her row; nil if there is none.
func (s *Service) userResource(q store.Querier, id string) (*shape.User, api.Resource, error) {
	u, err := user(q, id)
	r := s.thing("user", id, "User")
	if u == nil {
		r.Missing = absent("USER", id)
	}
	return u, r, err
}

// person demands an action on one user. The key UserExternalIdIssuers speaks of
// whoever named her, and of more.
func (s *Service) person(c *api.Call, action, storeID, id string, more ...shape.ExternalId) (*shape.User, []api.Demand, error) {
	u, r, err := s.userResource(c.Snapshot, id)
	if err != nil {
		return nil, nil, err
	}
	if u != nil {
		more = append(more, u.ExternalIds...)
	}
	_, demands, err := s.inside(c, action, storeID, issuers("User", more), r)
	return u, demands, err
}

// groupResource is a group as a decision sees it, and its row; nil if there is none.
func (s *Service) groupResource(q store.Querier, id string) (*shape.Group, api.Resource, error) {
	g, err := s.group(q, id)
	r := s.thing("group", id, "Group")
	if g == nil {
		r.Missing = absent("GROUP", id)
	}
	return g, r, err
}

// team demands an action on one group, as person does on one user.
func (s *Service) team(c *api.Call, action, storeID, id string, more ...shape.ExternalId) (*shape.Group, []api.Demand, error) {
	g, r, err := s.groupResource(c.Snapshot, id)
	if err != nil {
		return nil, nil, err
	}
	if g != nil {
		more = append(more, g.ExternalIds...)
	}
	_, demands, err := s.inside(c, action, storeID, issuers("Group", more), r)
	return g, demands, err
}

// issuers is the condition key of those who gave external ids.
func issuers(kind string, ids []shape.ExternalId) policy.Context {
	var names []string
	for _, id := range ids {
		names = append(names, id.Issuer)
	}
	keys := policy.Context{}
	keys.Set("identitystore:"+kind+"ExternalIdIssuers", names...)
	return keys
}

// resolvePerson lets other services see that a user is there.
func (s *Service) resolvePerson(_ context.Context, sn *store.Snapshot, arn string) (*api.Foreign, error) {
	id, ok := strings.CutPrefix(arn, personARN("user", ""))
	if !ok {
		return nil, nil
	}
	_, r, err := s.userResource(sn, id)
	if err != nil {
		return nil, err
	}
	return &api.Foreign{Resource: r}, nil
}
