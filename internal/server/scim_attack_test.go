package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/scim"
	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
)

// Who brings no valid token hears the same of every path, whether there is such a
// person or not, with every method; and the record has it.
func TestWithoutToken(t *testing.T) {
	b := servertest.Start(t)
	p := provision(t, b)
	id := at(p.must(201, "POST", "/Users", person("ada")), "id").(string)
	good := p.token
	before := len(refusals(t, b))
	tokens := map[string]string{
		"none": "", "another": "bawn-scim-" + strings.Repeat("A", 26) + "-" + strings.Repeat("A", 52), "its id with another secret": good[:37] + strings.Repeat("A", 52),
		"cut": good[:len(good)-1], "longer": good + "A", "in lower case": strings.ToLower(good), "a wildcard": "bawn-scim-%-%", "SQL": "bawn-scim-' OR '1'='1-x",
	}
	n := 0
	for name, token := range tokens {
		p.token = token
		for _, path := range []string{"/Users/" + id, "/Users/" + strings.Repeat("0", 8) + id[8:], "/Users?filter=userName%20pr", "/Schemas", "/nothing", ""} {
			status, out, header := p.do("GET", path, "")
			if status != 401 || at(out, "detail") != "The bearer token is missing or not valid." || !strings.HasPrefix(header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s: %s answers %d %v", name, path, status, out)
			}
			n++
		}
	}
	p.token = ""
	for _, method := range []string{"HEAD", "OPTIONS", "TRACE", "PUT", "POST", "PATCH", "DELETE", "CONNECTED"} {
		status, _, header := p.do(method, "/Users/"+id, "", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") })
		if status != 401 || header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s answers %d %v", method, status, header)
		}
		n++
	}
	if got := len(refusals(t, b)) - before; got != n {
		t.Errorf("%d of %d attempts are in the record", got, n)
	}
	p.token = good
	p.must(200, "GET", "/Users/"+id, "")
}

func refusals(t *testing.T, b *servertest.Bawn) []trail.Entry {
	t.Helper()
	var all []trail.Entry
	q := trail.Query{Account: b.Config.AccountID, EventName: "Authenticate", Limit: 50}
	for {
		page, err := b.Trail().Find(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Entries...)
		if q.Token = page.NextToken; q.Token == "" {
			return all
		}
	}
}

// Who tries tokens is told to wait before the record fills the disk.
func TestGuessingIsBounded(t *testing.T) {
	b := servertest.Start(t)
	p := provision(t, b)
	good := p.token
	p.token = "guess"
	for n := range 10_000 {
		status, _, _ := p.do("GET", "/Users", "")
		if status == 429 {
			p.token = good
			p.must(200, "GET", "/Users", "") // whose token is good is not held up
			return
		}
		if status != 401 {
			t.Fatalf("guess %d answers %d", n, status)
		}
	}
	t.Error("nobody stops a guesser")
}

// Two tokens are valid at a time; a third is refused, and one that is deleted is
// refused on the next request. The database has none of them.
func TestTokensRotate(t *testing.T) {
	b := servertest.Start(t)
	ctx := context.Background()
	old, next := provision(t, b), provision(t, b)
	if _, err := b.CreateScimToken(ctx, server.ScimRequest{Operator: "test"}); !errors.Is(err, scim.ErrTwoTokens) {
		t.Errorf("a third token: %v", err)
	}
	old.must(200, "GET", "/Users", "")
	next.must(200, "GET", "/Users", "")
	list, err := b.ListScimTokens(ctx, server.ScimRequest{Operator: "test"})
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	first := slices.IndexFunc(list, func(x scim.Token) bool { return strings.Contains(old.token, x.ID) })
	if _, err := b.DeleteScimToken(ctx, server.ScimDeletion{Operator: "test", ID: list[first].ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.DeleteScimToken(ctx, server.ScimDeletion{Operator: "test", ID: list[first].ID}); !errors.Is(err, scim.ErrNoToken) {
		t.Errorf("deleted twice: %v", err)
	}
	old.must(401, "GET", "/Users", "")
	next.must(200, "GET", "/Users", "")
	provision(t, b).must(200, "GET", "/Users", "")
	b.Restart(t)
	after := &provisioner{t, b.Client(t), b.URL + "/scim/v2", next.token}
	after.must(200, "GET", "/Users", "")
	for _, secret := range []string{old.token, next.token, next.token[37:]} {
		apitest.NoPlaintext(t, b.Config.Data, secret)
	}
}

// A request for another name, and one that is signed for a bucket called scim, are
// not the identity provider's.
func TestWhoIsAsked(t *testing.T) {
	b := servertest.Start(t)
	p := provision(t, b)
	p.must(421, "GET", "/Users", "", func(r *http.Request) { r.Host = "rebound.example" })
	p.must(200, "GET", "/Users", "", func(r *http.Request) { r.Host = "localhost:" + strings.Split(b.URL, ":")[2] })
	out := b.Python(t, `
s3 = client("s3")
s3.create_bucket(Bucket="scim")
s3.put_object(Bucket="scim", Key="v2/Users", Body=b"mine")
print(s3.get_object(Bucket="scim", Key="v2/Users")["Body"].read().decode())`)
	if strings.TrimSpace(out) != "mine" {
		t.Errorf("the bucket called scim answers %q", out)
	}
}

// What a client says of ids and times is not taken, nor what belongs to another.
func TestWhatIsNotTheClients(t *testing.T) {
	b := servertest.Start(t)
	p := provision(t, b)
	ada := p.must(201, "POST", "/Users", person("ada"))
	id := at(ada, "id").(string)
	forged := "00000000-0000-4000-8000-000000000000"
	eve := p.must(201, "POST", "/Users", `{"id":"`+forged+`","meta":{"created":"1999-01-01T00:00:00Z","version":"W/\"x\""},"schemas":["urn:nothing"],"ID":"`+forged+`",
		"userName":"eve@example.org","name":{"givenName":"Eve","familyName":"E"},"displayName":"Eve","groups":[{"value":"admins"}]}`)
	eveID := at(eve, "id").(string)
	if eveID == forged || strings.HasPrefix(at(eve, "meta", "created").(string), "1999") || at(eve, "groups") != nil {
		t.Errorf("a client made %v", eve)
	}
	for _, op := range []string{
		`{"op":"replace","path":"id","value":"` + forged + `"}`, `{"op":"replace","path":"meta.created","value":"1999-01-01T00:00:00Z"}`,
		`{"op":"add","path":"schemas","value":["urn:nothing"]}`, `{"op":"remove","path":"meta"}`,
	} {
		wantAt(t, p.must(400, "PATCH", "/Users/"+eveID, patch(op)), "mutability", "scimType")
	}
	p.must(200, "PATCH", "/Users/"+eveID, patch(`{"op":"replace","value":{"id":"`+forged+`","meta":{"created":"1999-01-01T00:00:00Z"}}}`))
	p.must(404, "GET", "/Users/"+forged, "")

	// Names, addresses and external ids of others.
	for _, op := range []string{
		`{"op":"replace","path":"externalId","value":"x-ada"}`, `{"op":"replace","path":"userName","value":"ADA@example.org"}`,
		`{"op":"add","path":"emails","value":[{"value":"Ada@Example.org"}]}`,
	} {
		wantAt(t, p.must(409, "PATCH", "/Users/"+eveID, patch(op)), "uniqueness", "scimType")
	}
	wantAt(t, p.must(409, "POST", "/Users", person("ADA")), "uniqueness", "scimType")
	wantAt(t, p.must(200, "GET", "/Users?filter="+escape(`externalId eq "x-ada"`), ""), id, "Resources", 0, "id")
	wantAt(t, p.must(200, "GET", "/Users/"+eveID, ""), nil, "externalId")

	// An external id that another issuer gave is out of reach: neither found nor lost.
	b.Python(t, `
ids = client("identitystore")
store = client("sso-admin").list_instances()["Instances"][0]["IdentityStoreId"]
ids.update_user(IdentityStoreId=store, UserId=sys.argv[1], Operations=[{"AttributePath": "externalIds", "AttributeValue": [{"issuer": "https://other.example", "id": "o-eve"}]}])
`, eveID)
	wantAt(t, p.must(200, "GET", "/Users?filter="+escape(`externalId eq "o-eve"`), ""), 0.0, "totalResults")
	p.must(200, "PATCH", "/Users/"+eveID, patch(`{"op":"add","path":"externalId","value":"x-eve"}`))
	p.must(200, "PATCH", "/Users/"+eveID, patch(`{"op":"remove","path":"externalId"}`))
	out := b.Python(t, `
ids = client("identitystore")
store = client("sso-admin").list_instances()["Instances"][0]["IdentityStoreId"]
print(ids.describe_user(IdentityStoreId=store, UserId=sys.argv[1])["ExternalIds"])
`, eveID)
	if !strings.Contains(out, "o-eve") || strings.Contains(out, "x-eve") {
		t.Errorf("the other issuer's id: %s", out)
	}
}

// Bodies that are too long, say something twice, or what nobody can mean, are refused
// before anything changes.
func TestBodiesRefused(t *testing.T) {
	b := servertest.Start(t)
	p := provision(t, b)
	id := at(p.must(201, "POST", "/Users", person("ada")), "id").(string)
	p.must(413, "POST", "/Users", `{"userName":"`+strings.Repeat("a", 1<<20)+`"}`)
	p.must(415, "POST", "/Users", person("eve"), func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") })
	const required = `"name":{"givenName":"E","familyName":"E"},"displayName":"E"`
	for _, body := range []string{
		``, `null`, `[]`, `{`, `{"userName":"a","userName":"b",` + required + `}`, `{"userName":"a","USERNAME":"b",` + required + `}`,
		`{"userName":"a","nothing":1,` + required + `}`, `{"userName":["a","b"],` + required + `}`, `{"userName":1,` + required + `}`,
		`{"userName":"a\u0000",` + required + `}`, `{"userName":"a b",` + required + `}`, `{"userName":"Administrator",` + required + `}`,
		`{"userName":"` + strings.Repeat("a", 129) + `",` + required + `}`, `{"userName":"a","active":"perhaps",` + required + `}`,
		`{"userName":"a","emails":[{"value":"a@b"},{"value":"c@d"}],` + required + `}`, `{"userName":"a","emails":[{"type":"work"}],` + required + `}`,
		`{"userName":"a"}`, `{"displayName":"only"}`, `{"userName":"a",` + required + `}{}`, strings.Repeat("[", 100_000),
		`{"userName":"a","` + "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User" + `":{"salary":"1"},` + required + `}`,
	} {
		set := func(r *http.Request) { r.Header.Set("Content-Type", "application/scim+json") }
		if status, out, _ := p.do("POST", "/Users", body, set); status != 400 {
			t.Errorf("%.80s answers %d %v", body, status, out)
		}
	}
	for _, op := range []string{
		`{"op":"move","path":"title"}`, `{"op":"remove"}`, `{"op":"replace","path":"title["}`, `{"op":"replace","path":"nothing","value":1}`, `{"op":"add","value":"x"}`,
		`{"op":"replace","path":"emails[value co \"zzz\"].type","value":"home"}`, `{"op":"add","path":"name.givenName","value":{"x":1}}`, `{"op":"remove","path":"userName"}`,
		`{"op":"remove","path":"active"}`, `{"op":"replace","path":"displayName","value":""}`, `{"op":"add","path":"title","value":"x","extra":1}`,
	} {
		if status, out, _ := p.do("PATCH", "/Users/"+id, patch(op)); status != 400 {
			t.Errorf("%s answers %d %v", op, status, out)
		}
	}
	// One bad operation undoes the good ones before it.
	p.must(400, "PATCH", "/Users/"+id, patch(`{"op":"replace","path":"title","value":"Countess"}`, `{"op":"remove","path":"userName"}`))
	wantAt(t, p.must(200, "GET", "/Users/"+id, ""), nil, "title")
	wantAt(t, p.must(200, "GET", "/Users", ""), 1.0, "totalResults")
	for _, method := range []string{"HEAD", "TRACE", "OPTIONS", "POST", "CONNECTED"} {
		if status, _, _ := p.do(method, "/Users/"+id, ""); status != 405 {
			t.Errorf("%s answers %d", method, status)
		}
	}
	p.must(501, "POST", "/Bulk", "{}")
	p.must(501, "GET", "/Me", "")
}

// A group is made whole or not at all.
func TestGroupsAreAllOrNothing(t *testing.T) {
	b := servertest.Start(t)
	p := provision(t, b)
	id := at(p.must(201, "POST", "/Users", person("ada")), "id").(string)
	nobody := strings.Repeat("0", 8) + id[8:]
	both := `[{"value":"` + id + `"},{"value":"` + nobody + `"}]`
	p.must(400, "POST", "/Groups", `{"displayName":"Half","members":`+both+`}`)
	wantAt(t, p.must(200, "GET", "/Groups", ""), 0.0, "totalResults")
	team := at(p.must(201, "POST", "/Groups", `{"displayName":"Whole"}`), "id").(string)
	p.must(400, "PATCH", "/Groups/"+team, patch(`{"op":"replace","path":"displayName","value":"Other"}`, `{"op":"add","path":"members","value":`+both+`}`))
	got := p.must(200, "GET", "/Groups/"+team, "")
	wantAt(t, got, "Whole", "displayName")
	wantAt(t, got, nil, "members", 0)
	p.must(400, "PATCH", "/Groups/"+team, patch(`{"op":"add","path":"members","value":[{"value":"*"}]}`))
	p.must(409, "POST", "/Groups", `{"displayName":"WHOLE"}`)
}

// A precondition that no longer holds stops a change; lists page, and show what is
// asked for.
func TestVersionsAndLists(t *testing.T) {
	b := servertest.Start(t)
	p := provision(t, b)
	_, ada, header := p.do("POST", "/Users", person("ada"))
	id, tag := at(ada, "id").(string), header.Get("ETag")
	if tag == "" || tag != at(ada, "meta", "version") || !strings.HasSuffix(header.Get("Location"), "/scim/v2/Users/"+id) {
		t.Errorf("%v of %v", header, ada)
	}
	wantAt(t, p.must(200, "GET", "/Users/"+id, ""), at(ada, "meta", "created"), "meta", "created")
	with := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	p.must(304, "GET", "/Users/"+id, "", with("If-None-Match", tag))
	p.must(200, "PATCH", "/Users/"+id, patch(`{"op":"add","path":"title","value":"Countess"}`), with("If-Match", tag))
	p.must(412, "PATCH", "/Users/"+id, patch(`{"op":"add","path":"title","value":"Duchess"}`), with("If-Match", tag))
	p.must(412, "DELETE", "/Users/"+id, "", with("If-Match", tag))
	wantAt(t, p.must(200, "GET", "/Users/"+id, "", with("If-None-Match", tag)), "Countess", "title")

	for i := range 6 {
		p.must(201, "POST", "/Users", person(fmt.Sprintf("p%d", i)))
	}
	seen := map[string]bool{}
	for _, start := range []int{1, 4, 7, 2} { // in order, and back
		page := p.must(200, "GET", fmt.Sprintf("/Users?startIndex=%d&count=3&attributes=userName,emails.value", start), "")
		wantAt(t, page, 7.0, "totalResults")
		for _, r := range at(page, "Resources").([]any) {
			seen[at(r, "id").(string)] = true
			if at(r, "displayName") != nil || at(r, "emails", 0, "value") == nil || at(r, "emails", 0, "type") != nil {
				t.Errorf("what was asked for is not what is shown: %v", r)
			}
		}
	}
	if len(seen) != 7 {
		t.Errorf("the pages show %d of 7", len(seen))
	}
	page := p.must(200, "GET", "/Users?count=2&startIndex=2&filter="+escape(`userName sw "p" and not (title pr)`), "")
	wantAt(t, page, 6.0, "totalResults")
	wantAt(t, page, 2.0, "itemsPerPage")
	wantAt(t, p.must(200, "GET", "/Users?count=0", ""), 0.0, "itemsPerPage")
	page = p.must(200, "POST", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"title eq \"countess\"","attributes":["title"]}`)
	wantAt(t, page, id, "Resources", 0, "id")
	wantAt(t, page, nil, "Resources", 0, "userName")
	wantAt(t, p.must(400, "GET", "/Users?filter="+escape(`userName eq "a" or 1=1`), ""), "invalidFilter", "scimType")

	wantAt(t, p.must(200, "GET", "/ServiceProviderConfig", ""), false, "bulk", "supported")
	wantAt(t, p.must(200, "GET", "/ResourceTypes/User", ""), "/Users", "endpoint")
	wantAt(t, p.must(200, "GET", "/Schemas", ""), 3.0, "totalResults")
	wantAt(t, p.must(200, "GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group", ""), "Group", "name")
}
