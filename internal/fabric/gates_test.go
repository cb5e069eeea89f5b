package fabric

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"bawn.dev/internal/netmodel"
)

func TestGroupsGuardWorkloads(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	train, db, lone, open := l.attach(v, "eni-train"), l.attach(v, "eni-db"), l.attach(v, "eni-lone"), l.attach(v, "eni-open")

	if from := train.passes("tcp", "10.50.0.11:5432"); !strings.HasPrefix(from, "10.50.0.10:") {
		t.Errorf("the database sees %q", from)
	}
	for name, denied := range map[string]func(*testing.T){
		"another port":                       func(*testing.T) { train.noAnswer("tcp", "10.50.0.11:80") },
		"another protocol":                   func(*testing.T) { train.noAnswer("udp", "10.50.0.11:5432") },
		"the other direction":                func(*testing.T) { db.noAnswer("tcp", "10.50.0.10:5432") },
		"egress alone, ingress refuses":      func(*testing.T) { db.noAnswer("tcp", "10.50.0.12:80") },
		"ingress alone, egress refuses":      func(*testing.T) { train.noAnswer("tcp", "10.50.1.11:80") },
		"a sender in no group":               func(*testing.T) { lone.noAnswer("tcp", "10.50.1.11:80") },
		"ping to a closed interface":         func(*testing.T) { open.noAnswer("ping", "10.50.0.11") },
		"an address in the range, nobody's":  func(*testing.T) { open.noAnswer("tcp", "10.50.0.99:80") },
		"an address outside":                 func(*testing.T) { open.noAnswer("tcp", "203.0.113.5:443") },
		"an address outside, by UDP":         func(*testing.T) { open.noAnswer("udp", "203.0.113.5:53") },
		"a broadcast address of the network": func(*testing.T) { open.noAnswer("tcp", "10.50.0.255:80") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			denied(t)
		})
	}
}

func TestOpenGroupsLetEverythingThrough(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	v.Interfaces[0].Groups = []string{"sg-open"}
	l.apply(v)
	a, _ := l.attach(v, "eni-train"), l.attach(v, "eni-open")
	a.passes("tcp", "10.50.1.11:80")
	a.passes("udp", "10.50.1.11:443")
	a.passes("ping", "10.50.1.11")
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	for _, at := range []string{"169.254.171.1:443", "10.50.0.200:443", "169.254.170.2:80"} {
		l.listen(v, at)
	}
	train, lone, far, open := l.attach(v, "eni-train"), l.attach(v, "eni-lone"), l.attach(v, "eni-far"), l.attach(v, "eni-open")
	for _, at := range []string{"169.254.171.1:443", "10.50.0.200:443"} {
		if from := train.passes("tcp", at); !strings.HasPrefix(from, "10.50.0.10:") {
			t.Errorf("%s sees %q", at, from)
		}
	}
	// Each workload is told apart by its own address at the credentials endpoint, whatever its groups are.
	for a, want := range map[*agent]string{train: "10.50.0.10:", lone: "10.50.0.12:"} {
		if from := a.passes("tcp", "169.254.170.2:80"); !strings.HasPrefix(from, want) {
			t.Errorf("the credentials endpoint sees %q, want %s", from, want)
		}
	}
	far.passes("tcp", "10.50.0.200:443")
	far.noAnswer("tcp", "169.254.171.1:443")  // its route table has no such route
	open.noAnswer("tcp", "169.254.171.1:443") // neither has this one, whatever its groups allow
	open.noAnswer("tcp", "10.50.0.200:443")   // the endpoint's group does not admit it
	lone.noAnswer("tcp", "169.254.171.1:443") // no egress
	train.noAnswer("tcp", "10.50.0.200:22")   // not a port of the endpoint
	train.noAnswer("tcp", "169.254.170.2:443")
}

func TestRouterAnswersNothingElse(t *testing.T) {
	t.Parallel()
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	a := l.attach(v, "eni-open")
	done := make(chan struct{})
	targets := []string{}
	for _, host := range []string{"169.254.1.1", "10.50.0.2", "169.254.169.253", "169.254.170.2", "169.254.171.1", "10.50.0.200"} {
		for _, port := range []string{"1", "22", "81", "111", "2375", "8080", "65535"} {
			targets = append(targets, host+":"+port)
		}
	}
	for _, to := range targets {
		go func() {
			defer func() { done <- struct{}{} }()
			a.noAnswer("tcp", to)
			a.noAnswer("udp", to)
		}()
	}
	for range targets {
		<-done
	}
	a.noAnswer("ping", "169.254.1.1")
	a.noAnswer("ping", "10.50.0.2")
}

func TestMetadataRejectsAtOnce(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	a := l.attach(v, "eni-lone")
	// The wait is long: only a reset can make this fail as refused.
	if r := a.do(order{Do: "tcp", Address: "169.254.169.254:80", Wait: hope}); r.Outcome != refused {
		t.Errorf("metadata: %+v", r)
	}
	if r := a.do(order{Do: "udp", Address: "169.254.169.254:80", Wait: hope}); r.Outcome == ok || r.Outcome == silent {
		t.Errorf("metadata by UDP: %+v", r)
	}
}

func TestListenOnlyWhereServed(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	for _, at := range []string{"10.50.0.2:53", "169.254.169.254:80", "169.254.1.1:80", "10.50.0.10:80", "10.50.0.200:22", "127.0.0.1:80", "0.0.0.0:443", "169.254.170.2:443"} {
		if file, err := l.Listen(context.Background(), v.ID, addrPort(at)); err == nil {
			file.Close()
			t.Errorf("listens on %s", at)
		}
	}
	if _, err := l.Listen(context.Background(), "vpc-2", addrPort("10.50.0.200:443")); err == nil {
		t.Error("listens in a VPC that does not exist")
	}
}

// A name outside that a group admits is the NAT gateway's address, where a route leads to it and nowhere else; what is not
// admitted does not exist, and the address itself is nobody's way out.
func TestNATGateway(t *testing.T) {
	t.Parallel()
	l, v := newLab(t), ward("vpc-1")
	v.Endpoints = append(v.Endpoints, netmodel.Endpoint{ID: "nat-1", Type: netmodel.NATGateway, Service: "nat",
		Ports:     []uint16{netmodel.NATPortHTTP, netmodel.NATPortTLS, netmodel.NATPortProxy},
		Addresses: []netmodel.EndpointAddress{{Subnet: "subnet-a", Address: netip.MustParseAddr("10.50.0.220")}}})
	v.RouteTables[1].Routes = []netmodel.Route{{CIDR: netip.MustParsePrefix("0.0.0.0/0"), Target: "nat-1"}}
	v.SecurityGroups[3].Outside = []netmodel.OutsideRule{{Name: "*.pypi.org", Ports: []uint16{443}}}
	v.Interfaces[0].Groups = []string{"sg-open"} // in the subnet without the route
	l.apply(v)
	for _, port := range []string{"80", "443", "3128"} {
		l.listen(v, "10.50.0.220:"+port)
	}
	open, unrouted, far := l.attach(v, "eni-open"), l.attach(v, "eni-train"), l.attach(v, "eni-far")
	ask := func(a *agent, name string) []string {
		t.Helper()
		r := a.do(order{Do: "ask-udp", Address: "10.50.0.2:53", Name: name, Wait: hope})
		if r.Outcome != ok {
			t.Error(r.Outcome)
		}
		return r.List
	}
	if at := ask(open, "files.pypi.org"); len(at) != 1 || at[0] != "10.50.0.220" {
		t.Errorf("the name is at %q", at)
	}
	for who, list := range map[string][]string{"another name": ask(open, "pypi.org.example.com"), "no route": ask(unrouted, "files.pypi.org"), "no such rule": ask(far, "files.pypi.org")} {
		if len(list) > 0 {
			t.Errorf("%s: %q", who, list)
		}
	}
	for _, port := range []string{"80", "443", "3128"} {
		if from := open.passes("tcp", "10.50.0.220:"+port); !strings.HasPrefix(from, "10.50.1.11:") {
			t.Errorf("the gateway sees %q", from)
		}
		unrouted.noAnswer("tcp", "10.50.0.220:"+port)
	}
	open.noAnswer("tcp", "10.50.0.220:22")
	open.noAnswer("tcp", "203.0.113.9:443") // a proxy, not a router
	open.noAnswer("udp", "203.0.113.9:53")
	open.noAnswer("ping", "203.0.113.9")
}
