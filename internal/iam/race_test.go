package iam

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// atOnce has eight callers ask for the same and answers how many got it.
func atOnce[Out any](t *testing.T, h *house, action string, in any) int {
	t.Helper()
	admin := h.claim(t, h.admin)
	var group sync.WaitGroup
	var succeeded atomic.Int32
	for range 8 {
		group.Go(func() {
			c, err := h.Door.Begin(t.Context(), admin, "")
			if err != nil {
				t.Error(err)
				return
			}
			var e *api.Error
			if _, err := api.Invoke[Out](t.Context(), c, action, in); err == nil {
				succeeded.Add(1)
			} else if !errors.As(err, &e) || e.Code != "EntityAlreadyExists" && e.Code != "LimitExceeded" && e.Code != "ServiceUnavailable" {
				t.Error(err)
			}
		})
	}
	group.Wait()
	return int(succeeded.Load())
}

// Of callers who want the same, no more succeed than may.
func TestAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		if n := atOnce[shape.CreateUserOutput](t, h, "iam:CreateUser", &shape.CreateUserInput{UserName: "ada"}); n != 1 {
			t.Errorf("%d users of one name", n)
		}
		if n := atOnce[shape.CreateAccessKeyOutput](t, h, "iam:CreateAccessKey", &shape.CreateAccessKeyInput{UserName: "ada"}); n > maxAccessKeys {
			t.Errorf("%d access keys", n)
		}
		if n := atOnce[shape.CreatePolicyOutput](t, h, "iam:CreatePolicy", &shape.CreatePolicyInput{PolicyName: "p", PolicyDocument: allow(`"Action":"*","Resource":"*"`)}); n != 1 {
			t.Errorf("%d policies of one name", n)
		}
	})
}

// On the path of every call, key and user cost one look-up together: once their
// versions are known, both are answered although the snapshot is closed.
func TestOneLookUp(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	owner := h.claim(t, h.admin).ID
	for warm := range 2 {
		sn, err := h.Store.Snapshot(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Close()
		if warm == 1 {
			if _, err := sn.Versions(accessKeyKey(h.admin.AccessKeyID), entityKey(owner)); err != nil {
				t.Fatal(err)
			}
			sn.Close()
		}
		if _, _, err := h.iam.Credential(ctx, sn, h.admin.AccessKeyID, "", h.Now()); err != nil {
			t.Error(err)
		}
		if _, err := h.iam.Principal(ctx, sn, owner); err != nil {
			t.Error(err)
		}
	}
}
