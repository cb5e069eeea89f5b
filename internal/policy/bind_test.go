package policy

import (
	"errors"
	"strings"
	"testing"
)

const (
	aliceID = "AIDAEXAMPLEEXAMPLE01"
	trainID = "AROAEXAMPLEEXAMPLE01"
)

// registry bears names.
type registry map[string]string

func (r registry) bearer(principal string) (string, error) {
	if id, ok := r[principal]; ok {
		return id, nil
	}
	return "", ErrNoBearer
}

var everybody = registry{alice: aliceID, roleARN: trainID, session: trainID}

// Names that were given away mean those who bore them.
func TestBind(t *testing.T) {
	text := statements(allowTo(aws(alice), get), allowTo(aws(roleARN), "s3:PutObject"), allowTo(aws(session), "s3:DeleteObject"))
	b, err := Bind(text, everybody.bearer)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = ReadBindings(b.Text()); err != nil {
		t.Fatal(err)
	}
	p, err := b.Parse(text, Resource)
	if err != nil {
		t.Fatal(err)
	}
	another, successor := aUser, aSession
	another.ID, successor.ID = "AIDAEXAMPLEEXAMPLE02", "AROAEXAMPLEEXAMPLE02:job-1"
	sibling := aSession
	sibling.ARN, sibling.ID = strings.Replace(session, "job-1", "job-2", 1), trainID+":job-2"
	for _, c := range []struct {
		name, action string
		who          Principal
		want         bool
	}{
		{"the user", get, aUser, true},
		{"a user made again", get, another, false},
		{"the role", "s3:PutObject", aSession, true},
		{"another session of it", "s3:PutObject", sibling, true},
		{"a role made again", "s3:PutObject", successor, false},
		{"the session", "s3:DeleteObject", aSession, true},
		{"a session for a session", "s3:DeleteObject", sibling, false},
		{"the session of a role made again", "s3:DeleteObject", successor, false},
	} {
		d := Decide(&Input{Action: c.action, Resource: object, Principal: c.who, ResourceAccount: home, ResourcePolicy: &Doc{Name: "x", Policy: p}})
		if d.Allowed != c.want {
			t.Errorf("%s: %v", c.name, d.Allowed)
		}
	}

	if shown, err := b.Shown(text, everybody.bearer); err != nil || shown != text {
		t.Errorf("%v: %s", err, shown)
	}
	for name, now := range map[string]registry{"gone": {}, "made again": {alice: another.ID, roleARN: "AROAEXAMPLEEXAMPLE02", session: "AROAEXAMPLEEXAMPLE02"}} {
		shown, err := b.Shown(text, now.bearer)
		if err != nil || strings.Contains(shown, "arn:aws:iam") || strings.Contains(shown, "arn:aws:sts") ||
			!strings.Contains(shown, aliceID) || !strings.Contains(shown, `"`+trainID+`"`) || !strings.Contains(shown, trainID+":job-1") {
			t.Errorf("%s: %v: %s", name, err, shown)
		}
	}
	broken := errors.New("broken")
	if _, err := b.Shown(text, func(string) (string, error) { return "", broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestBindRefusesNobody(t *testing.T) {
	for _, principal := range []string{
		"arn:aws:iam::111122223333:user/none", "arn:aws:iam::111122223333:role/train", "AROASOMEOTHERROLE001",
		"arn:aws:sts::111122223333:assumed-role/none/s-1",
	} {
		_, err := Bind(statements(allowTo(aws(alice), get), allowTo(aws(principal), get)), everybody.bearer)
		if e, ok := errors.AsType[*Error](err); !ok || !strings.HasPrefix(e.Message, "Invalid principal in policy") || !strings.Contains(e.Message, principal) {
			t.Errorf("%s: %v", principal, err)
		}
	}
	odd := strings.Replace(session, "job-1", "job 1", 1)
	if _, err := Bind(statements(allowTo(aws(odd), get)), registry{odd: trainID}.bearer); err == nil {
		t.Error("a session that cannot be was bound")
	}
	broken := errors.New("broken")
	if _, err := Bind(statements(allowTo(aws(alice), get)), func(string) (string, error) { return "", broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	// Who is nobody in particular is not asked for.
	text := statements(allowTo(everyone, get), allowTo(aws(home), get), allowTo(aws(rootOf), get),
		allowTo(`{"Service":"sagemaker.amazonaws.com","Federated":"accounts.google.com"}`, get))
	b, err := Bind(text, func(p string) (string, error) { return "", errors.New("asked for " + p) })
	if err != nil || len(b) != 0 || b.Text() != "" {
		t.Errorf("%v, %v", b, err)
	}
}

func TestSessionIDs(t *testing.T) {
	for id, want := range map[string]bool{
		trainID: true, trainID + ":job-1": true, aliceID: true,
		trainID + ":": false, trainID + ":x": false, trainID + ":a b": false, trainID + ":a:b": false, trainID + ":*a": false,
		aliceID + ":job-1": false, trainID + ":" + strings.Repeat("x", 65): false, "AROA:job-1": false,
	} {
		if _, err := Parse([]byte(statements(allowTo(aws(id), get))), Resource); (err == nil) != want {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func FuzzRewritePrincipals(f *testing.F) {
	f.Add(statements(allowTo(aws(rootOf), "sts:AssumeRole")))
	f.Add(`{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:iam::123456789012:user/a","123456789012"],"Service":"x.amazonaws.com"},"Action":"sts:*"}}`)
	f.Add(`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		before, err := Parse([]byte(text), Trust)
		if err != nil {
			return
		}
		same, err := RewritePrincipals(text, func(p string) string { return p })
		if err != nil || same != text {
			t.Fatalf("%q became %q: %v", text, same, err)
		}
		bound, err := RewritePrincipals(text, func(string) string { return "AIDAABCDEFGHIJKLMNOPQ" })
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		after, err := Parse([]byte(bound), Trust)
		if err != nil || after.Len() != before.Len() {
			t.Fatalf("%q became %q: %v", text, bound, err)
		}
		for _, p := range after.Principals() {
			if p != "AIDAABCDEFGHIJKLMNOPQ" && p != "*" {
				t.Fatalf("%q still names %s", bound, p)
			}
		}
	})
}
