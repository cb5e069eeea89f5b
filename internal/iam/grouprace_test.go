package iam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// each makes n different calls of the administrator's at once and answers how many
// succeeded. The others meet a quota, a name that is taken, what is gone or not empty, or
// too many others.
func each(t *testing.T, h *house, n int, call func(i int) (action string, in any)) int {
	t.Helper()
	admin := h.claim(t, h.admin)
	var all sync.WaitGroup
	var succeeded atomic.Int32
	for i := range n {
		all.Go(func() {
			c, err := h.Door.Begin(context.Background(), admin, "")
			if err != nil {
				t.Error(err)
				return
			}
			action, in := call(i)
			var e *api.Error
			if _, err := api.InvokeAny(context.Background(), c, action, in); err == nil {
				succeeded.Add(1)
			} else if !errors.As(err, &e) || !slices.Contains([]string{"EntityAlreadyExists", "LimitExceeded", "NoSuchEntity", "DeleteConflict", "ServiceUnavailable"}, e.Code) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	return int(succeeded.Load())
}

// While a group is changed others come into it: each member has what the group has
// then, and a group that is deleted has no members.
func TestGroupsAtOnce(t *testing.T) {
	const members = 6
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		callers := map[string]*apitest.Caller{}
		for i := range members {
			name := fmt.Sprintf("u%d", i+1)
			callers[name] = h.user(t, name, apitest.Admin)
		}
		join := func(i int) any {
			return &shape.AddUserToGroupInput{GroupName: "g", UserName: fmt.Sprintf("u%d", i)}
		}
		for range 2 {
			must[shape.CreateGroupOutput](t, h, h.admin, "iam:CreateGroup", &shape.CreateGroupInput{GroupName: "g"})
			each(t, h, members+1, func(i int) (string, any) {
				if i == 0 {
					return "iam:PutGroupPolicy", &shape.PutGroupPolicyInput{GroupName: "g", PolicyName: "p", PolicyDocument: strings.Replace(apitest.Admin, "Allow", "Deny", 1)}
				}
				return "iam:AddUserToGroup", join(i)
			})
			written := must[shape.ListGroupPoliciesOutput](t, h, h.admin, "iam:ListGroupPolicies", &shape.ListGroupPoliciesInput{GroupName: "g"}).PolicyNames
			inside := map[string]bool{}
			for _, u := range must[shape.GetGroupOutput](t, h, h.admin, "iam:GetGroup", &shape.GetGroupInput{GroupName: "g"}).Users {
				inside[u.UserName] = true
			}
			for name, c := range callers {
				_, err := apitest.CallAs[shape.ListUsersOutput](t, h.Rig, h.claim(t, c), "", "iam:ListUsers", &shape.ListUsersInput{})
				if denied := len(written) > 0 && inside[name]; denied != (err != nil) {
					t.Errorf("%s, a member: %v, the group denies: %v; answered %v", name, inside[name], written, err)
				}
				must[shape.RemoveUserFromGroupOutput](t, h, h.admin, "iam:RemoveUserFromGroup", &shape.RemoveUserFromGroupInput{GroupName: "g", UserName: name})
			}
			for _, name := range written {
				must[shape.DeleteGroupPolicyOutput](t, h, h.admin, "iam:DeleteGroupPolicy", &shape.DeleteGroupPolicyInput{GroupName: "g", PolicyName: name})
			}
			each(t, h, members+1, func(i int) (string, any) {
				if i == 0 {
					return "iam:DeleteGroup", &shape.DeleteGroupInput{GroupName: "g"}
				}
				return "iam:AddUserToGroup", join(i)
			})
			sn, err := h.Store.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			orphans, err := count(sn, `SELECT COUNT(*) FROM iam_members WHERE group_id NOT IN (SELECT id FROM iam_entities)`)
			left, err2 := count(sn, `SELECT COUNT(*) FROM iam_entities WHERE kind = ?`, string(group))
			sn.Close()
			if err != nil || err2 != nil || orphans != 0 {
				t.Fatalf("%d members of no group; %v %v", orphans, err, err2)
			}
			for i := range members * left {
				must[shape.RemoveUserFromGroupOutput](t, h, h.admin, "iam:RemoveUserFromGroup", &shape.RemoveUserFromGroupInput{GroupName: "g", UserName: fmt.Sprintf("u%d", i+1)})
			}
			if left > 0 {
				must[shape.DeleteGroupOutput](t, h, h.admin, "iam:DeleteGroup", &shape.DeleteGroupInput{GroupName: "g"})
			}
		}
	})
}
