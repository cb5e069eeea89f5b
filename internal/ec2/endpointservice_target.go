package ec2

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// What AWS puts behind an endpoint service is a network load balancer, and Bawn has
// none: the ARN of one names an interface of a workload and the port that it serves,
// or a site that the operator approved.
//
//	arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/net/eni-…/5432
//	arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/net/site/archive
const siteBalancer = "site/"

func (s *Service) balancer(account string) string {
	return "arn:aws:elasticloadbalancing:" + s.Region + ":" + account + ":loadbalancer/net/"
}

func (s *Service) targetARN(account string, t serviceTarget) string {
	if t.Site != "" {
		return s.balancer(account) + siteBalancer + t.Site
	}
	return s.balancer(account) + t.Interface + "/" + strconv.Itoa(int(t.Port))
}

// targetOf finds what an ARN names in an account.
func (s *Service) targetOf(q store.Querier, account, name string) (serviceTarget, error) {
	none := fail("InvalidParameter", "The load balancer '%.256s' does not exist: name a workload's interface and a port, "+
		"%seni-…/5432, or a site that the operator approved, %ssite/….", name, s.balancer(account), s.balancer(account))
	rest, ok := strings.CutPrefix(name, s.balancer(account))
	if !ok {
		return serviceTarget{}, none
	}
	if site, ok := strings.CutPrefix(rest, siteBalancer); ok {
		found, err := siteOf(q, account, site)
		if err != nil || found == nil {
			return serviceTarget{}, orElse(err, none)
		}
		return serviceTarget{Port: found.Port, Site: found.Name}, nil
	}
	id, text, _ := strings.Cut(rest, "/")
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 || strconv.FormatUint(port, 10) != text || !kindInterface.names(id) {
		return serviceTarget{}, none
	}
	i, err := workloadInterface(q, account, id)
	if err != nil || i == nil {
		return serviceTarget{}, orElse(err, none)
	}
	return serviceTarget{Port: uint16(port), Interface: id, VPC: i.VPC, Subnet: i.Subnet}, nil
}

func orElse(err error, refusal *api.Error) error {
	if err != nil {
		return err
	}
	return refusal
}

// retarget gives a service other targets: without some, with more.
func (s *Service) retarget(q store.Querier, v *endpointService, add, remove []string) error {
	for _, name := range remove {
		i := slices.IndexFunc(v.Targets, func(t serviceTarget) bool { return s.targetARN(v.Account, t) == name })
		if i < 0 {
			return fail("InvalidParameter", "The load balancer '%.256s' is not of endpoint service %s", name, v.ID)
		}
		v.Targets = slices.Delete(v.Targets, i, i+1)
	}
	for _, name := range unique(add) {
		if slices.ContainsFunc(v.Targets, func(t serviceTarget) bool { return s.targetARN(v.Account, t) == name }) {
			continue
		}
		t, err := s.targetOf(q, v.Account, name)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(v.Targets, func(o serviceTarget) bool { return o.Port == t.Port }) {
			return fail("InvalidParameter", "The load balancers of an endpoint service need different ports; two have port %d", t.Port)
		}
		v.Targets = append(v.Targets, t)
	}
	switch {
	case len(v.Targets) == 0:
		return fail("InvalidParameter", "An endpoint service needs at least one load balancer in NetworkLoadBalancerArns.")
	case len(v.Targets) > maxTargets:
		return fail("InvalidParameter", "An endpoint service has at most %d load balancers.", maxTargets)
	}
	slices.SortFunc(v.Targets, func(a, b serviceTarget) int { return int(a.Port) - int(b.Port) })
	return nil
}

// maxDialers is how many services connect in one VPC; a model has at most as many.
const maxDialers = 100

// dial has a service stand, in the subnets of its targets and in no others, with one
// interface that it connects from. before are the VPCs that it may stand in.
func (s *Service) dial(tx *store.Tx, v *endpointService, before []string, now time.Time) error {
	for _, id := range unique(slices.Concat(before, v.vpcs())) {
		n, err := loadUnruled(tx, id)
		if err != nil {
			return err
		}
		if n == nil { // with its interfaces
			continue
		}
		if err := s.dialIn(tx, v, n, now); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) dialIn(tx *store.Tx, v *endpointService, n *network, now time.Time) error {
	wanted := map[string]bool{}
	for _, t := range v.Targets {
		if t.VPC == n.vpc.ID {
			wanted[t.Subnet] = true
		}
	}
	dialers := 0
	for _, i := range n.interfaces {
		switch {
		case i.Dialer == "":
		case i.Dialer == v.ID && !wanted[i.Subnet]:
			if err := s.drop(tx, n.withLogs(i)...); err != nil {
				return err
			}
		default:
			dialers++
			if i.Dialer == v.ID {
				delete(wanted, i.Subnet)
			}
		}
	}
	if len(wanted) > 0 && (dialers+len(wanted) > maxDialers || len(n.interfaces)+len(wanted) > maxInterfaces) {
		return fail("NetworkInterfaceLimitExceeded", "The maximum number of network interfaces of endpoint services has been reached in %s.", n.vpc.ID)
	}
	taken := n.taken()
	for subnetID := range wanted {
		sub := byID(n.subnets, subnetID)
		if sub == nil {
			return kindSubnet.missing(subnetID)
		}
		a, ok := free(sub.CIDR, taken)
		if !ok {
			return noAddress(subnetID)
		}
		taken[a] = true
		if err := s.put(tx, &networkInterface{
			meta:   meta{ID: kindInterface.newID(), Account: v.Account, VPC: n.vpc.ID, Created: now},
			Subnet: subnetID, Address: a, MAC: newMAC(), Dialer: v.ID, Description: "ELB net/" + v.ID,
		}); err != nil {
			return err
		}
	}
	return nil
}
