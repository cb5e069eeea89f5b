package iam

import (
	"strings"
	"testing"

	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/policy"
)

// Every document that we supply is one that a customer could store: of the
// language, of known actions and keys, within the quota. A wildcard stands for
// some action that exists.
func TestSuppliedPolicies(t *testing.T) {
	h := newHouse(t)
	known := catalogue.New()
	names, ids := map[string]bool{}, map[string]bool{}
	for arn, m := range h.iam.supplied {
		if arn != m.arn() || names[fold(m.name)] || ids[m.id] || h.iam.suppliedByID[m.id] != m {
			t.Errorf("%s is supplied as %s", m.arn(), arn)
		}
		names[fold(m.name)], ids[m.id] = true, true
		if found := policy.Validate(m.doc.Policy, known); len(found) > 0 {
			t.Errorf("%s: %v", m.name, found)
		}
		if _, err := h.iam.read(m.document, policy.Identity, maxManagedDocument); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	for _, path := range []string{"job-function/ViewOnlyAccess", "job-function/DataScientist", "AdministratorAccess", "SecurityAudit"} {
		if h.iam.supplied["arn:aws:iam::aws:policy/"+path] == nil {
			t.Errorf("no %s", path)
		}
	}
	// Sessions and attachments hold this id.
	if id := h.iam.supplied[admins].id; id != "ANPAXUEARDEVTUHKHZ23E" {
		t.Errorf("AdministratorAccess has become %s", id)
	}
}

// What a policy is called is what it does.
func TestSuppliedPoliciesMean(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		name       string
		yes, never string
	}{
		{"ReadOnlyAccess", "s3:GetObject iam:ListUsers kms:DescribeKey", "s3:PutObject iam:CreateUser kms:Decrypt"},
		{"PowerUserAccess", "s3:PutObject kms:CreateKey ec2:CreateVpc iam:ListRoles sagemaker:CreateTrainingJob",
			"iam:CreateUser iam:PassRole organizations:CreateAccount sso:CreateApplication identitystore:CreateUser"},
		{"IAMFullAccess", "iam:CreateUser organizations:DescribeOrganization", "organizations:CreateAccount s3:GetObject"},
		{"IAMReadOnlyAccess", "iam:GetUser iam:SimulatePrincipalPolicy", "iam:CreateUser iam:PassRole"},
		{"AmazonS3FullAccess", "s3:DeleteObject", "kms:Decrypt"},
		{"AmazonS3ReadOnlyAccess", "s3:GetObject s3:ListBucket", "s3:PutObject s3:DeleteBucket"},
		{"AmazonSageMakerReadOnly", "sagemaker:DescribeTrainingJob", "sagemaker:CreateTrainingJob sagemaker:InvokeEndpoint iam:PassRole"},
		{"AWSKeyManagementServicePowerUser", "kms:CreateKey kms:DescribeKey", "kms:Decrypt kms:PutKeyPolicy kms:ScheduleKeyDeletion"},
		{"CloudWatchLogsFullAccess", "logs:DeleteLogGroup", "s3:GetObject"},
		{"CloudWatchLogsReadOnlyAccess", "logs:GetLogEvents", "logs:PutLogEvents"},
		{"AWSCloudTrail_FullAccess", "cloudtrail:StopLogging", "s3:CreateBucket iam:PassRole"},
		{"AWSCloudTrail_ReadOnlyAccess", "cloudtrail:LookupEvents", "cloudtrail:StopLogging"},
		{"AmazonVPCFullAccess", "ec2:CreateVpc ec2:DeleteVpcEndpoints ec2:CreateFlowLogs", "ec2:RunInstances iam:PassRole"},
		{"AmazonVPCReadOnlyAccess", "ec2:DescribeVpcs ec2:DescribeVpcEndpoints", "ec2:CreateVpc"},
		{"AWSOrganizationsFullAccess", "organizations:AttachPolicy", "iam:CreateUser"},
		{"AWSOrganizationsReadOnlyAccess", "organizations:ListAccounts", "organizations:AttachPolicy"},
		{"SecurityAudit", "iam:GetRole s3:GetBucketPolicy kms:GetKeyPolicy ec2:DescribeSecurityGroups", "s3:GetObject logs:GetLogEvents kms:Decrypt iam:CreateUser"},
		{"job-function/ViewOnlyAccess", "s3:ListBucket iam:ListUsers", "s3:GetObject iam:GetRole logs:GetLogEvents"},
		{"job-function/DataScientist", "sagemaker:CreateTrainingJob s3:PutObject", "iam:CreateRole iam:PassRole kms:Decrypt"},
		{"AWSSSOReadOnly", "sso:ListApplications identitystore:ListUsers", "sso:CreateApplication identitystore:CreateUser"},
		{"AWSSSOMasterAccountAdministrator", "sso:CreateApplication identitystore:CreateUser", "iam:CreateRole organizations:CreateAccount"},
		{"AWSDenyAll", "", "s3:GetObject sts:AssumeRole"},
	} {
		m := h.iam.supplied["arn:aws:iam::aws:policy/"+c.name]
		if m == nil {
			t.Errorf("no %s", c.name)
			continue
		}
		allows := func(action string) bool {
			return policy.Decide(&policy.Input{
				Action: action, Resource: "arn:aws:none:::thing", ResourceAccount: "123456789012", Identity: []policy.Doc{m.doc},
				Principal: policy.Principal{Kind: policy.User, Account: "123456789012", ARN: "arn:aws:iam::123456789012:user/a", ID: "AIDAAAAAAAAAAAAAAAAAA"},
			}).Allowed
		}
		for action := range strings.FieldsSeq(c.yes) {
			if !allows(action) {
				t.Errorf("%s does not allow %s", c.name, action)
			}
		}
		for action := range strings.FieldsSeq(c.never) {
			if allows(action) {
				t.Errorf("%s allows %s", c.name, action)
			}
		}
	}
	// The list for sessions with an identity takes away, and gives nothing.
	both := []policy.Doc{h.iam.supplied[admins].doc, h.iam.supplied["arn:aws:iam::aws:policy/AWSIAMIdentityCenterAllowListForIdentityContext"].doc}
	for action, want := range map[string]bool{"s3:GetObject": true, "sagemaker:CreateTrainingJob": true, "iam:CreateUser": false, "sts:AssumeRole": false, "kms:PutKeyPolicy": false} {
		in := &policy.Input{Action: action, Resource: "arn:aws:none:::thing", ResourceAccount: "123456789012", Identity: both,
			Principal: policy.Principal{Kind: policy.User, Account: "123456789012", ARN: "arn:aws:iam::123456789012:user/a", ID: "AIDAAAAAAAAAAAAAAAAAA"}}
		if got := policy.Decide(in).Allowed; got != want {
			t.Errorf("with an identity's context, %s: %v", action, got)
		}
	}
}
