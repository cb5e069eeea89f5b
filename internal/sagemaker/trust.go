package sagemaker

import (
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
)

// trusts says whether a role lets the service assume it for a job.
func trusts(role *api.Entity, job string, now time.Time) bool {
	if role == nil || role.Kind != api.KindRole || role.Trust == nil {
		return false
	}
	keys := policy.Context{}
	keys.Set("aws:PrincipalIsAWSService", "true")
	keys.Set("aws:PrincipalServiceName", principal)
	keys.Set("aws:SourceArn", job)
	keys.Set("aws:SourceAccount", role.Account)
	keys.Set("aws:ResourceAccount", role.Account)
	keys.Set("aws:CurrentTime", now.UTC().Format(time.RFC3339))
	for name, value := range role.Tags {
		keys.Set("aws:ResourceTag/"+name, value)
	}
	return policy.Decide(&policy.Input{
		Action:          "sts:AssumeRole",
		Resource:        role.ARN,
		Principal:       policy.Principal{Kind: policy.Service, Account: role.Account, Service: principal, ARN: principal},
		ResourceAccount: role.Account,
		Context:         keys,
		ResourcePolicy:  role.Trust,
		RootOfTrust:     true,
	}).Allowed
}

func untrusted(role string) *api.Error {
	return invalid("Could not assume role %s. Please ensure that the role exists and allows principal '%s' to assume the role.", role, principal)
}
