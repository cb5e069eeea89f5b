package server

import (
	"context"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// UnlockRequest asks to remove a bucket's policy.
type UnlockRequest struct {
	Operator string `json:"operator"`
	Bucket   string `json:"bucket"`
}

// Unlocked is the policy that was removed, as it was put.
type Unlocked struct {
	Account string         `json:"account"`
	Policy  jsontext.Value `json:"policy"`
}

// UnlockBucket removes a bucket's policy, whatever that says, as AWS lets the root user
// of the bucket's account do it: there is no such user here, and a policy that denies
// everyone would lock the bucket for ever. It reads no object. The record, which is in
// the trail of the bucket's account, holds the policy.
func (s *Server) UnlockBucket(ctx context.Context, in UnlockRequest) (*Unlocked, error) {
	parameters, err := json.Marshal(map[string]string{"bucketName": in.Bucket})
	if err != nil {
		return nil, err
	}
	var out *Unlocked
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		account, text, err := s.s3.RemovePolicy(tx, in.Bucket)
		if err != nil {
			return err
		}
		out = &Unlocked{account, jsontext.Value(text)}
		details, err := json.Marshal(map[string]string{"policy": text})
		if err != nil {
			return err
		}
		return s.trail.Append(tx, &trail.Record{
			EventTime: s.now(), EventSource: "bawn", EventName: "UnlockBucket", Region: s.cfg.Region, Account: account,
			UserIdentity: trail.UserIdentity{Type: "Operator", PrincipalID: peerOf(ctx), UserName: in.Operator, AccountID: s.cfg.AccountID},
			EventType:    "BawnAdministration", ManagementEvent: true, RequestParameters: parameters, AdditionalEventData: details,
			Resources: []trail.Resource{{ARN: "arn:aws:s3:::" + in.Bucket, Account: account, Type: "AWS::S3::Bucket"}},
		})
	})
	return out, err
}
