package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
)

// A provisioner is an identity provider's client: a token, and JSON in and out.
type provisioner struct {
	t     testing.TB
	http  *http.Client
	url   string
	token string
}

func provision(t testing.TB, b *servertest.Bawn) *provisioner {
	t.Helper()
	token, err := b.CreateScimToken(context.Background(), server.ScimRequest{Operator: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return &provisioner{t, b.Client(t), b.URL + "/scim/v2", token.Text}
}

// do sends a request as the identity provider would and answers status and body.
func (p *provisioner) do(method, path, body string, edit ...func(*http.Request)) (int, map[string]any, http.Header) {
	p.t.Helper()
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
	for _, f := range edit {
		f(r)
	}
	resp, err := p.http.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	var out map[string]any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			p.t.Fatalf("%s %s answers %d %q", method, path, resp.StatusCode, raw)
		}
	}
	return resp.StatusCode, out, resp.Header
}

// must is do where another status ends the test.
func (p *provisioner) must(status int, method, path, body string, edit ...func(*http.Request)) map[string]any {
	p.t.Helper()
	got, out, _ := p.do(method, path, body, edit...)
	if got != status {
		p.t.Fatalf("%s %s answers %d %v, not %d", method, path, got, out, status)
	}
	return out
}

// at is a value in JSON: at(o, "emails", 0, "value").
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			o, _ := v.(map[string]any)
			v = o[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

func wantAt(t testing.TB, v, want any, path ...any) {
	t.Helper()
	if got := at(v, path...); got != want {
		t.Errorf("%v is %v, not %v, in %v", path, got, want, v)
	}
}

// patch is a body of PATCH.
func patch(ops ...string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + strings.Join(ops, ",") + `]}`
}

func person(name string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"%[1]s@example.org","externalId":"x-%[1]s",
		"name":{"givenName":"%[1]s","familyName":"Example"},"displayName":"%[1]s Example","emails":[{"primary":true,"value":"%[1]s@example.org","type":"work"}],"active":true}`, name)
}

// What Okta sends when it is connected, assigns a person, updates her, pushes a group
// and takes her access away.
func TestOktaFlow(t *testing.T) {
	b := servertest.Start(t)
	p := provision(t, b)

	wantAt(t, p.must(200, "GET", "/Users?startIndex=1&count=2", ""), 0.0, "totalResults")
	wantAt(t, p.must(200, "GET", `/Users?filter=userName%20eq%20%22ada%40example.org%22&startIndex=1&count=100`, ""), 0.0, "totalResults")
	ada := p.must(201, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@example.org",
		"name":{"givenName":"Ada","familyName":"Lovelace"},"emails":[{"primary":true,"value":"ada@example.org","type":"work"}],
		"displayName":"Ada Lovelace","locale":"en-US","externalId":"00ujl29u0le5T6Aj10h7","groups":[],"password":"1mz050nq","active":true}`)
	id := at(ada, "id").(string)
	wantAt(t, ada, nil, "password")
	wantAt(t, ada, "00ujl29u0le5T6Aj10h7", "externalId")
	wantAt(t, p.must(200, "GET", "/Users/"+id, ""), "Lovelace", "name", "familyName")

	found := p.must(200, "GET", `/Users?filter=userName%20eq%20%22ADA%40example.org%22&startIndex=1&count=100`, "")
	wantAt(t, found, id, "Resources", 0, "id")
	got := p.must(200, "PUT", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"`+id+`","userName":"ada@example.org",
		"name":{"givenName":"Ada","familyName":"King","middleName":""},"emails":[{"primary":true,"value":"ada.king@example.org","type":"work"}],
		"displayName":"Ada King","locale":"en-GB","externalId":"00ujl29u0le5T6Aj10h7","active":true,"groups":[],
		"meta":{"resourceType":"User"}}`)
	wantAt(t, got, "King", "name", "familyName")
	wantAt(t, got, "ada.king@example.org", "emails", 0, "value")

	group := p.must(201, "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Analysts","members":[]}`)
	team := at(group, "id").(string)
	p.must(200, "PATCH", "/Groups/"+team, patch(`{"op":"replace","value":{"id":"`+team+`","displayName":"Engine Analysts"}}`))
	p.must(200, "PATCH", "/Groups/"+team, patch(`{"op":"add","path":"members","value":[{"value":"`+id+`","display":"ada@example.org"}]}`))
	wantAt(t, p.must(200, "GET", "/Groups/"+team, ""), id, "members", 0, "value")
	p.must(200, "PATCH", "/Groups/"+team, patch(`{"op":"remove","path":"members[value eq \"`+id+`\"]"}`))
	wantAt(t, p.must(200, "GET", "/Groups/"+team, ""), nil, "members", 0)
	p.must(200, "PATCH", "/Groups/"+team, patch(`{"op":"replace","path":"members","value":[{"value":"`+id+`"}]}`))
	wantAt(t, p.must(200, "GET", "/Groups/"+team, ""), id, "members", 0, "value")

	got = p.must(200, "PATCH", "/Users/"+id, patch(`{"op":"replace","value":{"active":false}}`))
	wantAt(t, got, false, "active")
	wantAt(t, got, "King", "name", "familyName")
	got = p.must(200, "PATCH", "/Users/"+id, patch(`{"op":"replace","value":{"active":true}}`))
	wantAt(t, got, true, "active")
	p.must(204, "DELETE", "/Groups/"+team, "")
	p.must(404, "GET", "/Groups/"+team, "")
}

// What Entra ID sends: look-ups for what is not there, truth as text, operations with
// a capital letter, paths with filters, and an object of paths.
func TestEntraFlow(t *testing.T) {
	b := servertest.Start(t)
	p := provision(t, b)

	probe := p.must(200, "GET", `/Users?filter=userName+eq+%22non-existent%22`, "")
	wantAt(t, probe, 0.0, "totalResults")
	wantAt(t, probe, "urn:ietf:params:scim:api:messages:2.0:ListResponse", "schemas", 0)
	mary := p.must(201, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
		"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"mary@example.org","active":true,"displayName":"Mary S",
		"emails":[{"primary":true,"type":"work","value":"mary@example.org"}],"meta":{"resourceType":"User"},
		"name":{"formatted":"Mary Somerville","familyName":"Somerville","givenName":"Mary"},
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Optics"}}`)
	id := at(mary, "id").(string)
	const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	wantAt(t, mary, "Optics", enterprise, "department")

	found := p.must(200, "GET", `/Users?filter=externalId+eq+%220a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef%22`, "")
	wantAt(t, found, id, "Resources", 0, "id")
	found = p.must(200, "GET", `/Users?filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22mary%40example.org%22`, "")
	wantAt(t, found, id, "Resources", 0, "id")

	got := p.must(200, "PATCH", "/Users/"+id, patch(
		`{"op":"Replace","path":"emails[type eq \"work\"].value","value":"updated@example.org"}`,
		`{"op":"Replace","path":"name.familyName","value":"Greig"}`,
		`{"op":"Add","path":"`+enterprise+`:department","value":"Tides"}`,
		`{"op":"Add","path":"`+enterprise+`:manager","value":"`+id+`"}`,
		`{"op":"Add","path":"addresses[type eq \"work\"].country","value":"UK"}`,
		`{"op":"Add","path":"roles[primary eq \"True\"].value","value":"author"}`))
	wantAt(t, got, "updated@example.org", "emails", 0, "value")
	wantAt(t, got, "Greig", "name", "familyName")
	wantAt(t, got, "Mary", "name", "givenName")
	wantAt(t, got, "Tides", enterprise, "department")
	wantAt(t, got, id, enterprise, "manager", "value")
	wantAt(t, got, "UK", "addresses", 0, "country")
	wantAt(t, got, true, "roles", 0, "primary")

	got = p.must(200, "PATCH", "/Users/"+id, patch(`{"op":"Add","value":{"displayName":"M. Somerville","name.givenName":"Marie",
		"emails[type eq \"work\"].value":"marie@example.org","`+enterprise+`:costCenter":"42","active":"False"}}`))
	wantAt(t, got, false, "active")
	wantAt(t, got, "Marie", "name", "givenName")
	wantAt(t, got, "marie@example.org", "emails", 0, "value")
	wantAt(t, got, "42", enterprise, "costCenter")
	got = p.must(200, "PATCH", "/Users/"+id, patch(`{"op":"Replace","path":"active","value":"True"}`, `{"op":"Remove","path":"`+enterprise+`:manager"}`))
	wantAt(t, got, true, "active")
	wantAt(t, got, nil, enterprise, "manager")

	group := p.must(201, "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"externalId":"8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
		"displayName":"Tides","meta":{"resourceType":"Group"}}`)
	team := at(group, "id").(string)
	for _, filter := range []string{`displayName eq "TIDES"`, `externalId eq "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159"`} {
		found := p.must(200, "GET", "/Groups?excludedAttributes=members&filter="+escape(filter), "")
		wantAt(t, found, team, "Resources", 0, "id")
		wantAt(t, found, nil, "Resources", 0, "members")
	}
	p.must(200, "PATCH", "/Groups/"+team, patch(`{"op":"Add","path":"members","value":[{"value":"`+id+`"}]}`))
	for filter, want := range map[string]float64{
		`id eq "` + team + `" and members eq "` + id + `"`:                               1,
		`members[value eq "` + id + `"]`:                                                 1,
		`members.value eq "` + id + `" and displayName sw "tid"`:                         1,
		`id eq "` + team + `" and members eq "` + strings.Repeat("0", 8) + id[8:] + `"`:  0,
		`not (members eq "` + id + `")`:                                                  0,
		`displayName co "ide" and (members.value eq "` + id + `" or externalId eq "no")`: 1,
	} {
		wantAt(t, p.must(200, "GET", "/Groups?filter="+escape(filter), ""), want, "totalResults")
	}
	p.must(200, "PATCH", "/Groups/"+team, patch(`{"op":"Remove","path":"members","value":[{"value":"`+id+`"}]}`))
	wantAt(t, p.must(200, "GET", "/Groups/"+team, ""), nil, "members", 0)
	p.must(204, "DELETE", "/Users/"+id, "")
	wantAt(t, p.must(404, "GET", "/Users/"+id, ""), "404", "status")
}

func escape(filter string) string {
	return strings.NewReplacer(" ", "%20", `"`, "%22", "[", "%5B", "]", "%5D", "+", "%2B").Replace(filter)
}

// Everything that a provider does is in the record, with its token, and not its secret.
func TestProvisioningIsRecorded(t *testing.T) {
	b := servertest.Start(t)
	p := provision(t, b)
	id := at(p.must(201, "POST", "/Users", person("ada")), "id").(string)
	list, err := b.ListScimTokens(context.Background(), server.ScimRequest{Operator: "test"})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	page, err := b.Trail().Find(context.Background(), trail.Query{Account: b.Config.AccountID, EventName: "CreateUser"})
	if err != nil || len(page.Entries) != 1 {
		t.Fatal(len(page.Entries), err)
	}
	r := page.Entries[0].Record
	if r.UserIdentity.InvokedBy != "scim.sso.amazonaws.com" || r.UserIdentity.AccessKeyID != list[0].ID || r.SourceIP != "127.0.0.1" {
		t.Errorf("the record says %+v from %s", r.UserIdentity, r.SourceIP)
	}
	if !strings.Contains(string(page.Entries[0].Event), id) {
		t.Errorf("the record does not say who was made: %s", page.Entries[0].Event)
	}
	for _, secret := range []string{"ada@example.org", "x-ada", p.token} {
		if strings.Contains(string(page.Entries[0].Event), secret) || strings.Contains(b.Log.String(), secret) {
			t.Errorf("%s is in the record or the log", secret)
		}
	}
	for _, name := range []string{"CreateBearerToken", "ListBearerTokens"} {
		if n := records(t, b, name); n != 1 {
			t.Errorf("%d records of %s", n, name)
		}
	}
}

// Who is deprovisioned, in whatever way, is gone on her next call, and does not come
// back with a session of before. Who is not, stays.
func TestDeprovisioningEndsSessions(t *testing.T) {
	b := servertest.Start(t)
	p := provision(t, b)
	ways := []struct {
		name  string
		leave func(id, team string)
		code  string
	}{
		{"deleted", func(id, _ string) { p.must(204, "DELETE", "/Users/"+id, "") }, "InvalidClientTokenId"},
		{"disabled", func(id, _ string) {
			p.must(200, "PATCH", "/Users/"+id, patch(`{"op":"Replace","path":"active","value":"False"}`))
		}, "InvalidClientTokenId"},
		{"disabled and back", func(id, _ string) {
			p.must(200, "PATCH", "/Users/"+id, patch(`{"op":"replace","value":{"active":false}}`))
			p.must(200, "PATCH", "/Users/"+id, patch(`{"op":"replace","value":{"active":true}}`))
		}, "InvalidClientTokenId"},
		{"out of her group", func(id, team string) {
			p.must(200, "PATCH", "/Groups/"+team, patch(`{"op":"remove","path":"members[value eq \"`+id+`\"]"}`))
		}, "InvalidClientTokenId"},
		{"her group deleted", func(_, team string) { p.must(204, "DELETE", "/Groups/"+team, "") }, "InvalidClientTokenId"},
		{"renamed", func(id, _ string) {
			p.must(200, "PATCH", "/Users/"+id, patch(`{"op":"replace","path":"displayName","value":"Another"}`))
		}, "good"},
	}
	args := []string{}
	ids := make([][2]string, len(ways))
	for i := range ways {
		name := fmt.Sprintf("ada%d", i)
		id := at(p.must(201, "POST", "/Users", person(name)), "id").(string)
		team := at(p.must(201, "POST", "/Groups", `{"displayName":"Team `+name+`","members":[{"value":"`+id+`"}]}`), "id").(string)
		ids[i] = [2]string{id, team}
		args = append(args, b.Token(t, name+"@example.org", nil), team)
	}
	sessions := b.Python(t, script(t, "sessions.py"), args...)
	use := func() []string {
		var got []string
		if err := json.Unmarshal([]byte(b.Python(t, script(t, "sessions_use.py"), sessions)), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	for i, got := range use() {
		if got != "good" {
			t.Fatalf("before she is %s, she is refused: %s", ways[i].name, got)
		}
	}
	for i, w := range ways {
		w.leave(ids[i][0], ids[i][1])
	}
	for i, got := range use() {
		if got != ways[i].code {
			t.Errorf("after she is %s, her session answers %s, not %s", ways[i].name, got, ways[i].code)
		}
	}
}
