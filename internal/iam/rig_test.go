package iam

import (
	"context"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

// A house is a door with IAM behind it and nothing made up in its place.
type house struct {
	*apitest.Rig
	iam   *Service
	admin *apitest.Caller
}

func newHouse(t testing.TB) *house {
	t.Helper()
	st, dir := apitest.NewStore(t)
	return houseOver(t, st, dir)
}

func houseOver(t testing.TB, st *store.Store, dir string) *house {
	t.Helper()
	s, err := New(Config{Key: seal.NewKey(), Catalogue: catalogue.New(), Region: apitest.Region})
	if err != nil {
		t.Fatal(err)
	}
	rig := apitest.Over(t, st, dir, apitest.Options{
		Migrations:  [][]store.Migration{Migrations()},
		Credentials: map[string]api.Credentials{"AKIA": s},
		Principals:  s,
		Contribute:  func(sources *authz.Sources) { sources.Catalogue = catalogue.New() },
		Used:        s.Used,
	}, s.API())
	h := &house{Rig: rig, iam: s}
	h.admin = h.bootstrap(t, apitest.Account, "admin")
	return h
}

func (h *house) bootstrap(t testing.TB, account, name string) *apitest.Caller {
	t.Helper()
	var id, secret string
	err := h.Store.Update(context.Background(), func(tx *store.Tx) (err error) {
		id, secret, err = h.iam.Bootstrap(tx, account, name, h.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return &apitest.Caller{AccessKeyID: id, Secret: secret}
}

// claim is what an access key stands for now.
func (h *house) claim(t testing.TB, c *apitest.Caller) api.Claim {
	t.Helper()
	sn, err := h.Store.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	_, claim, err := h.iam.Credential(context.Background(), sn, c.AccessKeyID, "", h.Now())
	if err != nil {
		t.Fatal(err)
	}
	return claim
}

// user makes a user with one inline policy, and a key.
func (h *house) user(t testing.TB, name, policy string) *apitest.Caller {
	t.Helper()
	must[shape.CreateUserOutput](t, h, h.admin, "iam:CreateUser", &shape.CreateUserInput{UserName: name})
	if policy != "" {
		must[shape.PutUserPolicyOutput](t, h, h.admin, "iam:PutUserPolicy", &shape.PutUserPolicyInput{UserName: name, PolicyName: "p", PolicyDocument: policy})
	}
	k := must[shape.CreateAccessKeyOutput](t, h, h.admin, "iam:CreateAccessKey", &shape.CreateAccessKeyInput{UserName: name}).AccessKey
	return &apitest.Caller{AccessKeyID: k.AccessKeyId, Secret: k.SecretAccessKey}
}

func must[Out any](t testing.TB, h *house, c *apitest.Caller, action string, in any) *Out {
	t.Helper()
	out, err := apitest.CallAs[Out](t, h.Rig, h.claim(t, c), "", action, in)
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	return out
}

func refused[Out any](t testing.TB, h *house, c *apitest.Caller, action string, in any, code string) {
	t.Helper()
	_, err := apitest.CallAs[Out](t, h.Rig, h.claim(t, c), "", action, in)
	if err == nil {
		t.Errorf("%s was not refused", action)
	} else if err.Code != code {
		t.Errorf("%s: %v, not %s", action, err, code)
	}
}

// allow is a policy of one statement.
func allow(statement string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` + statement + `}]}`
}

const trustAccount = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + apitest.Account + `:root"},"Action":"sts:AssumeRole"}]}`
