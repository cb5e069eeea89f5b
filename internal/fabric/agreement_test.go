package fabric

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"

	"bawn.dev/internal/netmodel"
)

// Real packets between real namespaces do what Pass says, in random small networks: every sender to every destination
// that exists and one that does not, by TCP, UDP and ping.
func TestPacketsAgreeWithPass(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := newLab(t)
			v := random(rand.New(rand.NewPCG(seed, 1)))
			l.apply(v)
			destinations := []string{"169.254.170.2", "10.9.0.77"}
			for _, e := range v.Endpoints {
				for _, a := range e.Addresses {
					destinations = append(destinations, a.Address.String())
					l.listen(v, a.Address.String()+":443")
				}
			}
			l.listen(v, "169.254.170.2:80")
			agents := map[netip.Addr]*agent{}
			for _, i := range v.Interfaces {
				agents[i.Address] = l.attach(v, i.ID)
				destinations = append(destinations, i.Address.String())
			}
			var probes sync.WaitGroup
			for from, a := range agents {
				for _, to := range destinations {
					if to != from.String() {
						probes.Go(func() { agree(t, v, a, from, netip.MustParseAddr(to)) })
					}
				}
			}
			probes.Wait()
		})
	}
}

func agree(t *testing.T, v *netmodel.VPC, a *agent, from, to netip.Addr) {
	workload := v.InterfaceAt(to) != nil // the only ones that answer UDP and ping here
	for _, p := range []struct {
		do       string
		protocol netmodel.Protocol
		port     uint16
	}{{"tcp", netmodel.TCP, 443}, {"tcp", netmodel.TCP, 80}, {"udp", netmodel.UDP, 443}, {"ping", netmodel.ICMP, 8 << 8}} {
		if p.do != "tcp" && !workload {
			continue
		}
		want := v.Pass(from, to, p.protocol, p.port)
		target, wait := to.String(), despair
		if p.do != "ping" {
			target = netip.AddrPortFrom(to, p.port).String()
		}
		if want.Allowed {
			wait = hope
		}
		if r := a.do(order{Do: p.do, Address: target, Wait: wait}); (r.Outcome == ok) != want.Allowed {
			t.Errorf("%s from %s to %s: %s, but %+v", p.do, from, target, r.Outcome, want)
		}
	}
}

// random makes a VPC of three interfaces, three groups and both kinds of endpoint.
func random(r *rand.Rand) *netmodel.VPC {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	groups := []string{"sg-0", "sg-1", "sg-2"}
	some := func() []string {
		r.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
		return append([]string(nil), groups[:r.IntN(3)]...)
	}
	rule := func() netmodel.Rule {
		x := netmodel.Rule{Protocol: []netmodel.Protocol{netmodel.TCP, netmodel.TCP, netmodel.UDP, netmodel.ICMP, netmodel.AllProtocols}[r.IntN(5)]}
		switch x.Protocol {
		case netmodel.TCP, netmodel.UDP:
			x.FromPort, x.ToPort = []int{0, 80, 443}[r.IntN(3)], []int{443, 65535}[r.IntN(2)]
		case netmodel.ICMP:
			x.FromPort, x.ToPort = []int{-1, 8, 13}[r.IntN(3)], -1
		}
		switch r.IntN(5) {
		case 0, 1:
			x.Group = groups[r.IntN(3)]
		case 2:
			x.PrefixList = []string{"pl-own", "pl-gw"}[r.IntN(2)]
		default:
			x.CIDR = p([]string{"0.0.0.0/0", "10.9.0.0/24", "10.9.1.0/24", "10.9.0.5/32"}[r.IntN(4)])
		}
		return x
	}
	rules := func() []netmodel.Rule { return []netmodel.Rule{rule(), rule(), rule()}[:1+r.IntN(3)] }
	v := &netmodel.VPC{
		ID: "vpc-r", Account: "123456789012", CIDRs: []netip.Prefix{p("10.9.0.0/16")}, FlowLogs: r.IntN(2) == 0,
		RouteTables: []netmodel.RouteTable{{ID: "rtb-0"}, {ID: "rtb-1"}},
		Subnets:     []netmodel.Subnet{{ID: "subnet-0", CIDR: p("10.9.0.0/24"), RouteTable: "rtb-0"}, {ID: "subnet-1", CIDR: p("10.9.1.0/24"), RouteTable: "rtb-1"}},
		PrefixLists: []netmodel.PrefixList{{ID: "pl-own", CIDRs: []netip.Prefix{p("10.9.0.0/27"), p("10.9.0.0/25"), p("10.9.1.5/32")}}},
		Endpoints: []netmodel.Endpoint{
			{ID: "vpce-g", Type: netmodel.GatewayEndpoint, Service: "s3", Ports: []uint16{443}, PrefixList: "pl-gw",
				RouteTables: [][]string{nil, {"rtb-0"}, {"rtb-0", "rtb-1"}}[r.IntN(3)],
				Addresses:   []netmodel.EndpointAddress{{Address: a("169.254.171.7")}}},
			{ID: "vpce-i", Type: netmodel.InterfaceEndpoint, Service: "kms", Ports: []uint16{443}, Groups: some(),
				Addresses: []netmodel.EndpointAddress{{Subnet: "subnet-0", Address: a("10.9.0.100")}, {Subnet: "subnet-1", Address: a("10.9.1.100")}}},
		},
	}
	for _, id := range []string{"sg-0", "sg-1", "sg-2"} {
		v.SecurityGroups = append(v.SecurityGroups, netmodel.SecurityGroup{ID: id, Ingress: rules(), Egress: rules()})
	}
	for i, at := range []string{"10.9.0.5", "10.9.0.40", "10.9.1.5"} {
		v.Interfaces = append(v.Interfaces, netmodel.Interface{ID: fmt.Sprintf("eni-%d", i), Subnet: fmt.Sprintf("subnet-%d", i/2),
			Address: a(at), Groups: some(), Workload: "w", MAC: fmt.Sprintf("02:00:00:00:00:%02x", i)})
	}
	return v
}
