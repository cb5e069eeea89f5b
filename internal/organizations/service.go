// Package organizations keeps the one organization of a Bawn: its units, its
// accounts, and the service and resource control policies over them.
//
// It tells package authz what an account is now and which policies are in force
// over it (Account), which is on the path of every call, and makes new accounts:
// CreateAccount writes a request, and Run finishes it, with the role by which the
// management account enters the new one. It trusts package api to have decided
// every demand.
//
// Only principals of the management account manage, whatever their own account's
// policies say; to them no control policy applies. Whoever controls a member
// account, as its administrator too, can read what the organization is called, and
// nothing of the other accounts, units and policies; he can neither lift what is in
// force over him nor open an account that was closed. A policy that cannot be read
// any more refuses everything under it.
package organizations

import (
	"sync"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/organizations"
)

// Config is what the service is made of.
type Config struct {
	// Catalogue, when set, refuses policies with condition keys and actions that it
	// does not know.
	Catalogue policy.Catalogue
}

// Service is Organizations. It implements authz.Organization.
type Service struct {
	cfg Config

	mu        sync.RWMutex
	accounts  map[string]known // by id; bounded by how many accounts there are
	documents documents

	wake chan struct{} // an account was asked for
}

// New makes the service.
func New(cfg Config) (*Service, error) {
	return &Service{
		cfg: cfg, accounts: map[string]known{}, documents: documents{items: map[string]document{}}, wake: make(chan struct{}, 1),
	}, nil
}

const tagging = "organizations:TagResource"

// API is what the door serves.
func (s *Service) API() *api.Service {
	return &api.Service{Model: shape.Model(), Prefix: "organizations", Operations: []api.Operation{
		api.Write("CreateOrganization", s.newOrganization, s.createOrganization),
		api.Read("DescribeOrganization", s.describedOrganization, s.describeOrganization),
		api.Read("ListAWSServiceAccessForOrganization", s.listedServiceAccess, s.listServiceAccess),
		api.Read("ListDelegatedAdministrators", s.listedDelegates, s.listDelegatedAdministrators),

		api.Read("ListRoots", s.listedRoots, s.listRoots),
		api.Write("EnablePolicyType", s.enabledType, s.enablePolicyType),
		api.Write("DisablePolicyType", s.disabledType, s.disablePolicyType),

		api.Write("CreateOrganizationalUnit", s.newUnit, s.createUnit).Demands("organizations:CreateOrganizationalUnit", tagging),
		api.Read("DescribeOrganizationalUnit", s.describedUnit, s.describeUnit),
		api.Write("UpdateOrganizationalUnit", s.updatedUnit, s.updateUnit),
		api.Write("DeleteOrganizationalUnit", s.deletedUnit, s.deleteUnit),
		api.Read("ListOrganizationalUnitsForParent", s.listedUnits, s.listUnits),
		api.Read("ListChildren", s.listedChildren, s.listChildren),
		api.Read("ListParents", s.listedParents, s.listParents),

		api.Read("ListAccounts", s.listedAccounts, s.listAccounts),
		api.Read("ListAccountsForParent", s.listedAccountsForParent, s.listAccountsForParent),
		api.Read("DescribeAccount", s.describedAccount, s.describeAccount),
		api.Write("MoveAccount", s.movedAccount, s.moveAccount),
		api.Write("CloseAccount", s.closedAccount, s.closeAccount),
		api.Write("CreateAccount", s.newAccount, s.createAccount).Demands("organizations:CreateAccount", tagging),
		api.Read("DescribeCreateAccountStatus", s.describedRequest, s.describeCreateAccountStatus),
		api.Read("ListCreateAccountStatus", s.listedRequests, s.listCreateAccountStatus),

		api.Write("CreatePolicy", s.newPolicy, s.createPolicy).Demands("organizations:CreatePolicy", tagging),
		api.Read("DescribePolicy", s.describedPolicy, s.describePolicy),
		api.Write("UpdatePolicy", s.updatedPolicy, s.updatePolicy),
		api.Write("DeletePolicy", s.deletedPolicy, s.deletePolicy),
		api.Read("ListPolicies", s.listedPolicies, s.listPolicies),
		api.Write("AttachPolicy", s.attachedPolicy, s.attachPolicy),
		api.Write("DetachPolicy", s.detachedPolicy, s.detachPolicy),
		api.Read("ListPoliciesForTarget", s.listedTargetPolicies, s.listPoliciesForTarget),
		api.Read("ListTargetsForPolicy", s.listedTargets, s.listTargetsForPolicy),

		api.Write("TagResource", s.taggedResource, s.tagResource),
		api.Write("UntagResource", s.untaggedResource, s.untagResource),
		api.Read("ListTagsForResource", s.listedTags, s.listTags),
	}}
}
