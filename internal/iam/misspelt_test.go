package iam

import (
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/iam"
)

// A slip that would leave less forbidden, or more allowed, than its author meant is
// refused with what was meant. One that allows nothing is stored, as at AWS.
func TestMisspeltActions(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ada", allow(`"Action":"s3:GetObject","Resource":"*"`))
	put := func(statement string) *api.Error {
		_, err := apitest.CallAs[shape.PutUserPolicyOutput](t, h.Rig, h.claim(t, h.admin), "", "iam:PutUserPolicy", &shape.PutUserPolicyInput{
			UserName: "ada", PolicyName: "p", PolicyDocument: `{"Version":"2012-10-17","Statement":[` + statement + `]}`,
		})
		return err
	}
	for _, c := range []struct{ statement, meant string }{
		{`{"Effect":"Deny","Action":"s3:DeleteObjekt","Resource":"*"}`, "s3:DeleteObject"},
		{`{"Effect":"Allow","NotAction":["s3:DeleteObjekt"],"Resource":"*"}`, "s3:DeleteObject"},
		{`{"Effect":"Deny","Action":["s3:DeleteObject","kms:Decript"],"Resource":"*"}`, "kms:Decrypt"},
	} {
		err := put(c.statement)
		if err == nil || !strings.Contains(err.Error(), c.meant) {
			t.Errorf("%s: %v", c.statement, err)
		}
	}
	for _, statement := range []string{
		`{"Effect":"Allow","Action":"s3:ListObjects","Resource":"*"}`,    // in many a tutorial; it never was an action
		`{"Effect":"Deny","NotAction":"s3:DeleteObjekt","Resource":"*"}`, // denies what was meant, and more
		`{"Effect":"Deny","Action":"braket:CancelJob","Resource":"*"}`,   // of a service that is not here
		`{"Effect":"Deny","Action":"s3:DeleteObjekt*","Resource":"*"}`,   // a pattern says what it says
	} {
		if err := put(statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
}
