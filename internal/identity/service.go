// Package identity is the identity centre: the directory of people and groups, the
// permission sets to which they are assigned in the organization's accounts, and the
// applications and token issuers through which people enter.
//
// It has one instance, in the management account, whose callers alone may change
// it. It trusts the caller of its operations as far as the pipeline allowed her.
// A person who was removed or disabled here is gone for every session that carries
// her, on the next call: package authz asks Present each time. So is one who lost
// the assignment to the application through which she came. An attacker who
// controls an attribute (a display name, an e-mail) controls text; what identifies
// a person is an id that this package made.
//
// A permission set is a role in each account where somebody is assigned to it. Run
// makes these roles, and takes them away, as the service principal sso.amazonaws.com:
// they trust nobody but the identity centre, and IAM lets nobody else make or change
// one, the account's administrator included. He does govern what a customer-managed
// policy says that a set refers to by name, as a boundary too, and can only not
// delete it: a limit that he must not lift is an AWS-managed policy, or the
// organization's. What changes in a set reaches its roles when it is provisioned
// again; on the way a role never may what it neither might before nor shall.
//
// Who loses an assignment, the group that has it or her place in that group is out of
// the role on her next call, with the credentials too that she was given before (at
// AWS they last until they expire): package authz asks Holds each time. A session that
// she began from there in another role of the account's lasts until it expires, which
// is an hour at most.
//
// What an identity provider says of a person and AWS's public API has no member for,
// is said here in the places that API leaves open: a new user's extension
// aws:identitystore:provisioning holds externalIds and userStatus, and an update may
// set the attributes of these names. They are decided and recorded like everything
// else, so that package scim needs no way in of its own.
package identity

import (
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/cache"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	directory "bawn.dev/internal/shape/identitystore"
	admin "bawn.dev/internal/shape/ssoadmin"
)

// Config says whose identity centre this is.
type Config struct {
	Account string // management account
	// Accounts, when not set, has none: nobody is assigned to anything.
	Accounts Accounts
	// Catalogue, when set, refuses inline policies with condition keys that it does
	// not know.
	Catalogue policy.Catalogue
	// Key seals the passwords with which other directories are read.
	Key seal.Key
}

// A Service is the identity centre.
type Service struct {
	account       string
	accounts      Accounts
	catalogue     policy.Catalogue
	key           seal.Key
	rules         *rules
	users, groups quota
	standings     *cache.Cache[standingKey, standing]
	holdings      *cache.Cache[holding, bool]
	assigned      *cache.Cache[standingKey, bool]
	applications  *cache.Cache[resolvedKey, *resolved]
	issuers       *cache.Cache[string, *admin.OidcJwtConfiguration]
	wake          chan struct{} // something was asked for that Run does
	asking        chan struct{} // passwords that other directories are asked about
}

// maxStandings bounds how many people's standing is remembered.
const maxStandings = 10_000

// New makes the service.
func New(cfg Config) (*Service, error) {
	if cfg.Account == "" {
		return nil, errors.New("identity: the management account is needed")
	}
	rules, err := newRules(directory.Model())
	if err != nil {
		return nil, err
	}
	return &Service{
		account: cfg.Account, accounts: cfg.Accounts, catalogue: cfg.Catalogue, key: cfg.Key, rules: rules, wake: make(chan struct{}, 1),
		asking:       make(chan struct{}, maxAsking),
		users:        quota{table: "identity_users", what: "users", max: maxPeople},
		groups:       quota{table: "identity_groups", what: "groups", max: maxGroups},
		standings:    cache.New[standingKey, standing](maxStandings, nil),
		holdings:     cache.New[holding, bool](maxStandings, nil),
		assigned:     cache.New[standingKey, bool](maxStandings, nil),
		applications: cache.New[resolvedKey, *resolved](maxApplications, nil),
		issuers:      cache.New[string, *admin.OidcJwtConfiguration](maxIssuers, nil),
	}, nil
}

// APIs lists what is served: identitystore and sso-admin.
func (s *Service) APIs() []*api.Service {
	return []*api.Service{
		{Model: directory.Model(), Prefix: "identitystore", Resolver: s.resolvePerson, Operations: []api.Operation{
			api.Write("CreateUser", s.newUser, s.createUser),
			api.Read("DescribeUser", s.describedUser, s.describeUser),
			api.Write("UpdateUser", s.changedUser, s.updateUser),
			api.Read("ListUsers", s.listedUsers, s.listUsers),
			api.Write("DeleteUser", s.deletedUser, s.deleteUser),
			api.Read("GetUserId", s.foundUser, s.getUserID),
			api.Write("CreateGroup", s.newGroup, s.createGroup),
			api.Read("DescribeGroup", s.describedGroup, s.describeGroup),
			api.Write("UpdateGroup", s.changedGroup, s.updateGroup),
			api.Read("ListGroups", s.listedGroups, s.listGroups),
			api.Write("DeleteGroup", s.deletedGroup, s.deleteGroup),
			api.Read("GetGroupId", s.foundGroup, s.getGroupID),
			api.Write("CreateGroupMembership", s.joinedGroup, s.createMembership),
			api.Read("DescribeGroupMembership", s.describedMembership, s.describeMembership),
			api.Read("GetGroupMembershipId", s.foundMembership, s.getMembershipID),
			api.Read("ListGroupMemberships", s.listedGroup, s.listMemberships),
			api.Read("ListGroupMembershipsForMember", s.listedMember, s.listMembershipsOf),
			api.Read("IsMemberInGroups", s.askedMember, s.isMember),
			api.Write("DeleteGroupMembership", s.deletedMembership, s.deleteMembership),
		}},
		{Model: admin.Model(), Prefix: "sso", Resolver: s.resolveApplication, Operations: s.administration()},
	}
}
