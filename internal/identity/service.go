// Package identity is the identity centre: the directory of people and groups, and
// the applications and token issuers through which people enter.
//
// It has one instance, in the management account, whose callers alone may change
// it. It trusts the caller of its operations as far as the pipeline allowed her.
// A person who was removed or disabled here is gone for every session that carries
// her, on the next call: package authz asks Present each time. So is one who lost
// the assignment to the application through which she came. An attacker who
// controls an attribute (a display name, an e-mail) controls text; what identifies
// a person is an id that this package made.
//
// What an identity provider says of a person and AWS's public API has no member for,
// is said here in the places that API leaves open: a new user's extension
// aws:identitystore:provisioning holds externalIds and userStatus, and an update may
// set the attributes of these names. They are decided and recorded like everything
// else, so that package scim needs no way in of its own.
package identity

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/cache"
	directory "bawn.dev/internal/shape/identitystore"
	admin "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// Config says whose identity centre this is.
type Config struct {
	Account string // management account
}

// A Service is the identity centre.
type Service struct {
	account       string
	rules         *rules
	users, groups quota
	standings     *cache.Cache[standingKey, standing]
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
		account: cfg.Account, rules: rules,
		users:     quota{table: "identity_users", what: "users", max: maxPeople},
		groups:    quota{table: "identity_groups", what: "groups", max: maxGroups},
		standings: cache.New[standingKey, standing](maxStandings, nil),
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
		{Model: admin.Model(), Prefix: "sso", Resolver: s.resolveApplication, Operations: []api.Operation{
			api.Read("ListInstances", s.anyInstance, s.listInstances),
			api.Write("CreateApplication", s.newApplication, s.createApplication),
			api.Read("DescribeApplication", of(s, "sso:DescribeApplication", func(in *admin.DescribeApplicationInput) string { return in.ApplicationArn }), s.describeApplication),
			api.Write("DeleteApplication", of(s, "sso:DeleteApplication", func(in *admin.DeleteApplicationInput) string { return in.ApplicationArn }), s.deleteApplication),
			api.Read("ListApplications", s.listedApplications, s.listApplications),
			api.Write("PutApplicationGrant", of(s, "sso:PutApplicationGrant", func(in *admin.PutApplicationGrantInput) string { return in.ApplicationArn }), s.putGrant),
			api.Read("GetApplicationGrant", of(s, "sso:GetApplicationGrant", func(in *admin.GetApplicationGrantInput) string { return in.ApplicationArn }), s.getGrant),
			api.Write("PutApplicationAccessScope", of(s, "sso:PutApplicationAccessScope", func(in *admin.PutApplicationAccessScopeInput) string { return in.ApplicationArn }), s.putScope),
			api.Write("PutApplicationAuthenticationMethod", of(s, "sso:PutApplicationAuthenticationMethod", func(in *admin.PutApplicationAuthenticationMethodInput) string { return in.ApplicationArn }), s.putMethod),
			api.Read("GetApplicationAuthenticationMethod", of(s, "sso:GetApplicationAuthenticationMethod", func(in *admin.GetApplicationAuthenticationMethodInput) string { return in.ApplicationArn }), s.getMethod),
			api.Write("PutApplicationAssignmentConfiguration", of(s, "sso:PutApplicationAssignmentConfiguration", func(in *admin.PutApplicationAssignmentConfigurationInput) string { return in.ApplicationArn }), s.putAssignmentConfiguration),
			api.Write("CreateApplicationAssignment", of(s, "sso:CreateApplicationAssignment", func(in *admin.CreateApplicationAssignmentInput) string { return in.ApplicationArn }), s.createAssignment),
			api.Write("DeleteApplicationAssignment", of(s, "sso:DeleteApplicationAssignment", func(in *admin.DeleteApplicationAssignmentInput) string { return in.ApplicationArn }), s.deleteAssignment),
			api.Read("ListApplicationAssignments", of(s, "sso:ListApplicationAssignments", func(in *admin.ListApplicationAssignmentsInput) string { return in.ApplicationArn }), s.listAssignments),
			api.Write("CreateTrustedTokenIssuer", s.newIssuer, s.createIssuer),
			api.Read("DescribeTrustedTokenIssuer", s.describedIssuer, s.describeIssuer),
			api.Write("DeleteTrustedTokenIssuer", s.deletedIssuer, s.deleteIssuer),
			api.Read("ListTrustedTokenIssuers", s.listedIssuers, s.listIssuers),
		}},
	}
}

// An instance is the one identity centre: its id and that of its directory.
type instance struct {
	id, store string // ssoins-…, d-…
	created   time.Time
	account   string
}

func (i instance) arn() string { return "arn:aws:sso:::instance/" + i.id }
func (i instance) storeARN() string {
	return "arn:aws:identitystore::" + i.account + ":identitystore/" + i.store
}

// Bootstrap makes the instance.
func (s *Service) Bootstrap(tx *store.Tx, now time.Time) error {
	var random [12]byte
	rand.Read(random[:])
	_, err := tx.Exec(`INSERT INTO identity_instance (id, instance, store, created) VALUES (1, ?, ?, ?)`,
		fmt.Sprintf("ssoins-%x", random[:8]), fmt.Sprintf("d-%x", random[7:12]), now.UnixMicro())
	return err
}

func (s *Service) instance(q store.Querier) (instance, error) {
	i := instance{account: s.account}
	var created int64
	err := q.QueryRow(`SELECT instance, store, created FROM identity_instance WHERE id = 1`).Scan(&i.id, &i.store, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return i, errors.New("identity: the instance was never made")
	}
	i.created = time.UnixMicro(created).UTC()
	return i, err
}

// Instance names the identity centre and its directory.
func (s *Service) Instance(sn *store.Snapshot) (instanceARN, storeARN string, err error) {
	i, err := s.instance(sn)
	return i.arn(), i.storeARN(), err
}

// anyInstance is for the one operation that names no instance.
func (s *Service) anyInstance(_ context.Context, c *api.Call, _ *admin.ListInstancesInput) (instance, []api.Demand, error) {
	i, err := s.instance(c.Snapshot)
	return i, api.On("sso:ListInstances", api.Any), err
}

func (s *Service) listInstances(_ context.Context, c *api.Call, _ *admin.ListInstancesInput, i instance) (*admin.ListInstancesOutput, error) {
	return &admin.ListInstancesOutput{Instances: []admin.InstanceMetadata{{
		InstanceArn: i.arn(), IdentityStoreId: i.store, OwnerAccountId: s.account,
		CreatedDate: i.created, Status: admin.InstanceStatusActive,
	}}}, nil
}
