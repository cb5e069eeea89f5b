package job

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A stranger is a host outside: it serves whatever name is asked for, and remembers
// every port that a packet came to.
type stranger struct {
	mu    sync.Mutex
	ports map[string]bool // "tcp 443"
}

func newStranger(t *testing.T) *stranger {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: outsideNames, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := &stranger{ports: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "this is ", r.Host) })
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		for chunk := make([]byte, 16<<10); r.Context().Err() == nil; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	listen := map[int]net.Listener{}
	var packets int
	err = outsideDo(func() (err error) {
		for _, port := range []int{80, 443, 8443} {
			if listen[port], err = net.Listen("tcp4", fmt.Sprintf("%s:%d", outsideHost, port)); err != nil {
				return err
			}
		}
		packets, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_IP)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"http/1.1"}}
	for port, l := range listen {
		if port != 80 {
			l = tls.NewListener(l, config)
		}
		srv := &http.Server{Handler: mux, ErrorLog: nil}
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
	}
	go s.watch(packets)
	t.Cleanup(func() { unix.Shutdown(packets, unix.SHUT_RDWR); unix.Close(packets) })
	return s
}

func htons(n uint16) uint16 { return n<<8 | n>>8 }

// watch notes what comes in from the link, whoever it is for.
func (s *stranger) watch(packets int) {
	b := make([]byte, 128)
	for {
		n, from, err := unix.Recvfrom(packets, b, 0)
		if err != nil {
			return
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		if !ok || ll.Pkttype == unix.PACKET_OUTGOING || n < 24 {
			continue
		}
		head := int(b[0]&15) * 4
		what := fmt.Sprintf("%d", b[9])
		if (b[9] == 6 || b[9] == 17) && n >= head+4 {
			what = fmt.Sprintf("%s %s %d", map[byte]string{6: "tcp", 17: "udp"}[b[9]], net.IP(b[16:20]), int(b[head+2])<<8|int(b[head+3]))
		}
		s.mu.Lock()
		s.ports[what] = true
		s.mu.Unlock()
	}
}

// A way is a VPC with a subnet for work and one for a NAT gateway that leads outside.
type way struct {
	network
	natTable, workTable, nat, address, igw string
}

func (h *house) newWay(t testing.TB) (w way) {
	t.Helper()
	w.network = h.newNetwork(t, "10.60.4.0/24")
	ec2 := func(operation string, in args, out any) { t.Helper(); h.must(t, "admin", "ec2", operation, in, out) }
	var tables struct {
		RouteTables []struct{ RouteTableId string }
	}
	ec2("describe_route_tables", args{"Filters": []args{{"Name": "vpc-id", "Values": []string{w.vpc}}}}, &tables)
	w.workTable = tables.RouteTables[0].RouteTableId
	var sub struct{ Subnet struct{ SubnetId string } }
	ec2("create_subnet", args{"VpcId": w.vpc, "CidrBlock": "10.60.5.0/24"}, &sub)
	var igw struct {
		InternetGateway struct{ InternetGatewayId string }
	}
	ec2("create_internet_gateway", args{}, &igw)
	w.igw = igw.InternetGateway.InternetGatewayId
	ec2("attach_internet_gateway", args{"InternetGatewayId": w.igw, "VpcId": w.vpc}, nil)
	var table struct{ RouteTable struct{ RouteTableId string } }
	ec2("create_route_table", args{"VpcId": w.vpc}, &table)
	w.natTable = table.RouteTable.RouteTableId
	ec2("associate_route_table", args{"RouteTableId": w.natTable, "SubnetId": sub.Subnet.SubnetId}, nil)
	ec2("create_route", args{"RouteTableId": w.natTable, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": w.igw}, nil)
	var nat struct {
		NatGateway struct {
			NatGatewayId        string
			NatGatewayAddresses []struct{ PrivateIp string }
		}
	}
	ec2("create_nat_gateway", args{"SubnetId": sub.Subnet.SubnetId}, &nat)
	w.nat, w.address = nat.NatGateway.NatGatewayId, nat.NatGateway.NatGatewayAddresses[0].PrivateIp
	ec2("create_route", args{"RouteTableId": w.workTable, "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": w.nat}, nil)
	return w
}

// allow opens a name and answers the rule's id.
func (h *house) allow(t testing.TB, group, name string, more ...string) string {
	t.Helper()
	var rules []struct{ ID string }
	out := h.bawn(t, append([]string{"egress", "allow", "--output", "json", "--group", group, name}, more...)...)
	if err := json.Unmarshal([]byte(out), &rules); err != nil || len(rules) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	return rules[0].ID
}

// rounds are what a job of outside.py has printed so far.
func (h *house) rounds(t testing.TB, name string) (all []map[string]any) {
	t.Helper()
	for _, l := range h.lines(t, name) {
		if text, ok := strings.CutPrefix(l, "ROUND "); ok {
			var r map[string]any
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
	}
	return all
}

// settled waits for a round that began after now in which everything is so: "ok" with
// this text, and all else refused.
func (h *house) settled(t testing.TB, name, when string, open map[string]string) map[string]any {
	t.Helper()
	from := len(h.rounds(t, name)) + 1
	var last map[string]any
	wrong := ""
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for hope := time.After(2 * time.Minute); ; {
		if s := h.describe(t, name); s != nil && s.over() {
			t.Fatalf("%s ended: %s\n%s", name, s.FailureReason, strings.Join(h.lines(t, name), "\n"))
		}
		all := h.rounds(t, name)
		for _, r := range all[min(from, len(all)):] {
			last, wrong = r, ""
			for what, result := range r {
				text, ok := result.(string)
				if !ok {
					continue // the stream
				}
				if want, may := open[what]; may != (strings.Contains(text, "this is ") || text == "open" || net.ParseIP(text) != nil) || !strings.Contains(text, want) {
					wrong += fmt.Sprintf("; %s: %s", what, text)
				}
			}
			if wrong == "" {
				return last
			}
		}
		select {
		case <-tick.C:
		case <-hope:
			t.Fatalf("%s: %s", when, wrong)
		}
	}
}

func TestTheWayOut(t *testing.T) {
	h := open(t)
	t.Parallel()
	s := newStranger(t)
	w := h.newWay(t)
	job := h.start(t, order{program: "outside.py", place: &w.network, group: w.jobs, hyper: map[string]string{"nat": w.address}, seconds: 1800})
	t.Cleanup(func() {
		h.must(t, "ada", "sagemaker", "stop_training_job", args{"TrainingJobName": job}, nil)
		h.end(t, job)
	})
	nothing := map[string]string{}
	h.settled(t, job, "nothing is open", nothing)

	rule := h.allow(t, w.jobs, "allowed.example:80,443")
	allowed := map[string]string{
		"resolve allowed": w.address, "sni allowed": "this is allowed.example", "http allowed": "this is allowed.example", "connect allowed": "this is allowed.example",
	}
	r := h.settled(t, job, "one name is open", allowed)
	for what, words := range map[string]string{"connect other": "403", "http other": "bawn egress allow --group " + w.jobs} {
		if text, _ := r[what].(string); !strings.Contains(text, words) {
			t.Errorf("%s: %v, want %q", what, r[what], words)
		}
	}
	eventually(t, "the stream runs", func() bool { return h.stream(t, job).State == "open" })
	h.bawn(t, "egress", "revoke", rule)
	eventually(t, "the stream is cut", func() bool { return h.stream(t, job).State == "cut" })
	h.settled(t, job, "it was revoked", nothing)

	// A budget: what passes is counted, and no more passes.
	before := h.stream(t, job).Bytes
	const budget = 300 << 10
	h.allow(t, w.jobs, "allowed.example:443", "--budget", "300KiB")
	eventually(t, "the budget is spent", func() bool {
		now := h.stream(t, job)
		return now.State == "cut" && now.Bytes > before
	})
	h.settled(t, job, "the budget is spent", map[string]string{"resolve allowed": w.address})
	if moved := h.stream(t, job).Bytes - before; moved > budget {
		t.Errorf("%d bytes came in with a budget of %d", moved, budget)
	}
	var rules []struct {
		Name         string
		Used, Budget int64
	}
	if err := json.Unmarshal([]byte(h.bawn(t, "egress", "list", "--vpc", w.vpc, "--output", "json")), &rules); err != nil || len(rules) != 1 || rules[0].Used < budget {
		t.Errorf("%v: %+v", err, rules)
	}

	// All names under one, and one that is private.
	h.allow(t, w.jobs, "*.wild.example:443")
	h.allow(t, w.jobs, "private.example:443")
	wild := map[string]string{"resolve allowed": w.address, "resolve wild": w.address, "sni wild": "this is a.wild.example"}
	h.settled(t, job, "names under one are open", wild)

	// Each part of the wiring alone closes it.
	h.must(t, "admin", "ec2", "delete_route", args{"RouteTableId": w.workTable, "DestinationCidrBlock": "0.0.0.0/0"}, nil)
	h.settled(t, job, "no route leads to the gateway", nothing)
	h.must(t, "admin", "ec2", "create_route", args{"RouteTableId": w.workTable, "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": w.nat}, nil)
	h.settled(t, job, "the route is back", wild)
	h.must(t, "admin", "ec2", "delete_route", args{"RouteTableId": w.natTable, "DestinationCidrBlock": "0.0.0.0/0"}, nil)
	h.settled(t, job, "the gateway itself leads nowhere", nothing)
	h.must(t, "admin", "ec2", "create_route", args{"RouteTableId": w.natTable, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": w.igw}, nil)
	h.settled(t, job, "it leads outside again", wild)
	everything := []args{{"IpProtocol": "-1", "IpRanges": []args{{"CidrIp": "0.0.0.0/0"}}}}
	h.must(t, "admin", "ec2", "revoke_security_group_egress", args{"GroupId": w.jobs, "IpPermissions": everything}, nil)
	h.settled(t, job, "the group lets nothing out", map[string]string{"resolve allowed": w.address, "resolve wild": w.address})

	s.mu.Lock()
	for what := range s.ports {
		if what != "tcp "+outsideHost+" 443" && what != "tcp "+outsideHost+" 80" {
			t.Errorf("outside saw %s", what)
		}
	}
	s.mu.Unlock()
	h.wayRecorded(t, w, job)
}

// wayRecorded looks for the connections in the record, with the person.
func (h *house) wayRecorded(t *testing.T, w way, job string) {
	t.Helper()
	for event, want := range map[string]string{"ConnectionOpened": "allowed.example", "ConnectionClosed": "allowed.example", "ConnectionRefused": "other.example"} {
		seen := false
		for _, e := range h.audit(t, "--event", event, "--person", "ada") {
			d := e.AdditionalEventData
			seen = seen || d["vpcId"] == w.vpc && d["natGatewayId"] == w.nat && d["name"] == want && strings.HasSuffix(fmt.Sprint(d["workload"]), "/"+job) &&
				e.UserIdentity.OnBehalfOf.UserID == h.ada && (event != "ConnectionClosed" || d["bytesReceived"].(float64) > 0)
		}
		if !seen {
			t.Errorf("the record has no %s of %s by ada", event, want)
		}
	}
	seen := false
	for _, e := range h.audit(t, "--event", "AllowEgress") {
		seen = seen || e.RequestParameters["name"] == "*.wild.example"
	}
	if !seen {
		t.Error("what the operator opened is not in the record")
	}
}

type streaming struct {
	Bytes int64
	State string
}

// stream is what the job last said of its long connection.
func (h *house) stream(t testing.TB, name string) (s streaming) {
	t.Helper()
	if all := h.rounds(t, name); len(all) > 0 {
		text, err := json.Marshal(all[len(all)-1]["stream"])
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}
