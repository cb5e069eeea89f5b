package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
)

// A rule of CloudTrail's record contents, version 1.11: what a member is, and whether
// it is always there. What is listed nowhere may not be there.
type rule struct {
	always bool
	check  func(v any) bool
	object map[string]rule // of an object, or of a list's objects
}

var (
	text    = func(v any) bool { s, ok := v.(string); return ok && s != "" }
	anyText = func(v any) bool { _, ok := v.(string); return ok }
	boolean = func(v any) bool { _, ok := v.(bool); return ok }
	nested  = func(v any) bool { _, ok := v.(map[string]any); return v == nil || ok }
	is      = func(pattern string) func(any) bool {
		r := regexp.MustCompile("^(" + pattern + ")$")
		return func(v any) bool { s, ok := v.(string); return ok && r.MatchString(s) }
	}
	uuidText = is(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	instant  = is(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	account  = is(`\d{12}`)
	arnText  = is(`arn:aws:[a-z0-9-]+:[a-z0-9-]*:(\d{12}|aws)?:.+`)
)

var recordContents = map[string]rule{
	"eventVersion": {true, is(`1\.11`), nil},
	"eventTime":    {true, instant, nil}, "eventSource": {true, is(`[a-z0-9-]+\.amazonaws\.com|bawn`), nil}, "eventName": {true, is(`[A-Za-z0-9]+`), nil},
	"awsRegion": {true, is(`[a-z]{2}(-[a-z]+)+-\d`), nil}, "sourceIPAddress": {true, anyText, nil}, "userAgent": {true, anyText, nil},
	"errorCode": {false, is(`[A-Za-z0-9._-]+`), nil}, "errorMessage": {false, anyText, nil},
	"requestParameters": {true, nested, nil}, "responseElements": {true, nested, nil}, "additionalEventData": {false, nested, nil},
	"requestID": {true, anyText, nil}, "parentRequestID": {false, uuidText, nil}, "eventID": {true, uuidText, nil}, "sharedEventID": {false, uuidText, nil},
	"readOnly": {true, boolean, nil}, "managementEvent": {true, boolean, nil}, "eventType": {true, is(`AwsApiCall|AwsServiceEvent|BawnAdministration`), nil},
	"eventCategory": {true, is(`Management|Data|NetworkActivity`), nil}, "recipientAccountId": {true, account, nil},
	"vpcEndpointId": {false, text, nil}, "vpcEndpointAccountId": {false, account, nil},
	"resources": {false, nil, map[string]rule{"ARN": {true, text, nil}, "accountId": {false, account, nil}, "type": {false, is(`AWS::[A-Za-z0-9]+::[A-Za-z0-9]+`), nil}}},
	"tlsDetails": {false, nil, map[string]rule{
		"tlsVersion": {true, is(`TLSv1\.[23]`), nil}, "cipherSuite": {true, text, nil}, "clientProvidedHostHeader": {true, text, nil},
	}},
	"userIdentity": {true, nil, map[string]rule{
		"type":        {true, is(`IAMUser|AssumedRole|FederatedUser|WebIdentityUser|SAMLUser|IdentityCenterUser|AWSAccount|AWSService|Operator|Unknown`), nil},
		"principalId": {false, text, nil}, "arn": {false, arnText, nil}, "accountId": {false, account, nil}, "accessKeyId": {false, text, nil},
		"userName": {false, text, nil}, "invokedBy": {false, is(`[a-z0-9.-]+\.amazonaws\.com`), nil}, "credentialId": {false, text, nil},
		"identityProvider": {false, text, nil},
		"onBehalfOf":       {false, nil, map[string]rule{"userId": {true, text, nil}, "identityStoreArn": {true, arnText, nil}}},
		"inScopeOf": {false, nil, map[string]rule{
			"sourceArn": {false, arnText, nil}, "sourceAccount": {false, account, nil}, "issuerType": {false, text, nil}, "credentialsIssuedTo": {false, arnText, nil},
		}},
		"sessionContext": {false, nil, map[string]rule{
			"sessionIssuer": {false, nil, map[string]rule{
				"type": {true, is("Role|IAMUser"), nil}, "principalId": {true, text, nil}, "arn": {true, arnText, nil}, "accountId": {true, account, nil}, "userName": {true, text, nil},
			}},
			"attributes":          {true, nil, map[string]rule{"creationDate": {true, instant, nil}, "mfaAuthenticated": {true, is("true|false"), nil}}},
			"webIdFederationData": {false, nil, map[string]rule{"federatedProvider": {true, arnText, nil}, "attributes": {true, nested, nil}}},
			"sourceIdentity":      {false, text, nil},
		}},
	}},
}

// demanded are the members that an identity of each type has.
var demanded = map[string][]string{
	"IAMUser":     {"principalId", "arn", "accountId", "userName"},
	"AssumedRole": {"principalId", "arn", "accountId", "sessionContext"},
	"AWSService":  {"invokedBy"}, "WebIdentityUser": {"principalId", "userName", "identityProvider"}, "SAMLUser": {"principalId", "userName", "identityProvider"},
	"FederatedUser": {"principalId", "arn", "accountId", "sessionContext"}, "IdentityCenterUser": {"accountId", "onBehalfOf", "credentialId"},
	"AWSAccount": {"principalId", "accountId"}, "Operator": {"accountId"}, "Unknown": {},
}

// faultsOf says what is wrong with a record.
func faultsOf(event []byte) (faults []string) {
	var r map[string]any
	if err := json.Unmarshal(event, &r); err != nil {
		return []string{err.Error()}
	}
	walk(&faults, "", r, recordContents)
	who, _ := r["userIdentity"].(map[string]any)
	kind, _ := who["type"].(string)
	for _, name := range demanded[kind] {
		if who[name] == nil {
			faults = append(faults, "an identity of type "+kind+" has no "+name)
		}
	}
	if r["managementEvent"] != (r["eventCategory"] == "Management") {
		faults = append(faults, "managementEvent is not what the category says")
	}
	if r["readOnly"] == true && r["responseElements"] != nil {
		faults = append(faults, "a read has responseElements")
	}
	if r["errorCode"] != nil && r["responseElements"] != nil {
		faults = append(faults, "a failure has responseElements")
	}
	resources, _ := r["resources"].([]any)
	for _, x := range resources {
		if name := x.(map[string]any)["ARN"]; r["errorCode"] == nil && !arnText(name) {
			faults = append(faults, fmt.Sprintf("what was acted on is called %v", name)) // a refusal says what was asked for
		}
	}
	if r["eventType"] == "AwsApiCall" && r["requestID"] == "" {
		faults = append(faults, "a call has no requestID")
	}
	return faults
}

func walk(faults *[]string, path string, object map[string]any, rules map[string]rule) {
	for name, v := range object {
		r, known := rules[name]
		switch at := path + name; {
		case !known:
			*faults = append(*faults, at+" is no member")
		case r.object == nil:
			if !r.check(v) {
				*faults = append(*faults, fmt.Sprintf("%s is %v", at, v))
			}
		default:
			list, isList := v.([]any)
			if !isList {
				list = []any{v}
			}
			for _, one := range list {
				if m, ok := one.(map[string]any); ok {
					walk(faults, at+".", m, r.object)
				} else {
					*faults = append(*faults, fmt.Sprintf("%s is %v", at, v))
				}
			}
		}
	}
	for name, r := range rules {
		if _, there := object[name]; r.always && !there {
			*faults = append(*faults, path+name+" is not there")
		}
	}
}

// Every operation's record, of who may not and of who may, is one of CloudTrail's.
func TestEveryRecordIsOneOfCloudTrails(t *testing.T) {
	b := servertest.Start(t)
	ctx := context.Background()
	root := strings.TrimSpace(b.Python(t, `print(client("iam").get_user()["User"]["UserId"])`))
	for _, claim := range []api.Claim{nobody(t, b), {Kind: api.KindUser, Account: b.Config.AccountID, ID: root, Issued: time.Now()}} {
		for _, e := range b.Door().Entries() {
			call, err := b.Door().Begin(ctx, claim, "sagemaker.amazonaws.com")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = api.InvokeAny(ctx, call, e.Name, example(t, e)) // what comes of it is for other tests
		}
	}
	seen, ids := map[string]bool{}, map[string]bool{}
	err := b.Trail().Follow(stopped(ctx), 0, func(entry trail.Entry) error {
		r := entry.Record
		seen[strings.TrimSuffix(r.EventSource, ".amazonaws.com")+":"+r.EventName] = true
		if ids[r.EventID] {
			t.Errorf("two records are called %s", r.EventID)
		}
		ids[r.EventID] = true
		if faults := faultsOf(entry.Event); len(faults) > 0 {
			t.Errorf("%s: %s\n%s", r.EventName, strings.Join(faults, "; "), entry.Event)
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	for _, e := range b.Door().Entries() {
		if name := e.Service.Prefix + ":" + e.Model.Name; !seen[name] {
			t.Errorf("%s left no record", name)
		}
	}
}

// What a client sees of a call, and of how it was made, is what the record says.
func TestTheRecordIsOfThisCall(t *testing.T) {
	b := servertest.Start(t)
	c := newClient(t, b.Config.Data, b.URL)
	a := ok(t)(c.object(t.Context(), http.MethodPut, "/told", nil))
	page, err := b.Trail().Find(t.Context(), trail.Query{Account: b.Config.AccountID, ResourceName: "arn:aws:s3:::told"})
	if err != nil || len(page.Entries) != 1 {
		t.Fatalf("%+v, %v", page, err)
	}
	r := page.Entries[0].Record
	if r.RequestID != a.id || r.TLS.Version != "TLSv1.3" || r.TLS.Host != strings.TrimPrefix(b.URL, "https://") || r.SourceIP != "127.0.0.1" ||
		r.UserIdentity.AccessKeyID != c.who.AccessKeyID {
		t.Errorf("answered %s, recorded %+v", a.id, r)
	}
}

// The start of a server is on record with its settings, before anything that it did, and
// without the password of its database.
func TestStartsAndStopsAreRecorded(t *testing.T) {
	b := servertest.Start(t)
	b.Restart(t)
	var names []string
	err := b.Trail().Follow(stopped(t.Context()), 0, func(e trail.Entry) error {
		if faults := faultsOf(e.Event); len(faults) > 0 {
			t.Error(faults)
		}
		if strings.HasSuffix(e.Record.EventName, "Server") {
			names = append(names, e.Record.EventName)
		}
		if e.Record.EventName == "StartServer" && !strings.Contains(string(e.Record.RequestParameters), `"allowFetch":["127.0.0.1:`) {
			t.Errorf("the start says %s", e.Record.RequestParameters)
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if !slices.Equal(names, []string{"StartServer", "StopServer", "StartServer"}) {
		t.Errorf("recorded %v", names)
	}
}
