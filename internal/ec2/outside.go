package ec2

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// An OutsideRule lets the members of a security group reach a name in the internet
// through a NAT gateway. Only the operator makes one: whoever may change a network
// over the API cannot open it to the world.
type OutsideRule struct {
	ID           string // eo-…
	Account, VPC string
	Group        string
	Name         string // "pypi.org", or "*.pypi.org" for all names below it
	Ports        []uint16
	Budget       int64 // bytes, both ways together; 0: without limit
	Used         int64 // of them
	Created      time.Time
	Operator     string // who made it
}

// Limits on what is open.
const (
	maxOutside    = 100 // rules of a group
	maxPorts      = 16  // of a rule
	maxDNSName    = 253
	outsidePrefix = "eo-"
)

// AllowOutside opens a name to a group, of which Group, Name, Ports, Budget and
// Operator are read, and answers the rule as it is stored. It holds from the next
// connection on. Its refusals are for the operator.
func (s *Service) AllowOutside(tx *store.Tx, r OutsideRule) (*OutsideRule, error) {
	o, err := row(tx, r.Group)
	if err != nil {
		return nil, err
	}
	g, ok := o.(*group)
	if !ok {
		return nil, fmt.Errorf("there is no security group %.64q", r.Group)
	}
	name := strings.ToLower(strings.TrimSuffix(r.Name, "."))
	if !outsideName(name) {
		return nil, fmt.Errorf("%.300q is no name to open: a DNS name of at least two labels, \"*.\" before it for all names below, and no address", r.Name)
	}
	ports := slices.Clone(r.Ports)
	slices.Sort(ports)
	switch {
	case len(ports) == 0 || len(ports) > maxPorts:
		return nil, fmt.Errorf("a rule names 1 to %d ports", maxPorts)
	case ports[0] == 0 || len(slices.Compact(slices.Clone(ports))) < len(ports):
		return nil, errors.New("ports are from 1 to 65535, each once")
	case r.Budget < 0:
		return nil, errors.New("a budget is a number of bytes above 0, or 0 for none")
	}
	all, err := outsideRules(tx, "vpc = ? AND grp = ?", g.VPC, g.ID)
	if err != nil {
		return nil, err
	}
	if len(all) >= maxOutside {
		return nil, fmt.Errorf("%s has %d rules already", g.ID, maxOutside)
	}
	if slices.ContainsFunc(all, func(o OutsideRule) bool { return o.Name == name && slices.Equal(o.Ports, ports) }) {
		return nil, fmt.Errorf("%s may reach %s at these ports already; revoke that rule first to change its budget", g.ID, name)
	}
	made := OutsideRule{
		ID: outsidePrefix + kindVPC.newID()[len(kindVPC.prefix):], Account: g.Account, VPC: g.VPC, Group: g.ID,
		Name: name, Ports: ports, Budget: r.Budget, Created: s.Now(), Operator: r.Operator,
	}
	if _, err := tx.Exec(`INSERT INTO ec2_outside (id, account, vpc, grp, name, ports, budget, used, created, operator) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		made.ID, made.Account, made.VPC, made.Group, made.Name, portText(made.Ports), made.Budget, 0, made.Created.UnixMicro(), made.Operator); err != nil {
		return nil, err
	}
	return &made, s.touchNetworks(tx, made.VPC)
}

// RevokeOutside closes what a rule opened, and answers the rule.
func (s *Service) RevokeOutside(tx *store.Tx, id string) (*OutsideRule, error) {
	all, err := outsideRules(tx, "id = ?", id)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no rule %.64q", id)
	}
	if _, err := tx.Exec("DELETE FROM ec2_outside WHERE id = ?", id); err != nil {
		return nil, err
	}
	return &all[0], s.touchNetworks(tx, all[0].VPC)
}

// ListOutside are the rules of a VPC, or of all with an empty id, by VPC and group.
func (s *Service) ListOutside(q store.Querier, vpcID string) ([]OutsideRule, error) {
	all, err := outsideRules(q, "vpc = ? OR ? = ''", vpcID, vpcID)
	slices.SortStableFunc(all, func(a, b OutsideRule) int {
		return strings.Compare(a.VPC+a.Group+a.Name+a.ID, b.VPC+b.Group+b.Name+b.ID)
	})
	return all, err
}

// gone closes what was open to a group that is deleted.
func (g *group) gone(tx *store.Tx) error {
	_, err := tx.Exec("DELETE FROM ec2_outside WHERE vpc = ? AND grp = ?", g.VPC, g.ID)
	return err
}

func outsideRules(q store.Querier, condition string, args ...any) ([]OutsideRule, error) {
	return store.Collect(q, func(r *store.Rows) (o OutsideRule, err error) {
		var ports string
		var created int64
		if err := r.Scan(&o.ID, &o.Account, &o.VPC, &o.Group, &o.Name, &ports, &o.Budget, &o.Used, &created, &o.Operator); err != nil {
			return o, err
		}
		for p := range strings.SplitSeq(ports, ",") {
			n, err := strconv.ParseUint(p, 10, 16)
			if err != nil {
				return o, fmt.Errorf("ec2: the ports of %s: %w", o.ID, err)
			}
			o.Ports = append(o.Ports, uint16(n))
		}
		o.Created = time.UnixMicro(created)
		return o, nil
	}, "SELECT id, account, vpc, grp, name, ports, budget, used, created, operator FROM ec2_outside WHERE "+condition+" ORDER BY id", args...)
}

func portText(ports []uint16) string {
	var all []string
	for _, p := range ports {
		all = append(all, strconv.Itoa(int(p)))
	}
	return strings.Join(all, ",")
}

// opened are the rules of a VPC for its model, by group.
func opened(q store.Querier, vpcID string) (map[string][]netmodel.OutsideRule, error) {
	all, err := outsideRules(q, "vpc = ?", vpcID)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	out := map[string][]netmodel.OutsideRule{}
	for _, r := range all {
		out[r.Group] = append(out[r.Group], netmodel.OutsideRule{Name: r.Name, Ports: r.Ports})
	}
	return out, nil
}

// outsideName admits a lower-case name of at least two labels, with "*." before it or
// not.
func outsideName(name string) bool {
	name = strings.TrimPrefix(name, "*.")
	return len(name) <= maxDNSName-len("*.") && strings.Contains(name, ".") && hostName(name)
}

// hostName says whether a lower-case name is of labels as host names have them, and
// the last one begins with a letter: what begins with a digit may be an address in
// one of the writings that there are ("127.1", "0x7f000001").
func hostName(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == "" || last[0] <= '9' {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}
