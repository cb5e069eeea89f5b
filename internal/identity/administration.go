package identity

import (
	"slices"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssoadmin"
)

// administration is what is served of sso-admin.
func (s *Service) administration() []api.Operation {
	return slices.Concat(s.instanceOperations(), s.setOperations(), s.accountOperations(), s.applicationOperations(), s.issuerOperations())
}

func (s *Service) instanceOperations() []api.Operation {
	return []api.Operation{
		api.Read("ListInstances", s.anyInstance, s.listInstances),
		api.Read("DescribeInstance", s.describedInstance, s.describeInstance),
		api.Write("UpdateInstance", s.updatedInstance, s.updateInstance),
		api.Write("TagResource", s.taggedResource, s.tagResource),
		api.Write("UntagResource", s.untaggedResource, s.untagResource),
		api.Read("ListTagsForResource", s.listedTags, s.listTags),

		api.Write("CreateInstanceAccessControlAttributeConfiguration", inInstance(s, "sso:CreateInstanceAccessControlAttributeConfiguration", func(in *shape.CreateInstanceAccessControlAttributeConfigurationInput) string { return in.InstanceArn }), s.createConfiguration),
		api.Read("DescribeInstanceAccessControlAttributeConfiguration", inInstance(s, "sso:DescribeInstanceAccessControlAttributeConfiguration", func(in *shape.DescribeInstanceAccessControlAttributeConfigurationInput) string { return in.InstanceArn }), s.describeConfiguration),
		api.Write("UpdateInstanceAccessControlAttributeConfiguration", inInstance(s, "sso:UpdateInstanceAccessControlAttributeConfiguration", func(in *shape.UpdateInstanceAccessControlAttributeConfigurationInput) string { return in.InstanceArn }), s.updateConfiguration),
		api.Write("DeleteInstanceAccessControlAttributeConfiguration", inInstance(s, "sso:DeleteInstanceAccessControlAttributeConfiguration", func(in *shape.DeleteInstanceAccessControlAttributeConfigurationInput) string { return in.InstanceArn }), s.deleteConfiguration),
	}
}

func (s *Service) setOperations() []api.Operation {
	return []api.Operation{
		api.Write("CreatePermissionSet", s.newPermissionSet, s.createPermissionSet).Demands("sso:CreatePermissionSet", tagging),
		api.Read("DescribePermissionSet", inSet(s, "sso:DescribePermissionSet", func(in *shape.DescribePermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.describePermissionSet),
		api.Write("UpdatePermissionSet", inSet(s, "sso:UpdatePermissionSet", func(in *shape.UpdatePermissionSetInput) (string, string) { return in.InstanceArn, in.PermissionSetArn }), s.updatePermissionSet),
		api.Write("DeletePermissionSet", inSet(s, "sso:DeletePermissionSet", func(in *shape.DeletePermissionSetInput) (string, string) { return in.InstanceArn, in.PermissionSetArn }), s.deletePermissionSet),
		api.Read("ListPermissionSets", s.listedPermissionSets, s.listPermissionSets),

		api.Write("PutInlinePolicyToPermissionSet", inSet(s, "sso:PutInlinePolicyToPermissionSet", func(in *shape.PutInlinePolicyToPermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.putInline),
		api.Read("GetInlinePolicyForPermissionSet", inSet(s, "sso:GetInlinePolicyForPermissionSet", func(in *shape.GetInlinePolicyForPermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.getInline),
		api.Write("DeleteInlinePolicyFromPermissionSet", inSet(s, "sso:DeleteInlinePolicyFromPermissionSet", func(in *shape.DeleteInlinePolicyFromPermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.deleteInline),
		api.Write("AttachManagedPolicyToPermissionSet", inSet(s, "sso:AttachManagedPolicyToPermissionSet", func(in *shape.AttachManagedPolicyToPermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.attachManaged),
		api.Write("DetachManagedPolicyFromPermissionSet", inSet(s, "sso:DetachManagedPolicyFromPermissionSet", func(in *shape.DetachManagedPolicyFromPermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.detachManaged),
		api.Read("ListManagedPoliciesInPermissionSet", inSet(s, "sso:ListManagedPoliciesInPermissionSet", func(in *shape.ListManagedPoliciesInPermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.listManaged),
		api.Write("AttachCustomerManagedPolicyReferenceToPermissionSet", inSet(s, "sso:AttachCustomerManagedPolicyReferenceToPermissionSet", func(in *shape.AttachCustomerManagedPolicyReferenceToPermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.attachCustomer),
		api.Write("DetachCustomerManagedPolicyReferenceFromPermissionSet", inSet(s, "sso:DetachCustomerManagedPolicyReferenceFromPermissionSet", func(in *shape.DetachCustomerManagedPolicyReferenceFromPermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.detachCustomer),
		api.Read("ListCustomerManagedPolicyReferencesInPermissionSet", inSet(s, "sso:ListCustomerManagedPolicyReferencesInPermissionSet", func(in *shape.ListCustomerManagedPolicyReferencesInPermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.listCustomer),
		api.Write("PutPermissionsBoundaryToPermissionSet", inSet(s, "sso:PutPermissionsBoundaryToPermissionSet", func(in *shape.PutPermissionsBoundaryToPermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.putBoundary),
		api.Read("GetPermissionsBoundaryForPermissionSet", inSet(s, "sso:GetPermissionsBoundaryForPermissionSet", func(in *shape.GetPermissionsBoundaryForPermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.getBoundary),
		api.Write("DeletePermissionsBoundaryFromPermissionSet", inSet(s, "sso:DeletePermissionsBoundaryFromPermissionSet", func(in *shape.DeletePermissionsBoundaryFromPermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.deleteBoundary),

		api.Write("ProvisionPermissionSet", s.provisionedSet, s.provisionSet),
		api.Read("DescribePermissionSetProvisioningStatus", inInstance(s, "sso:DescribePermissionSetProvisioningStatus", func(in *shape.DescribePermissionSetProvisioningStatusInput) string { return in.InstanceArn }), s.describeProvisioning),
		api.Read("ListPermissionSetProvisioningStatus", inInstance(s, "sso:ListPermissionSetProvisioningStatus", func(in *shape.ListPermissionSetProvisioningStatusInput) string { return in.InstanceArn }), s.listProvisionings),
		api.Read("ListPermissionSetsProvisionedToAccount", s.listedAccount, s.listProvisionedSets),
		api.Read("ListAccountsForProvisionedPermissionSet", inSet(s, "sso:ListAccountsForProvisionedPermissionSet", func(in *shape.ListAccountsForProvisionedPermissionSetInput) (string, string) {
			return in.InstanceArn, in.PermissionSetArn
		}), s.listProvisionedAccounts),
	}
}

func (s *Service) accountOperations() []api.Operation {
	return []api.Operation{
		api.Write("CreateAccountAssignment", inAccount(s, "sso:CreateAccountAssignment", func(in *shape.CreateAccountAssignmentInput) (string, string, string) {
			return in.InstanceArn, in.PermissionSetArn, in.TargetId
		}), s.createAccountAssignment),
		api.Write("DeleteAccountAssignment", inAccount(s, "sso:DeleteAccountAssignment", func(in *shape.DeleteAccountAssignmentInput) (string, string, string) {
			return in.InstanceArn, in.PermissionSetArn, in.TargetId
		}), s.deleteAccountAssignment),
		api.Read("DescribeAccountAssignmentCreationStatus", inInstance(s, "sso:DescribeAccountAssignmentCreationStatus", func(in *shape.DescribeAccountAssignmentCreationStatusInput) string { return in.InstanceArn }), s.describeCreation),
		api.Read("DescribeAccountAssignmentDeletionStatus", inInstance(s, "sso:DescribeAccountAssignmentDeletionStatus", func(in *shape.DescribeAccountAssignmentDeletionStatusInput) string { return in.InstanceArn }), s.describeDeletion),
		api.Read("ListAccountAssignmentCreationStatus", inInstance(s, "sso:ListAccountAssignmentCreationStatus", func(in *shape.ListAccountAssignmentCreationStatusInput) string { return in.InstanceArn }), s.listCreations),
		api.Read("ListAccountAssignmentDeletionStatus", inInstance(s, "sso:ListAccountAssignmentDeletionStatus", func(in *shape.ListAccountAssignmentDeletionStatusInput) string { return in.InstanceArn }), s.listDeletions),
		api.Read("ListAccountAssignments", inAccount(s, "sso:ListAccountAssignments", func(in *shape.ListAccountAssignmentsInput) (string, string, string) {
			return in.InstanceArn, in.PermissionSetArn, in.AccountId
		}), s.listAccountAssignments),
		api.Read("ListAccountAssignmentsForPrincipal", s.listedPrincipal, s.listForPrincipal),
	}
}

func (s *Service) applicationOperations() []api.Operation {
	return []api.Operation{
		api.Write("CreateApplication", s.newApplication, s.createApplication).Demands("sso:CreateApplication", tagging),
		api.Read("DescribeApplication", of(s, "sso:DescribeApplication", func(in *shape.DescribeApplicationInput) string { return in.ApplicationArn }), s.describeApplication),
		api.Write("UpdateApplication", of(s, "sso:UpdateApplication", func(in *shape.UpdateApplicationInput) string { return in.ApplicationArn }), s.updateApplication),
		api.Write("DeleteApplication", of(s, "sso:DeleteApplication", func(in *shape.DeleteApplicationInput) string { return in.ApplicationArn }), s.deleteApplication),
		api.Read("ListApplications", s.listedApplications, s.listApplications),
		api.Read("ListApplicationProviders", s.listedProviders, s.listProviders),
		api.Read("DescribeApplicationProvider", s.describedProvider, s.describeProvider),

		api.Write("PutApplicationGrant", of(s, "sso:PutApplicationGrant", func(in *shape.PutApplicationGrantInput) string { return in.ApplicationArn }), s.putGrant),
		api.Read("GetApplicationGrant", of(s, "sso:GetApplicationGrant", func(in *shape.GetApplicationGrantInput) string { return in.ApplicationArn }), s.getGrant),
		api.Write("DeleteApplicationGrant", of(s, "sso:DeleteApplicationGrant", func(in *shape.DeleteApplicationGrantInput) string { return in.ApplicationArn }), s.deleteGrant),
		api.Read("ListApplicationGrants", of(s, "sso:ListApplicationGrants", func(in *shape.ListApplicationGrantsInput) string { return in.ApplicationArn }), s.listGrants),
		api.Write("PutApplicationAccessScope", of(s, "sso:PutApplicationAccessScope", func(in *shape.PutApplicationAccessScopeInput) string { return in.ApplicationArn }), s.putScope),
		api.Read("GetApplicationAccessScope", of(s, "sso:GetApplicationAccessScope", func(in *shape.GetApplicationAccessScopeInput) string { return in.ApplicationArn }), s.getScope),
		api.Write("DeleteApplicationAccessScope", of(s, "sso:DeleteApplicationAccessScope", func(in *shape.DeleteApplicationAccessScopeInput) string { return in.ApplicationArn }), s.deleteScope),
		api.Read("ListApplicationAccessScopes", of(s, "sso:ListApplicationAccessScopes", func(in *shape.ListApplicationAccessScopesInput) string { return in.ApplicationArn }), s.listScopes),
		api.Write("PutApplicationAuthenticationMethod", of(s, "sso:PutApplicationAuthenticationMethod", func(in *shape.PutApplicationAuthenticationMethodInput) string { return in.ApplicationArn }), s.putMethod),
		api.Read("GetApplicationAuthenticationMethod", of(s, "sso:GetApplicationAuthenticationMethod", func(in *shape.GetApplicationAuthenticationMethodInput) string { return in.ApplicationArn }), s.getMethod),
		api.Write("DeleteApplicationAuthenticationMethod", of(s, "sso:DeleteApplicationAuthenticationMethod", func(in *shape.DeleteApplicationAuthenticationMethodInput) string { return in.ApplicationArn }), s.deleteMethod),
		api.Read("ListApplicationAuthenticationMethods", of(s, "sso:ListApplicationAuthenticationMethods", func(in *shape.ListApplicationAuthenticationMethodsInput) string { return in.ApplicationArn }), s.listMethods),
		api.Write("PutApplicationSessionConfiguration", of(s, "sso:PutApplicationSessionConfiguration", func(in *shape.PutApplicationSessionConfigurationInput) string { return in.ApplicationArn }), s.putSessionConfiguration),
		api.Read("GetApplicationSessionConfiguration", of(s, "sso:GetApplicationSessionConfiguration", func(in *shape.GetApplicationSessionConfigurationInput) string { return in.ApplicationArn }), s.getSessionConfiguration),
		api.Write("PutApplicationAssignmentConfiguration", of(s, "sso:PutApplicationAssignmentConfiguration", func(in *shape.PutApplicationAssignmentConfigurationInput) string { return in.ApplicationArn }), s.putAssignmentConfiguration),
		api.Read("GetApplicationAssignmentConfiguration", of(s, "sso:GetApplicationAssignmentConfiguration", func(in *shape.GetApplicationAssignmentConfigurationInput) string { return in.ApplicationArn }), s.getAssignmentConfiguration),
		api.Write("CreateApplicationAssignment", of(s, "sso:CreateApplicationAssignment", func(in *shape.CreateApplicationAssignmentInput) string { return in.ApplicationArn }), s.createAssignment),
		api.Read("DescribeApplicationAssignment", of(s, "sso:DescribeApplicationAssignment", func(in *shape.DescribeApplicationAssignmentInput) string { return in.ApplicationArn }), s.describeAssignment),
		api.Write("DeleteApplicationAssignment", of(s, "sso:DeleteApplicationAssignment", func(in *shape.DeleteApplicationAssignmentInput) string { return in.ApplicationArn }), s.deleteAssignment),
		api.Read("ListApplicationAssignments", of(s, "sso:ListApplicationAssignments", func(in *shape.ListApplicationAssignmentsInput) string { return in.ApplicationArn }), s.listAssignments),
		api.Read("ListApplicationAssignmentsForPrincipal", s.listedAssignmentsForPrincipal, s.listAssignmentsForPrincipal),
	}
}

func (s *Service) issuerOperations() []api.Operation {
	return []api.Operation{
		api.Write("CreateTrustedTokenIssuer", s.newIssuer, s.createIssuer).Demands("sso:CreateTrustedTokenIssuer", tagging),
		api.Read("DescribeTrustedTokenIssuer", s.describedIssuer, s.describeIssuer),
		api.Write("UpdateTrustedTokenIssuer", s.updatedIssuer, s.updateIssuer),
		api.Write("DeleteTrustedTokenIssuer", s.deletedIssuer, s.deleteIssuer),
		api.Read("ListTrustedTokenIssuers", s.listedIssuers, s.listIssuers),
	}
}
