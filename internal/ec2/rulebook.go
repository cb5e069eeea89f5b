package ec2

import (
	"fmt"

	"bawn.dev/internal/store"
)

// A rulebook is all that a change of a group's rules has to know: how large the VPC is
// otherwise costs nobody who waits for the writer anything.
type rulebook struct {
	group *group
	rules []*rule
	lists []*prefixList // of the account, without their entries
}

func readRulebook(tx *store.Tx, g *group) (*rulebook, error) {
	// Those of others that name the group are read too.
	all, err := objects(tx, "vpc = ? AND id >= ? AND id < ? AND body LIKE ?", g.VPC, firstRule, afterRules, "%"+g.ID+"%")
	if err != nil {
		return nil, err
	}
	b := &rulebook{group: g}
	for _, o := range all {
		if r, ok := o.(*rule); ok && r.Group == g.ID {
			b.rules = append(b.rules, r)
		}
	}
	b.lists, err = ofKind[*prefixList](tx, g.Account)
	return b, err
}

// facing are the rules of one direction.
func (b *rulebook) facing(egress bool) []*rule {
	return where(b.rules, func(r *rule) bool { return r.Egress == egress })
}

// peered refuses a rule whose group or list is not there.
func (s *Service) peered(tx *store.Tx, b *rulebook, p spec) error {
	if p.Peer != "" {
		g, err := owned[*group](tx, b.group.Account, p.Peer)
		if err == nil && g.VPC != b.group.VPC {
			err = kindGroup.missing(p.Peer)
		}
		return err
	}
	if p.PrefixList != "" && p.PrefixList != s.prefixList("s3") && byID(b.lists, p.PrefixList) == nil {
		return kindList.missing(p.PrefixList)
	}
	return nil
}

// fits refuses rules that are more, in either direction, than a group may have. One
// that names a customer's list counts as many times as the list may have entries.
func (b *rulebook) fits() error {
	for _, egress := range []bool{false, true} {
		count, lists := 0, ""
		for _, r := range b.facing(egress) {
			l := byID(b.lists, r.Spec.PrefixList)
			if l == nil {
				count++
				continue
			}
			count += int(l.Max)
			lists += fmt.Sprintf(" %s counts as %d, the most entries that it may have.", l.ID, l.Max)
		}
		if count > maxRules {
			return fail("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached: %d in one direction.%s", maxRules, lists)
		}
	}
	return nil
}
