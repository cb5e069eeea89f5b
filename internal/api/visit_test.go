package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape"
	"bawn.dev/internal/shape/kms"
)

// A page calls an open operation as the browser would: its address and name are in the
// record, the input is held to the model, and the caller is who the operation found.
func TestPagesCallOpenOperations(t *testing.T) {
	model := *kms.Model()
	model.Operations = []*shape.Operation{}
	for _, o := range kms.Model().Operations {
		if o.Name == "DescribeKey" || o.Name == "ListKeys" {
			model.Operations = append(model.Operations, o)
		}
	}
	person := &api.Person{UserID: "ada", IdentityStoreARN: "arn:aws:identitystore::" + apitest.Account + ":identitystore/d-1", CredentialID: "session"}
	resolve := func(ctx context.Context, c *api.Call, in *kms.DescribeKeyInput) (string, []api.Demand, error) {
		if in.KeyId != "secret" {
			return "", nil, &api.Error{Code: "UnauthorizedException", Status: 401, Message: "no"}
		}
		return "", nil, c.Prove(ctx, api.Claim{Kind: api.KindCentre, Account: apitest.Account, Person: person, Issued: c.Now})
	}
	service := &api.Service{Model: &model, Prefix: "kms", Operations: []api.Operation{
		api.Read("DescribeKey", resolve, func(context.Context, *api.Call, *kms.DescribeKeyInput, string) (*kms.DescribeKeyOutput, error) {
			return &kms.DescribeKeyOutput{}, nil
		}).Open("a test").Undeniable("a test"),
		api.Read("ListKeys", func(context.Context, *api.Call, *kms.ListKeysInput) (string, []api.Demand, error) {
			return "", api.On("kms:ListKeys", api.Any), nil
		}, func(context.Context, *api.Call, *kms.ListKeysInput, string) (*kms.ListKeysOutput, error) {
			return &kms.ListKeysOutput{}, nil
		}),
	}}
	rig := apitest.New(t, apitest.Options{}, service)
	r := httptest.NewRequest("GET", "https://bawn.test/start", nil)
	r.RemoteAddr = "192.0.2.7:5000"
	r.Header.Set("User-Agent", "a browser")
	visit := rig.Door.Visit(r)
	ctx := context.Background()

	if _, err := api.Visited[kms.DescribeKeyOutput](ctx, visit, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: "secret"}); err != nil {
		t.Fatal(err)
	}
	record := rig.Records(t, apitest.Account, "DescribeKey")[0]
	if u := record.UserIdentity; u.Type != "IdentityCenterUser" || u.OnBehalfOf == nil || u.OnBehalfOf.UserID != "ada" ||
		record.SourceIP != "192.0.2.7" || record.UserAgent != "a browser" || record.ParentRequestID != "" {
		t.Errorf("the record says %+v", record)
	}
	for why, in := range map[string]string{"UnauthorizedException": "guess", "ValidationException": strings.Repeat("x", 3000)} {
		_, err := api.Visited[kms.DescribeKeyOutput](ctx, visit, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: in})
		var e *api.Error
		if err == nil || errors.As(err, &e) && e.Code != why {
			t.Errorf("%s: %v", why, err)
		}
	}
	if all := rig.Records(t, apitest.Account, "DescribeKey"); len(all) != 3 || all[0].ErrorCode == "" || all[1].ErrorCode == "" {
		t.Errorf("%d records", len(all))
	}
	if _, err := api.Visited[kms.ListKeysOutput](ctx, visit, "kms:ListKeys", &kms.ListKeysInput{}); err == nil {
		t.Error("a page called a signed operation without a signature")
	}
	ask := func(from, key string) (status int) {
		r.RemoteAddr = from + ":5000"
		_, err := api.Visited[kms.DescribeKeyOutput](ctx, rig.Door.Visit(r), "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: key})
		var e *api.Error
		if errors.As(err, &e) {
			return e.Status
		}
		return 0
	}
	rig.Stop()
	throttled := 0
	for range 300 {
		if ask("192.0.2.8", "guess") == 503 {
			throttled++
		}
	}
	if throttled == 0 {
		t.Error("an address may ask without bound")
	}
	// Many addresses together may not either; and they keep nobody out who proves herself.
	for i := range 2500 {
		ask(fmt.Sprintf("198.51.%d.%d", i/250, i%250), "guess")
	}
	if got := ask("203.0.113.1", "guess"); got != 503 {
		t.Errorf("one more stranger hears %d", got)
	}
	if got := ask("203.0.113.2", "secret"); got != 0 {
		t.Errorf("strangers keep a person out: %d", got)
	}
}
