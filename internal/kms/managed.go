package kms

import (
	"context"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

const (
	managedPrefix = "alias/aws/"
	// managedRotation is how many days lie between rotations of a managed key; nobody
	// can change it.
	managedRotation = 365
)

// managedServices are those for which an AWS-managed key comes into being when
// its alias is first used.
var managedServices = [...]string{"cloudtrail", "ebs", "ec2", "kinesis", "logs", "s3", "sagemaker", "secretsmanager", "ssm"}

// managedAlias says for which service an alias is reserved.
func managedAlias(alias string) (service string, ok bool) {
	service, ok = strings.CutPrefix(alias, managedPrefix)
	return service, ok && slices.Contains(managedServices[:], service)
}

// managedPolicy is AWS's for its managed keys: principals of the account use the
// key through the service and in no other way, and may look at it. Nobody may
// change it.
func (s *Service) managedPolicy(account, service string) string {
	return `{
  "Version": "2012-10-17",
  "Id": "auto-` + service + `-2",
  "Statement": [
    {
      "Sid": "Allow access through ` + service + ` for all principals in the account that are authorized to use it",
      "Effect": "Allow",
      "Principal": {"AWS": "*"},
      "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey"],
      "Resource": "*",
      "Condition": {
        "StringEquals": {"kms:CallerAccount": "` + account + `", "kms:ViaService": "` + service + `.` + s.Region + `.amazonaws.com"}
      }
    },
    {
      "Sid": "Allow direct access to key metadata to the account",
      "Effect": "Allow",
      "Principal": {"AWS": "arn:aws:iam::` + account + `:root"},
      "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
      "Resource": "*"
    }
  ]
}`
}

// make is a symmetric key that is not stored yet and has no material.
func (s *Service) make(account, policyText string, tags map[string]string, now time.Time) *key {
	id := uuid.New()
	return &key{
		id: id, account: account, arn: s.arn(account, "key/"+id),
		spec: kms.KeySpecSymmetricDefault, usage: kms.KeyUsageTypeEncryptDecrypt, origin: kms.OriginTypeAwsKms,
		enabled: true, text: policyText, created: now, tags: tags,
	}
}

// manage makes an account's AWS-managed key for a service, unless somebody did so
// in the meantime. Like AWS it does so before anything is decided: whoever belongs
// to the account can bring it about, and gains nothing by it.
func (s *Service) manage(ctx context.Context, c *api.Call, account, service string) error {
	now := c.Now
	k := s.make(account, s.managedPolicy(account, service), nil, now)
	k.managed = true
	k.description = "Default key that protects my " + service + " data when no other key is defined"
	k.rotation, k.rotates = managedRotation, now.AddDate(0, 0, managedRotation)
	wrapped, err := s.furnish(k)
	if err != nil {
		return err
	}
	alias := managedPrefix + service
	event := api.Event{
		Service: "kms", Name: "CreateKey",
		Claim:     api.Claim{Kind: api.KindService, ID: "kms.amazonaws.com", Account: account},
		Resources: []api.Resource{k.resource()},
		Details:   map[string]any{"alias": alias},
	}
	return settled(s.Happened(ctx, event, func(tx *store.Tx) error {
		switch id, err := aliasTarget(tx, account, alias); {
		case err != nil:
			return err
		case id != "": // and nothing happened
			return errSettled
		}
		if err := insertKey(tx, k, wrapped); err != nil {
			return err
		}
		return insertAlias(tx, account, alias, k.id, now)
	}))
}
