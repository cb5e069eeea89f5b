package authz_test

import (
	"testing"

	"bawn.dev/internal/authz"
	"bawn.dev/internal/policy"
)

// What needs no permission is refused by a Deny wherever it stands, by a policy that
// cannot be read, and by the policy of an endpoint, and by nothing else.
func TestWhatNeedsNoPermission(t *testing.T) {
	const (
		allowOther = `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
		deny       = `{"Effect":"Deny","Action":"sts:GetSessionToken","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"false"}}}`
		denyAll    = `{"Effect":"Deny","Action":"sts:*","Resource":"*"}`
	)
	through := &authz.Origin{SourceIP: "10.0.0.7", TLS: true, EndpointID: "vpce-1", VPC: "vpc-1", VPCAccount: member}
	for name, tt := range map[string]struct {
		change func(*house, *authz.Entity)
		origin *authz.Origin
		want   bool
	}{
		"no policy at all":         {func(*house, *authz.Entity) {}, nil, true},
		"a boundary around others": {func(_ *house, e *authz.Entity) { d := doc(t, policy.Identity, allowOther); e.Boundary = &d }, nil, true},
		"an SCP that allows others": {func(h *house, _ *authz.Entity) {
			h.accounts[member].SCPs = [][]policy.Doc{{doc(t, policy.SCP, allowOther)}}
		}, nil, true},
		"a Deny of hers":       {func(_ *house, e *authz.Entity) { e.Policies = []policy.Doc{doc(t, policy.Identity, denyAll)} }, nil, false},
		"a Deny that is unmet": {func(_ *house, e *authz.Entity) { e.Policies = []policy.Doc{doc(t, policy.Identity, deny)} }, nil, true},
		"a Deny in a boundary": {func(_ *house, e *authz.Entity) { d := doc(t, policy.Identity, everything+","+denyAll); e.Boundary = &d }, nil, false},
		"a Deny in an SCP": {func(h *house, _ *authz.Entity) {
			h.accounts[member].SCPs = [][]policy.Doc{{doc(t, policy.SCP, everything+","+denyAll)}}
		}, nil, false},
		"a policy that cannot be read": {func(_ *house, e *authz.Entity) { e.Policies = []policy.Doc{{Name: "broken"}} }, nil, false},
		"an endpoint for others": {func(h *house, _ *authz.Entity) {
			h.endpoint = []policy.Doc{doc(t, policy.Endpoint, `{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}`)}
		}, through, false},
		"an endpoint for others behind an SCP for others": {func(h *house, _ *authz.Entity) {
			h.accounts[member].SCPs = [][]policy.Doc{{doc(t, policy.SCP, allowOther)}}
			h.endpoint = []policy.Doc{doc(t, policy.Endpoint, `{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}`)}
		}, through, false},
		"an endpoint for everything": {func(h *house, _ *authz.Entity) {
			h.endpoint = []policy.Doc{doc(t, policy.Endpoint, `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`)}
		}, through, true},
	} {
		t.Run(name, func(t *testing.T) {
			h, a := build(t)
			e := h.entities["AIDAADA"]
			e.Policies = nil
			tt.change(h, e)
			s, err := a.Subject(t.Context(), nil, authz.Claim{Kind: authz.User, Account: member, ID: "AIDAADA", Issued: now})
			if err != nil {
				t.Fatal(err)
			}
			q := &authz.Question{Subject: s, Action: "sts:GetSessionToken", Target: authz.Target{ARN: "*"}, Origin: tt.origin, Free: true, Now: now}
			d, err := a.Decide(t.Context(), nil, q)
			if err != nil || d.Allowed != tt.want {
				t.Errorf("allowed %v, %v: %s", d.Allowed, err, d.Reason(q.Action, "*", s.Principal.ARN))
			}
			q.Free = false
			if d, err := a.Decide(t.Context(), nil, q); err != nil || d.Allowed {
				t.Errorf("without being free it is allowed: %v", err)
			}
		})
	}
}
