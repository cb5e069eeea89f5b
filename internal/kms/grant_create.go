package kms

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// A newGrant is a grant that is asked for, of a key.
type newGrant struct {
	key        *named
	operations operations
	constraint constraint
}

// granting states the demand of CreateGrant. Who may by a grant only may not give more
// than that grant gives her: no other operation, no looser constraint.
func (s *Service) granting(ctx context.Context, c *api.Call, in *kms.CreateGrantInput) (*newGrant, []api.Demand, error) {
	for _, name := range []string{in.GranteePrincipal, in.RetiringPrincipal} {
		if _, _, err := parsePrincipal(name); err != nil && name != "" {
			return nil, nil, err
		}
	}
	constraint, err := constraintOf(in.Constraints)
	if err != nil {
		return nil, nil, err
	}
	operations := setOf(in.Operations...)
	if operations == 0 {
		return nil, nil, invalid("1 validation error detected: Value '[]' at 'operations' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	n, err := s.find(ctx, c, in.KeyId, anyKey)
	if err != nil {
		return nil, nil, err
	}
	g := &newGrant{n, operations, constraint}
	demand := s.demand(c, "CreateGrant", n)
	s.grantConditions(c, demand.Keys)
	var names []string
	for _, op := range g.operations.list() {
		names = append(names, string(op))
	}
	demand.Keys.Set("kms:GrantOperations", names...)
	demand.Keys.Set("kms:GranteePrincipal", in.GranteePrincipal)
	if in.RetiringPrincipal != "" {
		demand.Keys.Set("kms:RetiringPrincipal", in.RetiringPrincipal)
	}
	if constraint.kind != "" {
		demand.Keys.Set("kms:GrantConstraintType", constraint.kind)
	}
	if err := s.checkTokens(c.Snapshot, in.GrantTokens); err != nil {
		return nil, nil, err
	}
	demand.Grant, err = allowing(c.Snapshot, c.Caller(), n.key, wanted{
		g.operations | setOf(kms.GrantOperationCreateGrant), constraint.pairs, constraint.kind == equalsContext,
	})
	return g, []api.Demand{demand}, err
}

// grantConditions sets the condition key of actions on grants that says whether a
// service of Bawn asks, for whomever.
func (s *Service) grantConditions(c *api.Call, keys policy.Context) {
	byService := len(c.Via()) > 0 || c.Claim().Kind == api.KindService
	keys.Set("kms:GrantIsForAWSResource", boolean(&byService))
}

func (s *Service) createGrant(ctx context.Context, c *api.Call, in *kms.CreateGrantInput, n *newGrant) (api.Commit[kms.CreateGrantOutput], error) {
	k := n.key.key
	if err := k.ready(c.Now); err != nil {
		return nil, err
	}
	if other := n.operations &^ k.operations(); other != 0 {
		return nil, invalid("Grant operation %s is not valid for %s, whose key spec is %s and whose key usage is %s.", other.list()[0], k.arn, k.spec, k.usage)
	}
	if n.constraint.kind != "" && k.spec != kms.KeySpecSymmetricDefault {
		return nil, invalid("Grants of %s cannot have encryption context constraints: its key spec is %s.", k.arn, k.spec)
	}
	g := &grant{
		key: k.id, name: in.Name, issuer: c.Account, operations: n.operations, constraint: n.constraint, created: c.Now,
	}
	var err error
	if g.grantee, err = meant(ctx, c, in.GranteePrincipal); err != nil {
		return nil, err
	}
	if in.RetiringPrincipal != "" {
		if g.retiring, err = meant(ctx, c, in.RetiringPrincipal); err != nil {
			return nil, err
		}
	}
	var id [32]byte
	rand.Read(id[:])
	g.id = hex.EncodeToString(id[:])
	request, err := g.request()
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.CreateGrantOutput, error) {
		id, err := sameRequest(tx, request)
		if err != nil {
			return nil, err
		}
		if id == "" {
			id = g.id
			if err := insertGrant(tx, g, request); err != nil {
				return nil, err
			}
		}
		if err := dry(in.DryRun); err != nil {
			return nil, err
		}
		token, err := s.token(id)
		return &kms.CreateGrantOutput{GrantId: id, GrantToken: token}, err
	}, nil
}

// request tells what is asked for apart from everything else that can be: empty for a
// grant without a name, which is never the same as another.
func (g *grant) request() (string, error) {
	if g.name == "" {
		return "", nil
	}
	pairs, err := g.constraint.text()
	if err != nil {
		return "", err
	}
	var text []byte
	for _, part := range []string{
		g.key, g.name, g.issuer, g.grantee.id, g.retiring.id, strconv.FormatInt(int64(g.operations), 10), g.constraint.kind, pairs,
	} {
		text = appendText(text, part)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
