package policy

import (
	"fmt"
	"testing"
)

// TestUnknownKeysFailClosed: a key that does not exist must never widen what a
// policy lets through. Without a catalogue the same statements show what a
// misspelt key does elsewhere: a Deny that never fires, an Allow that always does.
func TestUnknownKeysFailClosed(t *testing.T) {
	cat := knows{"aws:username": true}
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
	want := []found{{1, "Action", "s3:GetObjct"}, {1, "NotResource", "aws:usernme"}, {1, "Condition", "aws:team"}, {1, "Condition", "aws:surceip"}}
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
