package ec2

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// An OutsideGrant says by which rule an interface may reach a name, and whose it is.
type OutsideGrant struct {
	Rule      string // id, for Spend
	Group     string // that the rule is of
	Remaining int64  // bytes of the rule's budget; -1: without limit
	Interface string
	Workload  string
	Owner     string // ARN of what the workload is
	Account   string
	Why       string // as the model explains it
}

// Refused says that a network lets something not pass, and why.
type Refused struct{ netmodel.Verdict }

func (r *Refused) Error() string { return "ec2: " + string(r.Gate) + ": " + r.Why }

// unlimited is what remains of a budget that there is none of.
const unlimited = -1

// Outside decides whether what has an address in a VPC may reach a name in the
// internet at a port, now: routes, gateways, groups and budgets must all let it.
// A refusal is a *Refused. It is to be asked about each connection, and again about
// open ones once the VPC changed.
func (s *Service) Outside(q store.Querier, vpcID string, source netip.Addr, name string, port uint16) (OutsideGrant, error) {
	none := OutsideGrant{}
	n, j, err := s.judge(q, vpcID)
	if err != nil {
		return none, err
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	v := j.Outside(source, name, port)
	if !v.Allowed {
		return none, &Refused{v}
	}
	at := slices.IndexFunc(n.interfaces, func(i *networkInterface) bool { return i.Address == source && i.Workload != "" })
	if at < 0 {
		return none, fmt.Errorf("ec2: the model of %s has an interface at %s that is none", vpcID, source)
	}
	i := n.interfaces[at]
	rules, err := rulesAbout(q, vpcID, name)
	if err != nil {
		return none, err
	}
	best, spent := none, ""
	for _, r := range rules {
		if !slices.Contains(i.Groups, r.Group) || !slices.Contains(r.Ports, port) {
			continue
		}
		if r.Budget > 0 && r.Used >= r.Budget {
			spent = r.ID
			continue
		}
		if left := r.left(); best.Rule == "" || left == unlimited || best.Remaining != unlimited && left > best.Remaining {
			best = OutsideGrant{r.ID, r.Group, left, i.ID, i.Workload, i.Owner, i.Account, v.Why}
		}
		if best.Remaining == unlimited {
			break
		}
	}
	if best.Rule == "" {
		return none, &Refused{netmodel.Verdict{Gate: netmodel.GateOutside, Why: "the byte budget of " + spent + " is spent"}}
	}
	return best, nil
}

// left is what remains of a rule's budget.
func (r *OutsideRule) left() int64 {
	if r.Budget == 0 {
		return unlimited
	}
	return max(0, r.Budget-r.Used)
}

// rulesAbout are a VPC's rules for a name: its own, and those for all names below one
// that it is below.
func rulesAbout(q store.Querier, vpcID, name string) ([]OutsideRule, error) {
	args := []any{vpcID, name}
	for _, above, ok := strings.Cut(name, "."); ok; _, above, ok = strings.Cut(above, ".") {
		args = append(args, "*."+above)
	}
	return outsideRules(q, "vpc = ? AND name IN (?"+strings.Repeat(", ?", len(args)-2)+")", args...)
}

// Spend counts bytes that went by a rule. A rule that is gone has no budget.
func (s *Service) Spend(tx *store.Tx, ruleID string, bytes int64) error {
	if bytes < 0 {
		return fmt.Errorf("ec2: %d bytes cannot be spent", bytes)
	}
	_, err := tx.Exec("UPDATE ec2_outside SET used = used + ? WHERE id = ?", bytes, ruleID)
	return err
}

// judge is a VPC as it is now with what answers questions about it. A missing one is
// ErrNoVPC.
func (s *Service) judge(q store.Querier, vpcID string) (*network, *netmodel.Judge, error) {
	n, err := s.network(q, vpcID)
	if err != nil {
		return nil, nil, err
	}
	if n == nil {
		return nil, nil, ErrNoVPC
	}
	version, err := q.Version(networkKey(vpcID))
	if err != nil {
		return nil, nil, err
	}
	if j, ok := s.judges.Get(vpcID, version); ok {
		return n, j, nil
	}
	j := s.model(n).Judge()
	s.judges.Put(vpcID, version, j)
	return n, j, nil
}
