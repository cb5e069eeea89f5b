package iam

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
)

func (s *Service) summarized(context.Context, *api.Call, *shape.GetAccountSummaryInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("iam:GetAccountSummary", api.Any), nil
}

// quotas are what an account may have. The zeros are of what cannot be here: root
// users with passwords, keys or devices, certificates, instance profiles.
var quotas = map[shape.SummaryKeyType]int32{
	"UsersQuota": maxUsers, "GroupsQuota": maxGroups, "RolesQuota": maxRoles, "PoliciesQuota": maxPolicies,
	"GroupsPerUserQuota": maxGroupsPerUser, "AccessKeysPerUserQuota": maxAccessKeys,
	"AttachedPoliciesPerUserQuota": maxAttached, "AttachedPoliciesPerGroupQuota": maxAttached, "AttachedPoliciesPerRoleQuota": maxAttached,
	"UserPolicySizeQuota": maxUserInline, "GroupPolicySizeQuota": maxGroupInline, "RolePolicySizeQuota": maxRoleInline,
	"PolicySizeQuota": maxManagedDocument, "AssumeRolePolicySizeQuota": maxTrustDocument,
	"VersionsPerPolicyQuota": maxVersions, "PolicyVersionsInUseQuota": 10000,
	"GlobalEndpointTokenVersion": 2,
	"AccountMFAEnabled":          0, "AccountAccessKeysPresent": 0, "AccountPasswordPresent": 0, "AccountSigningCertificatesPresent": 0,
	"ServerCertificates": 0, "ServerCertificatesQuota": 20, "SigningCertificatesPerUserQuota": 2,
	"InstanceProfiles": 0, "InstanceProfilesQuota": 1000,
}

// counts are the queries of what an account has.
var counts = map[shape.SummaryKeyType]string{
	"Users":               `SELECT COUNT(*) FROM iam_entities WHERE account = ? AND kind = 'User'`,
	"Groups":              `SELECT COUNT(*) FROM iam_entities WHERE account = ? AND kind = 'Group'`,
	"Roles":               `SELECT COUNT(*) FROM iam_entities WHERE account = ? AND kind = 'Role'`,
	"Policies":            `SELECT COUNT(*) FROM iam_policies WHERE account = ?`,
	"Providers":           `SELECT COUNT(*) FROM iam_providers WHERE account = ?`,
	"MFADevices":          `SELECT COUNT(*) FROM iam_devices WHERE account = ?`,
	"MFADevicesInUse":     `SELECT COUNT(*) FROM iam_devices WHERE account = ? AND owner <> ''`,
	"PolicyVersionsInUse": `SELECT COUNT(*) FROM iam_policy_versions v JOIN iam_policies p ON p.id = v.policy WHERE p.account = ?`,
}

func (s *Service) getAccountSummary(_ context.Context, c *api.Call, _ *shape.GetAccountSummaryInput, _ struct{}) (*shape.GetAccountSummaryOutput, error) {
	all := map[shape.SummaryKeyType]int32{}
	for name, n := range quotas {
		all[name] = n
	}
	for name, query := range counts {
		n, err := count(c.Snapshot, query, c.Account)
		if err != nil {
			return nil, err
		}
		all[name] = int32(n)
	}
	return &shape.GetAccountSummaryOutput{SummaryMap: all}, nil
}
