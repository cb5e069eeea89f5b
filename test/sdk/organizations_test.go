package sdk

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// The SDK for Go builds a tree, limits an account in it, and reads its own types of
// error and its own paginators.
func TestOrganization(t *testing.T) {
	admin := start(t).admin(t)
	inside := member(t, admin)
	org := organizations.NewFromConfig(admin)
	root := call(t, org.ListRoots, organizations.ListRootsInput{}).Roots[0].Id

	var made []string
	for _, name := range []string{"a", "b", "c"} {
		made = append(made, *call(t, org.CreateOrganizationalUnit, organizations.CreateOrganizationalUnitInput{ParentId: root, Name: &name}).OrganizationalUnit.Id)
	}
	var listed []string
	pages := organizations.NewListOrganizationalUnitsForParentPaginator(org, &organizations.ListOrganizationalUnitsForParentInput{ParentId: root, MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page := must[*organizations.ListOrganizationalUnitsForParentOutput](t)(pages.NextPage(t.Context()))
		for _, u := range page.OrganizationalUnits {
			listed = append(listed, *u.Id)
		}
	}
	slices.Sort(made)
	if !slices.Equal(listed, made) {
		t.Errorf("listed %v of %v", listed, made)
	}

	call(t, org.EnablePolicyType, organizations.EnablePolicyTypeInput{RootId: root, PolicyType: orgtypes.PolicyTypeServiceControlPolicy})
	policy := call(t, org.CreatePolicy, organizations.CreatePolicyInput{
		Type: orgtypes.PolicyTypeServiceControlPolicy, Name: aws.String("no buckets"), Description: aws.String(""),
		Content: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:ListAllMyBuckets","Resource":"*"}]}`),
	}).Policy.PolicySummary.Id
	buckets := s3.NewFromConfig(inside)
	call(t, buckets.ListBuckets, s3.ListBucketsInput{})
	call(t, org.AttachPolicy, organizations.AttachPolicyInput{PolicyId: policy, TargetId: root})
	if _, err := buckets.ListBuckets(t.Context(), &s3.ListBucketsInput{}); err == nil || !strings.Contains(err.Error(), "explicit deny in a service control policy") {
		t.Errorf("listing is answered %v", err)
	}

	_, err := org.DeletePolicy(t.Context(), &organizations.DeletePolicyInput{PolicyId: policy})
	var inUse *orgtypes.PolicyInUseException
	if !errors.As(err, &inUse) {
		t.Errorf("deleting is answered %v", err)
	}
	call(t, org.DetachPolicy, organizations.DetachPolicyInput{PolicyId: policy, TargetId: root})
	_, err = org.DetachPolicy(t.Context(), &organizations.DetachPolicyInput{PolicyId: aws.String("p-FullAWSAccess"), TargetId: root})
	var limit *orgtypes.ConstraintViolationException
	if !errors.As(err, &limit) || limit.Reason != orgtypes.ConstraintViolationExceptionReasonMinPolicyTypeAttachmentLimitExceeded {
		t.Errorf("the last policy goes with %v", err)
	}
	call(t, buckets.ListBuckets, s3.ListBucketsInput{})
}
