package signin

import (
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	directory "bawn.dev/internal/shape/identitystore"
)

func (g *gate) remove(userID string) {
	g.t.Helper()
	apitest.Must[directory.DeleteUserOutput](g.t, g.admin, "identitystore:DeleteUser", &directory.DeleteUserInput{IdentityStoreId: g.store, UserId: userID})
}

// others is the id of a sign-in of ada's that is not this one.
func (g *gate) others(this *Session) string {
	g.t.Helper()
	sn, err := g.Store.Snapshot(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	defer sn.Close()
	list, err := sessionsOf(sn, g.ada, g.Now())
	for _, one := range list {
		if one.ID != this.ID {
			return one.ID
		}
	}
	g.t.Fatalf("there is none: %v", err)
	return ""
}

func TestPortal(t *testing.T) {
	g := newGate(t)
	_, ada := g.signIn(g.ada)
	token := g.register(nil).login(ada).text("accessToken")
	for name, bearer := range map[string]string{"a program": token, "the portal": ada} {
		first := g.portal(bearer, "GET", "/assignment/accounts?max_result=1").must(t)
		list := first.body["accountList"].([]any)
		if len(list) != 1 || list[0].(map[string]any)["accountId"] != apitest.Account || list[0].(map[string]any)["accountName"] != "account "+apitest.Account ||
			list[0].(map[string]any)["emailAddress"] != apitest.Account+"@example.org" || first.text("nextToken") == "" {
			t.Fatalf("%s sees %v", name, first.body)
		}
		second := g.portal(bearer, "GET", "/assignment/accounts?max_result=1&next_token="+first.text("nextToken")).must(t)
		if list := second.body["accountList"].([]any); len(list) != 1 || list[0].(map[string]any)["accountId"] != apitest.Other || second.text("nextToken") != "" {
			t.Fatalf("%s sees then %v", name, second.body)
		}
		roles := g.portal(bearer, "GET", "/assignment/roles?account_id="+apitest.Other).must(t).body["roleList"].([]any)
		if len(roles) != 2 || roles[0].(map[string]any)["roleName"] != "Auditor" || roles[1].(map[string]any)["roleName"] != "Reader" {
			t.Errorf("%s sees the roles %v", name, roles)
		}
		g.credentials(bearer, apitest.Other, "Reader").must(t)
	}
	if r := g.portal(token, "GET", "/assignment/accounts?max_result=101"); r.code != "InvalidRequestException" {
		t.Errorf("a page of 101: %d %s", r.status, r.code)
	}
	if r := g.portal("", "GET", "/assignment/accounts"); r.status < 400 || r.status > 401 {
		t.Errorf("without a token: %d %v", r.status, r.body)
	}
	for i := range token {
		if i%16 == 0 {
			b := []byte(token)
			b[i] ^= 1
			g.alive("a changed token", string(b), false)
		}
	}
}

// What was not assigned, or no more, is refused in the same words as what is not there.
func TestOnlyWhatIsAssigned(t *testing.T) {
	g := newGate(t)
	eve := g.person("eve")
	g.assign(eve, apitest.Account, "Administrator", `{"Service":"sso.amazonaws.com"}`)
	_, ada := g.signIn(g.ada)
	token := g.register(nil).login(ada).text("accessToken")
	none := func(why, account, role string) {
		t.Helper()
		r := g.credentials(token, account, role)
		if r.refused(t, why, "ForbiddenException"); r.status != 403 || r.text("message") != "No access" {
			t.Errorf("%s: %d %v", why, r.status, r.body)
		}
	}
	none("another's", apitest.Account, "Administrator")
	none("in another account of hers", apitest.Account, "Auditor")
	none("no such set", apitest.Account, "Nothing")
	none("no such account", "999999999999", "Scientist")
	none("the role's own name", apitest.Account, "AWSReservedSSO_Scientist_0123456789abcdef")
	if r := g.portal(token, "GET", "/assignment/roles?account_id=999999999999"); r.code != "ForbiddenException" {
		t.Errorf("roles of no account of hers: %s", r.code)
	}

	g.credentials(token, apitest.Account, "Scientist").must(t)
	all := g.access.to[g.ada]
	g.access.to[g.ada] = all[1:]
	none("no longer assigned", apitest.Account, "Scientist")

	// A role of that name that is not the identity centre's, or that somebody else may
	// assume, is not what was assigned.
	g.access.to[g.ada] = nil
	g.assign(g.ada, apitest.Account, "Distrustful", `{"Service":"ec2.amazonaws.com"}`)
	none("a role that does not trust the identity centre", apitest.Account, "Distrustful")
	role := g.assign(g.ada, apitest.Account, "Elsewhere", `{"Service":"sso.amazonaws.com"}`)
	role.ARN = strings.Replace(role.ARN, "aws-reserved/sso.amazonaws.com", "team", 1)
	g.access.to[g.ada][1].RoleARN = role.ARN
	none("a role at another path", apitest.Account, "Elsewhere")
	g.access.to[g.ada] = []api.Assignment{{AccountID: apitest.Account, PermissionSetName: "Gone", RoleARN: "arn:aws:iam::" + apitest.Account + ":role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Gone_0"}}
	none("a role that is not there", apitest.Account, "Gone")

	g.access.to[g.ada], g.access.tags = all, map[string]string{"team": strings.Repeat("m", 257)}
	g.credentials(token, apitest.Account, "Scientist").refused(t, "attributes that do not fit", "InvalidRequestException")
}

// Policies tell people apart by the session's name. Nobody gets another's by calling
// herself something that is not a name, or is one only in part.
func TestSessionNames(t *testing.T) {
	const id = "00000000-0000-4000-8000-000000000001"
	for user, want := range map[string]string{
		"ada": "ada", "a": "a==" + id, "ada@example.org": "ada@example.org", "Ada Lovelace": "Ada-Lovelace==" + id, "Zoë": "Zo-==" + id,
		"ada/../root": "ada-..-root==" + id, "x==" + id: "x--" + id[:23] + "==" + id, strings.Repeat("x", 64): strings.Repeat("x", 64),
		strings.Repeat("x", 90): strings.Repeat("x", 26) + "==" + id,
	} {
		if got := sessionName(user, id); got != want || len(got) > 64 {
			t.Errorf("%q: %q, want %q", user, got, want)
		}
	}
}
