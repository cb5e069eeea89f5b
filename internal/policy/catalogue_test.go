package policy

import (
	"fmt"
	"strings"
	"testing"
)

// TestUnknownKeysFailClosed: a key that does not exist must never widen what a
// policy lets through. Without a catalogue the same statements show what a
// misspelt key does elsewhere: a Deny that never fires, an Allow that always does.
func TestUnknownKeysFailClosed(t *testing.T) {
	cat := knows{"aws:username": true, "s3:getobject": true}
	ctx := Context{}
	ctx.Set("aws:username", "alice")
	ctx.Set("aws:usrname", "alice") // even if a request carried it
	for _, c := range []struct {
		name, element string
	}{
		{"positive", `"Resource":"*","Condition":{"StringEquals":{"aws:usrname":"bob"}}`},
		{"negated, true on a missing key", `"Resource":"*","Condition":{"StringNotEquals":{"aws:nme":"bob"}}`},
		{"IfExists", `"Resource":"*","Condition":{"StringEqualsIfExists":{"aws:nme":"bob"}}`},
		{"ForAllValues", `"Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:nme":"bob"}}`},
		{"Null", `"Resource":"*","Condition":{"Null":{"aws:nme":"true"}}`},
		{"variable in a condition", `"Resource":"*","Condition":{"StringEquals":{"aws:username":["alice","${aws:nme}"]}}`},
		{"variable in a resource", `"Resource":"arn:aws:s3:::data/${aws:nme, 'train'}/*"`},
		{"variable in NotResource", `"NotResource":"arn:aws:s3:::${aws:nme, 'x'}"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := &Input{Action: get, Resource: object, Principal: aUser, ResourceAccount: home, Context: ctx, Catalogue: cat}
			in.Identity = docs(doc(t, Identity, fmt.Sprintf(`{"Effect":"Allow","Action":"*",%s}`, c.element)))
			if got := verdict(t, in); got != "not allowed by identity-based policy" {
				t.Errorf("an Allow with an unknown key: %s", got)
			}
			in.Identity = docs(doc(t, Identity, allow("*", "*"), fmt.Sprintf(`{"Effect":"Deny","Action":"*",%s}`, c.element)))
			if got := verdict(t, in); got != "denied by identity-based policy" {
				t.Errorf("a Deny with an unknown key: %s", got)
			}
		})
	}

	// The rest of a Deny still says whom and what it means.
	in := &Input{Action: get, Resource: object, Principal: aUser, ResourceAccount: home, Context: ctx, Catalogue: cat,
		Identity: docs(doc(t, Identity, allow("*", "*"), `{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"Bool":{"aws:nme":"true"}}}`))}
	if got := verdict(t, in); got != "allowed by identity-based policy" {
		t.Errorf("a Deny of other actions: %s", got)
	}
}

func TestValidate(t *testing.T) {
	cat := knows{"s3:getobject": true, "aws:username": true, "aws:principaltag/team": true}
	p := mustParse(t, Identity, statements(
		allow("S3:GetObject", "arn:aws:s3:::b/${AWS:username}"),
		`{"Effect":"Deny","Action":["s3:GetObjct","s3:GetO*","*"],"NotResource":"arn:aws:s3:::b/${aws:usernme}",
		  "Condition":{"StringEquals":{"aws:PrincipalTag/Team":"${aws:team}","aws:SurceIp":"x"}}}`))
	type found struct {
		statement     int
		element, name string
	}
	got := map[found]bool{}
	for _, f := range Validate(p, cat) {
		got[found{f.Statement, f.Element, f.Name}] = true
		if f.Message == "" {
			t.Errorf("no message in %+v", f)
		}
	}
	want := []found{{1, "Action", "s3:GetObjct"}, {1, "NotResource", "aws:usernme"}, {1, "Condition", "aws:team"}, {1, "Condition", "aws:SurceIp"}}
	for _, f := range want {
		if !got[f] {
			t.Errorf("%+v was not found", f)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	if f := Validate(p, nil); f != nil {
		t.Errorf("without a catalogue: %v", f)
	}
}

// TestUnknownActionsAreDenied: nothing allows an action that does not exist, and a
// Deny of it is still told for what it is.
func TestUnknownActionsAreDenied(t *testing.T) {
	everything := docs(doc(t, Identity, allow("*", "*")))
	full := ptr(doc(t, Resource, allowTo(everyone, "*")))
	for name, in := range map[string]Input{
		"user":      {Principal: aUser, Identity: everything, ResourcePolicy: full},
		"root user": {Principal: aRoot, Identity: everything},
		"grant":     {Principal: aSession, Grant: &Grant{ID: "g"}},
		"service":   {Principal: aService, ResourcePolicy: ptr(doc(t, Resource, allowTo(`{"Service":"sagemaker.amazonaws.com"}`, "*")))},
		"anonymous": {ResourcePolicy: full},
		"abroad":    {Principal: aUser, Identity: everything, ResourcePolicy: full, ResourceAccount: other},
	} {
		in.Resource = object
		if in.ResourceAccount == "" {
			in.ResourceAccount = home
		}
		for action, want := range map[string]bool{get: true, "S3:GETOBJECT": true, "s3:GetObjects": false, "s4:GetObject": false, "s3:*": false} {
			in.Action, in.Catalogue = action, nil
			if d := Decide(&in); !d.Allowed {
				t.Errorf("%s, %s without a catalogue: %s", name, action, d)
			}
			in.Catalogue = knows{"s3:getobject": true}
			x := Explain(&in)
			if d := Decide(&in); d.Allowed != want || !want && d != (Decision{}) || x.Decision != d || (x.Note == "") != want {
				t.Errorf("%s, %s: %s\n%s", name, action, d, x)
			}
		}
	}
	in := &Input{Action: "s3:GetObjects", Resource: object, Principal: aUser, ResourceAccount: home, Catalogue: knows{}, Identity: docs(doc(t, Identity, deny("s3:*", "*")))}
	if got := verdict(t, in); got != "denied by identity-based policy" {
		t.Error(got)
	}
}

// spells is a Catalogue of nothing that guesses.
type spells struct{ knows }

func (spells) NearAction(string) string { return "s3:GetObject" }
func (spells) NearKey(string) string    { return "" }

func TestValidateGuesses(t *testing.T) {
	names := make([]string, 1000)
	for i := range names {
		names[i] = `"s3:A"`
	}
	p := mustParse(t, Identity, `{"Statement":{"Effect":"Allow","Action":[`+strings.Join(names, ",")+`],"Resource":"*","Condition":{"Bool":{"aws:X":"true"}}}}`)
	found, guesses := Validate(p, spells{}), 0
	for _, f := range found {
		if f.Message == "no action s3:A exists; did you mean s3:GetObject?" {
			guesses++
		}
	}
	if len(found) != 1001 || guesses != maxGuesses || found[1000].Message != "no condition key aws:X exists" {
		t.Errorf("%d findings with %d guesses; the last is %+v", len(found), guesses, found[len(found)-1])
	}
}
