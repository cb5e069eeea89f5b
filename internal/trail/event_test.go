package trail

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// TestEventForm fixes the names and places that CloudTrail's readers know.
func TestEventForm(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 999, time.FixedZone("", 3600))
	got, err := (&Record{
		EventID: "e", RequestID: "q", EventTime: at, EventSource: "kms.amazonaws.com", EventName: "Decrypt",
		Region: "us-east-1", Account: "123456789012", SourceIP: "192.0.2.7", UserAgent: "u", ReadOnly: true, ManagementEvent: true,
		UserIdentity: UserIdentity{Type: "AssumedRole", PrincipalID: "AROA:s", ARN: "arn", AccountID: "123456789012", AccessKeyID: "ASIA",
			SessionContext: &SessionContext{SessionIssuer: SessionIssuer{Type: "Role", PrincipalID: "AROA", ARN: "role", AccountID: "1", UserName: "R"}, CreationDate: at},
			OnBehalfOf:     &OnBehalfOf{"p", "store"}},
		Resources: []Resource{{"key", "123456789012", "AWS::KMS::Key"}},
		EventType: "AwsApiCall", EventCategory: "Management", VpcEndpointID: "vpce-1", VpcEndpointAccountID: "123456789012",
		TLS: TLS{"TLSv1.3", "TLS_AES_128_GCM_SHA256", "h"},
	}).MarshalEvent()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","principalId":"AROA:s","arn":"arn","accountId":"123456789012","accessKeyId":"ASIA",` +
		`"sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROA","arn":"role","accountId":"1","userName":"R"},` +
		`"attributes":{"creationDate":"2026-11-22T11:00:00Z","mfaAuthenticated":"false"}},` +
		`"onBehalfOf":{"userId":"p","identityStoreArn":"store"}},` +
		`"eventTime":"2026-11-22T11:00:00Z","eventSource":"kms.amazonaws.com","eventName":"Decrypt","awsRegion":"us-east-1",` +
		`"sourceIPAddress":"192.0.2.7","userAgent":"u","requestParameters":null,"responseElements":null,"requestID":"q","eventID":"e","readOnly":true,` +
		`"resources":[{"ARN":"key","accountId":"123456789012","type":"AWS::KMS::Key"}],"eventType":"AwsApiCall","managementEvent":true,` +
		`"recipientAccountId":"123456789012","vpcEndpointId":"vpce-1","vpcEndpointAccountId":"123456789012","eventCategory":"Management",` +
		`"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"h"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// FuzzMarshalEvent holds what is written member by member against what the JSON
// package writes of the same event.
func FuzzMarshalEvent(f *testing.F) {
	f.Add("ada", "", "1.3", true)
	f.Add("\"\\\x01é\u2028\x7f<&>", "x", "", false)
	f.Fuzz(func(t *testing.T, a, b, c string, more bool) {
		r := &Record{
			EventID: a, RequestID: b, EventSource: c + "s", EventName: a + "n", Region: b, Account: "1" + c, UserIdentity: UserIdentity{Type: a, ARN: b, UserName: c},
			ErrorCode: b, ErrorMessage: c, ParentRequestID: c, SharedEventID: b, ReadOnly: more, TLS: TLS{Version: c, Host: b}, SourceIP: a, UserAgent: a,
		}
		if more {
			r.RequestParameters = jsontext.Value("{\n\"a\": 1}")
			r.AdditionalEventData = jsontext.Value(`{"b":"c"}`)
			r.Resources = []Resource{{ARN: a, Account: b, Type: c}, {ARN: b}}
			r.UserIdentity.SessionContext = &SessionContext{SessionIssuer: SessionIssuer{ARN: a, UserName: b}, MFA: true, SourceIdentity: c}
			r.UserIdentity.OnBehalfOf = &OnBehalfOf{UserID: a, IdentityStoreARN: b}
		}
		if err := r.complete(); err != nil {
			t.Skip(err)
		}
		got, err := r.MarshalEvent()
		if err != nil {
			t.Fatal(err)
		}
		var e event
		if err := json.Unmarshal(got, &e); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		want, err := json.Marshal(&e)
		if err != nil || string(got) != string(want) {
			t.Errorf("got  %s\nwant %s, %v", got, want, err)
		}
	})
}

func FuzzBound(f *testing.F) {
	f.Add("a\x00b\xff", 10)
	f.Add(strings.Repeat("é", 300), 256)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 4 || limit > 4096 {
			return
		}
		got := s
		bound(&got, limit)
		if len(got) > limit && len(got) > len(s) || len(s) > 3*limit && len(got) > limit || !utf8.ValidString(got) || strings.Contains(got, "\x00") {
			t.Errorf("%q, cut to %d bytes, is %q", s, limit, got)
		}
		if utf8.ValidString(s) && len(s) <= limit && !strings.Contains(s, "\x00") && got != s {
			t.Errorf("%q needed no change and is %q", s, got)
		}
	})
}

func FuzzUnmarshalEvent(f *testing.F) {
	r := &Record{EventSource: "s", EventName: "n", Account: "a", Resources: []Resource{{ARN: "arn:x/y"}}}
	if err := r.complete(); err != nil {
		f.Fatal(err)
	}
	seed, err := r.MarshalEvent()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"eventTime":"2026-11-22T11:00:00Z","eventtime":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		record, err := UnmarshalEvent(data)
		if err != nil {
			return
		}
		again, err := record.MarshalEvent()
		if err != nil {
			t.Fatalf("%q reads, and does not print: %v", data, err)
		}
		if _, err := UnmarshalEvent(again); err != nil {
			t.Errorf("%q prints as %q: %v", data, again, err)
		}
		record.terms()
	})
}
