// Package accessgrants is S3 Access Grants: who may reach which objects, said by
// person, group, user or role and by prefix, and temporary credentials that reach
// just that.
//
// It trusts package api to decide who may ask and administer, the directory to know
// who is in which group now, and a location's role to be one that its administrator
// passed and that trusts access-grants.s3.amazonaws.com still. Whoever asks for
// credentials chooses a target, a permission and a length of time; she gets a session
// of the location's role whose session policy says her target and permission and no
// more, and which carries her: neither a shared role nor a shared location makes two
// people one. A prefix is text, compared byte by byte, and becomes part of a policy
// only with its wildcards escaped. Credentials that were given live until they expire,
// as with AWS, unless she is removed; a grant that is deleted, or a group that she
// left, gives no new ones.
package accessgrants

import (
	"context"
	"errors"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/s3control"
	"bawn.dev/internal/store"
)

// principal is whom the roles of locations must trust.
const principal = "access-grants.s3.amazonaws.com"

// A Directory knows people and their groups.
type Directory interface {
	// Instance names the identity centre and its directory.
	Instance(sn *store.Snapshot) (instanceARN, storeARN string, err error)
	// GroupsOf are the ids and names of the groups that a person is in.
	GroupsOf(sn *store.Snapshot, userID string) (ids, names []string, err error)
	// Known says whether there is a user, or a group.
	Known(sn *store.Snapshot, userID, groupID string) (bool, error)
}

// A Sessions makes the credentials of a role's session under a session policy. The
// caller has decided that it may be.
type Sessions interface {
	Issue(claim api.Claim, sessionPolicy string) (Credentials, error)
}

// Credentials are what a session signs with.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
}

// Config is what the service is made of. All of it is needed but Catalogue.
type Config struct {
	Region    string
	Directory Directory
	Sessions  Sessions
	// Catalogue knows the actions and condition keys that an instance's policy may
	// name; nil judges none.
	Catalogue policy.Catalogue
}

// A Service is S3 Access Grants.
type Service struct{ Config }

// New makes the service. It fails when something of Config is missing.
func New(cfg Config) (*Service, error) {
	if cfg.Region == "" || cfg.Directory == nil || cfg.Sessions == nil {
		return nil, errors.New("accessgrants: region, directory and sessions are needed")
	}
	return &Service{cfg}, nil
}

// API is what the door serves.
func (s *Service) API() *api.Service {
	return &api.Service{Model: shape.Model(), Prefix: "s3", Resolver: s.Resolve, Operations: []api.Operation{
		api.Write("CreateAccessGrantsInstance", s.newInstance, s.createInstance).Demands("s3:CreateAccessGrantsInstance", "s3:TagResource"),
		api.Read("GetAccessGrantsInstance", whole(s, "GetAccessGrantsInstance", func(in *shape.GetAccessGrantsInstanceInput) string { return in.AccountId }), s.getInstance),
		api.Write("DeleteAccessGrantsInstance", whole(s, "DeleteAccessGrantsInstance", func(in *shape.DeleteAccessGrantsInstanceInput) string { return in.AccountId }), s.deleteInstance),
		api.Read("ListAccessGrantsInstances", s.listedInstances, s.listInstances),
		api.Read("GetAccessGrantsInstanceForPrefix", s.soughtInstance, s.getInstanceForPrefix),
		api.Write("AssociateAccessGrantsIdentityCenter", whole(s, "AssociateAccessGrantsIdentityCenter", func(in *shape.AssociateAccessGrantsIdentityCenterInput) string { return in.AccountId }), s.associate),
		api.Write("DissociateAccessGrantsIdentityCenter", whole(s, "DissociateAccessGrantsIdentityCenter", func(in *shape.DissociateAccessGrantsIdentityCenterInput) string { return in.AccountId }), s.dissociate),

		api.Write("PutAccessGrantsInstanceResourcePolicy", whole(s, "PutAccessGrantsInstanceResourcePolicy", func(in *shape.PutAccessGrantsInstanceResourcePolicyInput) string { return in.AccountId }), s.putPolicy),
		api.Read("GetAccessGrantsInstanceResourcePolicy", whole(s, "GetAccessGrantsInstanceResourcePolicy", func(in *shape.GetAccessGrantsInstanceResourcePolicyInput) string { return in.AccountId }), s.getPolicy),
		api.Write("DeleteAccessGrantsInstanceResourcePolicy", whole(s, "DeleteAccessGrantsInstanceResourcePolicy", func(in *shape.DeleteAccessGrantsInstanceResourcePolicyInput) string { return in.AccountId }), s.deletePolicy),

		api.Write("CreateAccessGrantsLocation", s.newLocation, s.createLocation).Demands("s3:CreateAccessGrantsLocation", "s3:TagResource", "iam:PassRole"),
		api.Read("GetAccessGrantsLocation", s.shownLocation, s.getLocation),
		api.Write("UpdateAccessGrantsLocation", s.updatedLocation, s.updateLocation).Demands("s3:UpdateAccessGrantsLocation", "iam:PassRole"),
		api.Write("DeleteAccessGrantsLocation", s.deletedLocation, s.deleteLocation),
		api.Read("ListAccessGrantsLocations", whole(s, "ListAccessGrantsLocations", func(in *shape.ListAccessGrantsLocationsInput) string { return in.AccountId }), s.listLocations),

		api.Write("CreateAccessGrant", s.newGrant, s.createGrant).Demands("s3:CreateAccessGrant", "s3:TagResource"),
		api.Read("GetAccessGrant", s.shownGrant, s.getGrant),
		api.Write("DeleteAccessGrant", s.deletedGrant, s.deleteGrant),
		api.Read("ListAccessGrants", whole(s, "ListAccessGrants", func(in *shape.ListAccessGrantsInput) string { return in.AccountId }), s.listGrants),

		api.Read("GetDataAccess", whole(s, "GetDataAccess", func(in *shape.GetDataAccessInput) string { return in.AccountId }), s.getDataAccess).Silent(),
		api.Read("ListCallerAccessGrants", whole(s, "ListCallerAccessGrants", func(in *shape.ListCallerAccessGrantsInput) string { return in.AccountId }), s.listCallerGrants),

		api.Write("TagResource", s.tagged, s.tagResource),
		api.Write("UntagResource", s.untagged, s.untagResource),
		api.Read("ListTagsForResource", s.listedTags, s.listTags),
	}}
}

// Resolve finds instances, locations and grants by ARN.
func (s *Service) Resolve(_ context.Context, sn *store.Snapshot, name string) (*api.Foreign, error) {
	a, err := arn.Parse(name)
	if err != nil || a.Service != "s3" || a.Region != s.Region || !strings.HasPrefix(a.Resource, "access-grants/") {
		return nil, nil
	}
	t, err := s.thing(sn, a.Account, a.Resource)
	if err != nil || t == nil {
		return &api.Foreign{Resource: api.Resource{ARN: name, Account: a.Account, Missing: noSuchResource()}}, err
	}
	return &api.Foreign{Resource: t.resource}, nil
}
