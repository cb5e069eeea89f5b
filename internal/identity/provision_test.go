package identity

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store/storetest"
)

// A mortal context ends when it was asked a number of times whether it has. The
// store asks before it writes and reads: so Run can be killed at each of these.
type mortal struct {
	context.Context
	left *atomic.Int64
}

func (m mortal) Err() error {
	if m.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// killed runs do, killed at its first step, then at its second, and so on, each time
// on something new; after each death check runs. It ends with the first that lives.
func killed(t *testing.T, prepare func(*testing.T, *ward), check func(*testing.T, *ward)) {
	lived := false
	for steps := int64(1); !lived; steps += 3 { // a step asks more than once
		whole := t.Run(fmt.Sprint(steps), func(t *testing.T) {
			w := openWard(t, storetest.SQLite(t))
			prepare(t, w)
			ctx := mortal{t.Context(), new(atomic.Int64)}
			ctx.left.Store(steps)
			err := w.work(ctx)
			lived = ctx.left.Load() >= 0
			if lived && err != nil {
				t.Fatalf("lives, and fails: %v", err)
			}
			if lived && steps < 20 {
				t.Fatal("that is too soon to have been killed at any")
			}
			check(t, w)
		})
		if !whole {
			return
		}
	}
}

// Wherever the making of a role is cut off, it is finished by whoever comes next.
func TestKilledWhileAssigning(t *testing.T) {
	var request, user string
	killed(t, func(t *testing.T, w *ward) {
		w.dress(t, "A", "X", "fence")
		user = w.person(t, "ada")
		request = w.assign(t, user)
	}, func(t *testing.T, w *ward) {
		got, _ := w.outcome(t, toAssign, request)
		if held, err := w.Assignments(w.snapshot(t), user); err != nil || (len(held) == 1) != (got == shape.StatusValuesSucceeded) {
			t.Errorf("%s, with %v, %v", got, held, err)
		}
		if err := w.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, why := w.outcome(t, toAssign, request); got != shape.StatusValuesSucceeded {
			t.Errorf("%s, %s", got, why)
		}
		w.wears(t, "A", "X", "fence")
	})
}

// While a role changes it never may what it neither might before nor shall.
func TestKilledWhileProvisioning(t *testing.T) {
	killed(t, func(t *testing.T, w *ward) {
		w.dress(t, "A", "X", "fence")
		w.assign(t, w.person(t, "ada"))
		if err := w.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.dress(t, "C", "Y", "")
		ask[shape.ProvisionPermissionSetOutput](t, w, "sso:ProvisionPermissionSet", &shape.ProvisionPermissionSetInput{
			InstanceArn: w.instance, PermissionSetArn: w.set, TargetType: shape.ProvisionTargetTypeAllProvisionedAccounts})
	}, func(t *testing.T, w *ward) {
		attached, inline, fence := w.worn(t)
		if fence == "" && (slices.Contains(attached, "A") || inline == "X") {
			t.Errorf("%v and %q are not fenced", attached, inline)
		}
		if fence != "" && (slices.Contains(attached, "C") || inline == "Y") {
			t.Errorf("%v and %q under a fence that is not theirs", attached, inline)
		}
		if err := w.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wears(t, "C", "Y", "")
	})
}

func TestKilledWhileTakingAway(t *testing.T) {
	var request string
	killed(t, func(t *testing.T, w *ward) {
		w.dress(t, "A", "X", "fence")
		user := w.person(t, "ada")
		w.assign(t, user)
		if err := w.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		request = w.unassign(t, user)
		if held, err := w.Assignments(w.snapshot(t), user); err != nil || len(held) != 0 {
			t.Errorf("she still has %v, %v", held, err)
		}
	}, func(t *testing.T, w *ward) {
		if err := w.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, why := w.outcome(t, toUnassign, request); got != shape.StatusValuesSucceeded {
			t.Errorf("%s, %s", got, why)
		}
		if left := w.roles(t); len(left) != 0 {
			t.Errorf("%v is left", left)
		}
		ask[shape.DeletePermissionSetOutput](t, w, "sso:DeletePermissionSet", &shape.DeletePermissionSetInput{InstanceArn: w.instance, PermissionSetArn: w.set})
	})
}

// Wherever the taking away of a role is cut off, who is assigned to it then has it.
func TestKilledWhileTakingAwayAndAssignedAgain(t *testing.T) {
	var bob string
	killed(t, func(t *testing.T, w *ward) {
		w.dress(t, "A", "X", "fence")
		ada := w.person(t, "ada")
		bob = w.person(t, "bob")
		w.assign(t, ada)
		if err := w.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.unassign(t, ada)
	}, func(t *testing.T, w *ward) {
		request := w.assign(t, bob)
		if err := w.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, why := w.outcome(t, toAssign, request); got != shape.StatusValuesSucceeded {
			t.Errorf("%s, %s", got, why)
		}
		w.wears(t, "A", "X", "fence")
	})
}

// Two copies that both think they lead leave what one would.
func TestTwoLeaders(t *testing.T) {
	wards(t, func(t *testing.T, open func() *ward) {
		w := open()
		w.dress(t, "A", "X", "fence")
		ada, bob := w.person(t, "ada"), w.person(t, "bob")
		for i := range 6 {
			if i%2 == 0 {
				w.assign(t, ada)
			} else {
				w.unassign(t, ada)
				w.assign(t, bob)
			}
			var both sync.WaitGroup
			for range 2 {
				both.Go(func() {
					if err := w.work(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			if err := w.work(t.Context()); err != nil {
				t.Fatal(err)
			}
			held, err := w.Assignments(w.snapshot(t), ada)
			if err != nil || (len(held) == 1) != (i%2 == 0) || len(w.roles(t)) != 1 {
				t.Fatalf("%d: %v, %v, %v", i, held, w.roles(t), err)
			}
			if i%2 == 1 {
				w.unassign(t, bob)
				if err := w.work(t.Context()); err != nil || len(w.roles(t)) != 0 {
					t.Fatalf("%d: %v is left, %v", i, w.roles(t), err)
				}
			}
		}
	})
}

// Whoever has left the directory by the time is assigned to nothing.
func TestAssignedAfterSheLeft(t *testing.T) {
	wards(t, func(t *testing.T, open func() *ward) {
		w := open()
		ada := w.person(t, "ada")
		request := w.assign(t, ada)
		if err := w.rig.Store.Update(t.Context(), w.remove(ada)); err != nil {
			t.Fatal(err)
		}
		if err := w.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, why := w.outcome(t, toAssign, request); got != shape.StatusValuesFailed {
			t.Errorf("%s, %s", got, why)
		}
		if left := w.roles(t); len(left) != 0 {
			t.Errorf("%v is there for nobody", left)
		}
	})
}

// A role of the name that somebody else made is not taken over.
func TestSquattedNames(t *testing.T) {
	wards(t, func(t *testing.T, open func() *ward) {
		w := open()
		request := w.assign(t, w.person(t, "ada"))
		r, err := roleOf(w.snapshot(t), pair{apitest.Other, w.set})
		if err != nil {
			t.Fatal(err)
		}
		within[iam.CreateRoleOutput](t, w, apitest.Other, "iam:CreateRole", &iam.CreateRoleInput{RoleName: r.name(), AssumeRolePolicyDocument: `{"Version":"2012-10-17",
			"Statement":[{"Effect":"Allow","Principal":{"AWS":"` + apitest.Other + `"},"Action":"sts:AssumeRole"}]}`})
		w.dress(t, "A", "X", "")
		if err := w.work(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, why := w.outcome(t, toAssign, request); got != shape.StatusValuesFailed {
			t.Errorf("%s, %s", got, why)
		}
		attached := within[iam.ListAttachedRolePoliciesOutput](t, w, apitest.Other, "iam:ListAttachedRolePolicies", &iam.ListAttachedRolePoliciesInput{RoleName: r.name()}).AttachedPolicies
		if len(attached) != 0 {
			t.Errorf("the squatter was given %v", attached)
		}
	})
}
