// Package iam is Identity and Access Management: users, their access keys and
// their groups, roles and their trust policies, inline and managed policies,
// permissions boundaries, and what describes an account as a whole.
//
// It tells package authz what a principal may do now (Principal), package api
// which secret signs for a long-term key (Credential), and other services what
// stands behind an IAM ARN (the resolver). It trusts package api to have decided
// every demand that a resolver states, and the key in Config. Whoever controls
// requests makes and changes exactly what his policies let him: a name never
// stands for an identity (entities are found by unique id, and the principals
// that a trust policy names are bound to the ids that they had when it was
// written), and a policy that is not exactly of the language is never stored.
// Whoever can read the database, but does not hold the key, learns no secret: keys
// and seeds of one-time codes are sealed, each to its row.
//
// Identity providers are trusted to say who somebody is, and only by roles whose
// trust policy names them; what they sign is for package sts to check. A one-time
// code counts once, for the user who showed two of its device's, and whoever guesses
// codes is slowed.
package iam

import (
	"errors"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

// Config is what the service is made of.
type Config struct {
	// Key seals the secrets of access keys.
	Key seal.Key
	// Catalogue, when set, refuses policies with condition keys that it does not
	// know, and trust policies with such actions.
	Catalogue policy.Catalogue
	// Region is where access keys and roles are said to be used.
	Region string
}

// Service is IAM. It implements authz.Principals, api.Credentials for long-term
// keys, and the session policies that sts asks for.
type Service struct {
	cfg          Config
	supplied     map[string]*managed // AWS-managed policies, by ARN
	suppliedByID map[string]*managed
	entities     *cache[*api.Entity] // by unique id
	secrets      *cache[*secret]     // by access key id
	policies     *cache[policy.Doc]  // customer-managed, by unique id
	notes        *notes              // of last uses
	tries        *tries              // at one-time codes
}

// How many entries the caches hold: those of a few full accounts at once. Parsed
// policies are shared between the entities that have them.
const (
	cachedEntities = 16384
	cachedSecrets  = 16384
	cachedPolicies = 4096
)

// New makes the service. It refuses a zero key.
func New(cfg Config) (*Service, error) {
	if cfg.Key == (seal.Key{}) {
		return nil, errors.New("iam: a key is needed to seal secrets with")
	}
	s := &Service{
		cfg:          cfg,
		suppliedByID: map[string]*managed{},
		entities:     newCache[*api.Entity](cachedEntities),
		secrets:      newCache[*secret](cachedSecrets),
		policies:     newCache[policy.Doc](cachedPolicies),
		notes:        newNotes(),
		tries:        newTries(),
	}
	var err error
	if s.supplied, err = suppliedPolicies(); err != nil {
		return nil, err
	}
	for _, m := range s.supplied {
		s.suppliedByID[m.id] = m
	}
	return s, nil
}

// API is what the door serves.
func (s *Service) API() *api.Service {
	return &api.Service{Model: shape.Model(), Prefix: "iam", Operations: s.operations(), Resolver: s.resolve}
}

func (s *Service) operations() []api.Operation {
	return slices.Concat(s.basicOperations(), s.userOperations(), s.groupOperations(), s.lastUsedOperations(),
		s.deviceOperations(), s.roleOperations(), s.usageOperations(), s.versionOperations(), s.boundaryOperations(), s.providerOperations(), s.accountOperations(), s.simulatorOperations())
}

func (s *Service) basicOperations() []api.Operation {
	return []api.Operation{
		api.Write("CreateUser", s.newUser, s.createUser).Demands("iam:CreateUser", "iam:TagUser"),
		api.Read("GetUser", s.gottenUser, s.getUser),
		api.Read("ListUsers", s.listedUsers, s.listUsers),
		api.Write("DeleteUser", s.deletedUser, s.deleteUser),

		api.Write("CreateAccessKey", s.newAccessKey, s.createAccessKey),
		api.Read("ListAccessKeys", s.listedAccessKeys, s.listAccessKeys),
		api.Write("UpdateAccessKey", s.updatedAccessKey, s.updateAccessKey),
		api.Write("DeleteAccessKey", s.deletedAccessKey, s.deleteAccessKey),

		api.Write("CreateRole", s.newRole, s.createRole).Demands("iam:CreateRole", "iam:TagRole"),
		api.Read("GetRole", s.gottenRole, s.getRole),
		api.Read("ListRoles", s.listedRoles, s.listRoles),
		api.Write("DeleteRole", s.deletedRole, s.deleteRole),
		api.Write("UpdateAssumeRolePolicy", s.retrustedRole, s.updateAssumeRolePolicy),
		api.Read("ListInstanceProfilesForRole", s.profiledRole, s.listInstanceProfilesForRole),

		api.Write("TagRole", s.taggedRole, s.tagRole),
		api.Write("UntagRole", s.untaggedRole, s.untagRole),
		api.Read("ListRoleTags", s.listedRoleTags, s.listRoleTags),

		api.Write("PutUserPolicy", s.writtenUserPolicy, s.putUserPolicy),
		api.Read("GetUserPolicy", s.gottenUserPolicy, s.getUserPolicy),
		api.Read("ListUserPolicies", s.listedUserPolicies, s.listUserPolicies),
		api.Write("DeleteUserPolicy", s.deletedUserPolicy, s.deleteUserPolicy),
		api.Write("PutRolePolicy", s.writtenRolePolicy, s.putRolePolicy),
		api.Read("GetRolePolicy", s.gottenRolePolicy, s.getRolePolicy),
		api.Read("ListRolePolicies", s.listedRolePolicies, s.listRolePolicies),
		api.Write("DeleteRolePolicy", s.deletedRolePolicy, s.deleteRolePolicy),

		api.Write("CreatePolicy", s.newPolicy, s.createPolicy).Demands("iam:CreatePolicy", "iam:TagPolicy"),
		api.Read("GetPolicy", s.gottenPolicy, s.getPolicy),
		api.Write("DeletePolicy", s.deletedPolicy, s.deletePolicy),

		api.Write("AttachUserPolicy", s.attachedToUser, s.attachUserPolicy),
		api.Write("DetachUserPolicy", s.detachedFromUser, s.detachUserPolicy),
		api.Read("ListAttachedUserPolicies", s.listedUserAttachments, s.listAttachedUserPolicies),
		api.Write("AttachRolePolicy", s.attachedToRole, s.attachRolePolicy),
		api.Write("DetachRolePolicy", s.detachedFromRole, s.detachRolePolicy),
		api.Read("ListAttachedRolePolicies", s.listedRoleAttachments, s.listAttachedRolePolicies),
	}
}

// A querier is a snapshot or a transaction.
type querier = store.Querier
