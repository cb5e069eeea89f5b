package keys

import (
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	trailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
)

// An event is what the tests look at in a record.
type event struct {
	EventName    string `json:"eventName"`
	ErrorCode    string `json:"errorCode"`
	ReadOnly     bool   `json:"readOnly"`
	UserIdentity struct {
		AccountID  string `json:"accountId"`
		Arn        string `json:"arn"`
		OnBehalfOf struct {
			UserID string `json:"userId"`
		} `json:"onBehalfOf"`
	} `json:"userIdentity"`
	RequestParameters map[string]any `json:"requestParameters"`
	ResponseElements  map[string]any `json:"responseElements"`
	Resources         []struct {
		ARN string `json:"ARN"`
	} `json:"resources"`
	raw string
}

// about says whether a resource of the event is arn.
func (e event) about(arn string) bool {
	for _, r := range e.Resources {
		if r.ARN == arn {
			return true
		}
	}
	return false
}

// context is the encryption context that the call had.
func (e event) context(name string) string {
	pairs, _ := e.RequestParameters["encryptionContext"].(map[string]any)
	value, _ := pairs[name].(string)
	return value
}

// record is every event of KMS, or those with a name, the newest first.
func (b *bawn) record(cfg aws.Config, name string) []event {
	b.t.Helper()
	var out []event
	by := trailtypes.LookupAttribute{AttributeKey: trailtypes.LookupAttributeKeyEventName, AttributeValue: &name}
	if name == "" {
		by = trailtypes.LookupAttribute{AttributeKey: trailtypes.LookupAttributeKeyEventSource, AttributeValue: aws.String("kms.amazonaws.com")}
	}
	for p := cloudtrail.NewLookupEventsPaginator(cloudtrail.NewFromConfig(cfg), &cloudtrail.LookupEventsInput{
		LookupAttributes: []trailtypes.LookupAttribute{by}}); p.HasMorePages(); {
		for _, found := range must[*cloudtrail.LookupEventsOutput](b.t)(p.NextPage(b.t.Context())).Events {
			e := event{raw: *found.CloudTrailEvent}
			if err := json.Unmarshal([]byte(e.raw), &e); err != nil {
				b.t.Fatal(err)
			}
			if *found.EventSource == "kms.amazonaws.com" {
				out = append(out, e)
			}
		}
	}
	return out
}

// silent fails the test when a record of a use has any of these texts, or shows what was
// encrypted or decrypted.
func (b *bawn) silent(cfg aws.Config, secrets ...string) {
	b.t.Helper()
	for _, name := range []string{"Encrypt", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"} {
		events := b.record(cfg, name)
		for _, e := range events {
			for _, secret := range secrets {
				if strings.Contains(e.raw, secret) {
					b.t.Errorf("the record of %s tells %q:\n%s", name, secret, e.raw)
				}
			}
			for _, member := range []string{"plaintext", "ciphertextBlob"} {
				if value, ok := e.RequestParameters[member]; ok && value != "HIDDEN_DUE_TO_SECURITY_REASONS" {
					b.t.Errorf("the record of %s shows the %s:\n%s", name, member, e.raw)
				}
			}
			if e.ResponseElements != nil {
				b.t.Errorf("the record of %s shows the answer:\n%s", name, e.raw)
			}
		}
	}
}
