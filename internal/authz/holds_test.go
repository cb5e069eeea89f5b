package authz_test

import (
	"context"
	"errors"
	"testing"

	"bawn.dev/internal/authz"
	"bawn.dev/internal/store"
)

// holders are people and the roles that are assigned to them.
type holders map[string]string

func (h holders) Holds(_ context.Context, _ *store.Snapshot, p *authz.Person, role *authz.Entity) error {
	if h[p.UserID] == role.Name {
		return nil
	}
	return authz.ErrGone
}

// A person is in a role of the identity centre's only while it is assigned to her,
// and where nobody knows that, never.
func TestHolds(t *testing.T) {
	h, _ := build(t)
	path := "arn:aws:iam::" + member + ":role/aws-reserved/sso.amazonaws.com/"
	h.entities["AROACENTRE"] = &authz.Entity{Kind: authz.Role, ID: "AROACENTRE", ARN: path + "doctor", Name: "doctor", Account: member}
	h.entities["AROAREGION"] = &authz.Entity{Kind: authz.Role, ID: "AROAREGION", ARN: path + "eu-west-1/nurse", Name: "nurse", Account: member}
	for _, c := range []struct {
		user, role string
		known      authz.Assignments
		in         bool
	}{
		{"ada", "AROACENTRE", holders{"ada": "doctor"}, true},
		{"ada", "AROACENTRE", holders{"ada": "nurse", "bob": "doctor"}, false},
		{"ada", "AROAREGION", holders{"ada": "doctor"}, false},
		{"ada", "AROAREGION", holders{"ada": "nurse"}, true},
		{"ada", "AROACENTRE", nil, false},
		{"ada", "AROATRAIN", nil, true}, // no role of the centre's
		{"ada", "AROATRAIN", holders{}, true},
	} {
		a, err := authz.New(authz.Sources{Principals: h, Organization: h, Directory: h, ServicePolicies: h, Assignments: c.known})
		if err != nil {
			t.Fatal(err)
		}
		claim := session(authz.Role, c.role)
		claim.Person = &authz.Person{UserID: c.user}
		if _, err := a.Subject(t.Context(), nil, claim); (err == nil) != c.in || err != nil && !errors.Is(err, authz.ErrGone) {
			t.Errorf("%s in %s, where %v: %v", c.user, c.role, c.known, err)
		}
	}
}
