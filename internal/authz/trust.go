package authz

import (
	"time"

	"bawn.dev/internal/policy"
)

// Trusts says whether a role lets a service of Bawn ("sagemaker.amazonaws.com")
// assume it for a resource. A user, and a role without a trust policy, trust
// nobody.
func (e *Entity) Trusts(service, sourceARN string, now time.Time) bool {
	if e == nil || e.Kind != Role || e.Trust == nil {
		return false
	}
	keys := policy.Context{}
	keys.Set("aws:PrincipalIsAWSService", "true")
	keys.Set("aws:PrincipalServiceName", service)
	keys.Set("aws:SourceArn", sourceARN)
	keys.Set("aws:SourceAccount", e.Account)
	keys.Set("aws:ResourceAccount", e.Account)
	keys.Set("aws:CurrentTime", now.UTC().Format(time.RFC3339))
	for name, value := range e.Tags {
		keys.Set("aws:ResourceTag/"+name, value)
	}
	return policy.Decide(&policy.Input{
		Action:          "sts:AssumeRole",
		Resource:        e.ARN,
		Principal:       policy.Principal{Kind: policy.Service, Account: e.Account, Service: service, ARN: service},
		ResourceAccount: e.Account,
		Context:         keys,
		ResourcePolicy:  e.Trust,
		RootOfTrust:     true,
	}).Allowed
}
