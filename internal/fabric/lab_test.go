package fabric

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bawn.dev/internal/netmodel"
)

func TestMain(m *testing.M) {
	if os.Getenv(agentVariable) != "" {
		agentMain()
		return
	}
	code := m.Run()
	if left := leftovers(); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "namespaces were left behind:", left)
		code = 1
	}
	os.Exit(code)
}

// testPrefix begins the name prefix of every fabric that a test of this process makes.
var testPrefix = fmt.Sprintf("t%d-", os.Getpid()%1000000)

// leftovers are mounted namespaces that tests made and did not remove.
func leftovers() []string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "/"+testPrefix) {
			out = append(out, line)
		}
	}
	return out
}

const (
	hope    = 10 * time.Second       // for what must come
	despair = 400 * time.Millisecond // for what must not
)

var labs atomic.Int32

// lab is a fabric of its own and the agents in it.
type lab struct {
	*Fabric
	t       testing.TB
	dir     string
	drifted bool // the log tells of drift, which the test made
}

func newLab(t testing.TB) *lab {
	t.Helper()
	return openLab(t, t.TempDir(), fmt.Sprintf("%s%d", testPrefix, labs.Add(1)))
}

func openLab(t testing.TB, dir, prefix string) *lab {
	t.Helper()
	var log bytes.Buffer
	f, err := New(Config{StateDir: dir, NamePrefix: prefix, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if m := f.Missing(); len(m) > 0 {
		t.Fatalf("these tests need real networks: %s", strings.Join(m, " "))
	}
	l := &lab{Fabric: f, t: t, dir: dir}
	t.Cleanup(func() {
		if err := f.Sweep(context.Background(), Keep{}); err != nil {
			t.Errorf("sweeping: %v", err)
		}
		if err := f.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
		if left, err := f.places(); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
		if log.Len() > 0 && !l.drifted {
			t.Errorf("logged: %s", log.String())
		}
	})
	return l
}

func (l *lab) apply(v *netmodel.VPC) {
	l.t.Helper()
	if err := l.Apply(context.Background(), copied(l.t, v)); err != nil {
		l.t.Fatal(err)
	}
}

// copied returns a copy for the fabric to keep: tests go on changing theirs.
func copied(t testing.TB, v *netmodel.VPC) *netmodel.VPC {
	t.Helper()
	b, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	c, err := netmodel.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// attach joins an interface and puts an agent behind it that serves on the usual ports.
func (l *lab) attach(v *netmodel.VPC, id string) *agent {
	l.t.Helper()
	path, err := l.Attach(context.Background(), v.ID, *find(l.t, v, id))
	if err != nil {
		l.t.Fatal(err)
	}
	a := startAgent(l.t, path)
	if r := a.do(order{Do: "serve", Ports: []int{80, 443, 5432}}); r.Outcome != ok {
		l.t.Fatalf("%s cannot serve: %s", id, r.Outcome)
	}
	return a
}

func find(t testing.TB, v *netmodel.VPC, id string) *netmodel.Interface {
	t.Helper()
	for i := range v.Interfaces {
		if v.Interfaces[i].ID == id {
			return &v.Interfaces[i]
		}
	}
	t.Fatalf("no interface %s", id)
	return nil
}

// listen opens an endpoint and greets who comes.
func (l *lab) listen(v *netmodel.VPC, at string) {
	l.t.Helper()
	file, err := l.Listen(context.Background(), v.ID, netip.MustParseAddrPort(at))
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	ln, err := net.FileListener(file)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { ln.Close() })
	go greet(ln)
}

// passes and fails say what must become of a connection.
func (a *agent) passes(do, to string) string {
	a.t.Helper()
	r := a.do(order{Do: do, Address: to, Wait: hope})
	if r.Outcome != ok {
		a.t.Errorf("%s to %s: %s", do, to, r.Outcome)
	}
	return r.Text
}

func (a *agent) fails(do, to string) {
	a.t.Helper()
	if r := a.do(order{Do: do, Address: to, Wait: despair}); r.Outcome == ok {
		a.t.Errorf("%s to %s passes: %+v", do, to, r)
	}
}

// noAnswer is stricter than fails: not even a rejection may come back.
func (a *agent) noAnswer(do, to string) {
	a.t.Helper()
	if r := a.do(order{Do: do, Address: to, Wait: despair}); r.Outcome != silent {
		a.t.Errorf("%s to %s: %+v, want silence", do, to, r)
	}
}

func all(peer string) netmodel.Rule {
	return netmodel.Rule{Protocol: netmodel.AllProtocols, CIDR: netip.MustParsePrefix(peer)}
}

func tcpFrom(port int, group string) netmodel.Rule {
	return netmodel.Rule{Protocol: netmodel.TCP, FromPort: port, ToPort: port, Group: group}
}

// ward is a VPC with a trainer, a database that trainers may reach, a lone interface in no group, a far trainer in a
// subnet without a route to S3, and an open interface that lets all in and out.
func ward(id string) *netmodel.VPC {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	ifc := func(n int, id, subnet, addr string, groups ...string) netmodel.Interface {
		return netmodel.Interface{ID: id, Subnet: subnet, Address: a(addr), Groups: groups, Workload: "job", MAC: fmt.Sprintf("02:00:00:00:00:%02x", n)}
	}
	return &netmodel.VPC{
		ID: id, Account: "123456789012", CIDRs: []netip.Prefix{p("10.50.0.0/16")}, FlowLogs: true,
		RouteTables: []netmodel.RouteTable{{ID: "rtb-s3"}, {ID: "rtb-none"}},
		Subnets:     []netmodel.Subnet{{ID: "subnet-a", CIDR: p("10.50.0.0/24"), RouteTable: "rtb-s3"}, {ID: "subnet-b", CIDR: p("10.50.1.0/24"), RouteTable: "rtb-none"}},
		SecurityGroups: []netmodel.SecurityGroup{
			{ID: "sg-train", Egress: []netmodel.Rule{tcpFrom(5432, "sg-db"), tcpFrom(443, "sg-door"),
				{Protocol: netmodel.TCP, FromPort: 443, ToPort: 443, PrefixList: "pl-s3"}}},
			{ID: "sg-db", Ingress: []netmodel.Rule{tcpFrom(5432, "sg-train")}, Egress: []netmodel.Rule{all("0.0.0.0/0")}},
			{ID: "sg-door", Ingress: []netmodel.Rule{tcpFrom(443, "sg-train")}},
			{ID: "sg-open", Ingress: []netmodel.Rule{all("0.0.0.0/0")}, Egress: []netmodel.Rule{all("0.0.0.0/0")}},
		},
		Endpoints: []netmodel.Endpoint{
			{ID: "vpce-s3", Type: netmodel.GatewayEndpoint, Service: "s3", Ports: []uint16{443}, PrefixList: "pl-s3", RouteTables: []string{"rtb-s3"},
				Addresses: []netmodel.EndpointAddress{{Address: a("169.254.171.1")}}, Names: []string{"s3.us-east-1.amazonaws.com", "*.s3.us-east-1.amazonaws.com"}},
			{ID: "vpce-kms", Type: netmodel.InterfaceEndpoint, Service: "kms", Ports: []uint16{443}, Groups: []string{"sg-door"},
				Addresses: []netmodel.EndpointAddress{{Subnet: "subnet-a", Address: a("10.50.0.200")}}, Names: []string{"kms.us-east-1.amazonaws.com"}},
		},
		Interfaces: []netmodel.Interface{
			ifc(1, "eni-train", "subnet-a", "10.50.0.10", "sg-train"),
			ifc(2, "eni-db", "subnet-a", "10.50.0.11", "sg-db"),
			ifc(3, "eni-lone", "subnet-a", "10.50.0.12"),
			ifc(4, "eni-far", "subnet-b", "10.50.1.10", "sg-train"),
			ifc(5, "eni-open", "subnet-b", "10.50.1.11", "sg-open"),
		},
	}
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
