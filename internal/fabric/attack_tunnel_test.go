package fabric

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// ICMP of every type, with something to say, to whatever answers pings on other networks.
func TestICMPCarriesNothing(t *testing.T) {
	a := newArena(t)
	const secret = "\x42\x57\x00\x01 what a tunnel would carry"
	a.arrives("friend", secret, toRouter(v4{src: attackerIP, dst: friendIP, protocol: 1, payload: icmp(8, 0, secret)}))
	for kind := range 256 {
		var frames [][]byte
		for _, to := range []string{"169.254.1.1", "10.50.0.1", "10.50.0.2", "169.254.169.253", "169.254.170.2", "169.254.171.1", otherS3, "10.50.0.200", natIP, dialer, closedIP,
			"10.50.0.255", "255.255.255.255", "224.0.0.1", "127.0.0.1", "203.0.113.9", "8.8.8.8"} {
			frames = append(frames, toRouter(v4{src: attackerIP, dst: to, protocol: 1, payload: icmp(byte(kind), 0, secret)}))
		}
		a.silent(fmt.Sprint("type ", kind), frames...)
	}
}

// sockets are those of a namespace, by protocol and local address, as the kernel lists them.
func sockets(t *testing.T, path string) (out []string) {
	t.Helper()
	if err := inside(path, func() error {
		for _, protocol := range []string{"tcp", "udp", "udplite", "tcp6", "udp6"} {
			b, err := os.ReadFile("/proc/thread-self/net/" + protocol)
			if os.IsNotExist(err) {
				continue
			}
			if err != nil {
				return err
			}
			for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
				out = append(out, protocol+" "+strings.Fields(line)[1])
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// Whatever is asked of the name server, it says what it knows and asks nobody: nothing of a question leaves the machine, and
// there is no socket from which it could.
func TestNamesCarryNothing(t *testing.T) {
	t.Parallel()
	l, v := newLab(t), battlefield()
	l.apply(v)
	path, err := l.Attach(t.Context(), v.ID, v.Interfaces[0])
	if err != nil {
		t.Fatal(err)
	}
	secret := fmt.Sprintf("secret-%d", os.Getpid())
	posts := []*wire{openWire(t, "/proc/self/ns/net", ""), openWire(t, l.path(kindVPC, v.ID), "")}
	type question struct {
		name string
		q    *dns.Msg
	}
	var all []question
	outside := secret + ".c2VjcmV0.tunnel.example.com."
	for kind := range dns.TypeToString {
		q := new(dns.Msg)
		q.SetQuestion(outside, kind)
		all = append(all, question{dns.TypeToString[kind], q})
	}
	ask := func(name string, change func(*dns.Msg)) {
		q := new(dns.Msg)
		q.SetQuestion(outside, dns.TypeA)
		change(q)
		all = append(all, question{name, q})
	}
	for opcode := range 16 {
		ask(fmt.Sprint("opcode ", opcode), func(q *dns.Msg) { q.Opcode = opcode })
	}
	for _, class := range []uint16{dns.ClassCHAOS, dns.ClassHESIOD, dns.ClassANY, dns.ClassNONE} {
		ask(fmt.Sprint("class ", class), func(q *dns.Msg) { q.Question[0].Qclass = class })
	}
	ask("the deepest name", func(q *dns.Msg) { q.Question[0].Name = strings.Repeat("a.", 100) + secret + ".example.com." })
	ask("the longest labels", func(q *dns.Msg) {
		q.Question[0].Name = strings.Repeat(strings.Repeat("x", 63)+".", 3) + secret + ".example.com."
	})
	ask("two questions", func(q *dns.Msg) { q.Question = append(q.Question, q.Question[0]) })
	ask("bytes that are no letters", func(q *dns.Msg) { q.Question[0].Name = `\000\001\255\032` + outside })
	ask("a private name's TXT", func(q *dns.Msg) { q.SetQuestion(secret+".s3.us-east-1.amazonaws.com.", dns.TypeTXT) })
	ask("options", func(q *dns.Msg) {
		o := q.SetEdns0(65535, true).IsEdns0()
		o.Option = append(o.Option, &dns.EDNS0_LOCAL{Code: dns.EDNS0LOCALSTART, Data: []byte(secret)},
			&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 32, Address: net.IPv4(203, 0, 113, 9).To4()},
			&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "24a5ac7fcafebabe"})
	})
	ask("records that come along", func(q *dns.Msg) {
		rr, err := dns.NewRR(outside + ` 60 IN TXT "` + secret + `"`)
		if err != nil {
			t.Fatal(err)
		}
		q.Ns, q.Extra = []dns.RR{rr}, []dns.RR{rr}
	})
	if err := inside(path, func() error {
		for i, q := range all {
			server := []string{"10.50.0.2:53", "169.254.169.253:53"}[i%2]
			q.q.Id = uint16(i + 1)
			r, err := askInside([]string{"udp4", "tcp4"}[i/2%2], server, q.q)
			if err != nil {
				t.Errorf("%s at %s: %v", q.name, server, err)
				continue
			}
			for _, rr := range append(append(r.Answer, r.Ns...), r.Extra...) {
				if _, isOptions := rr.(*dns.OPT); !isOptions {
					t.Errorf("%s: %v", q.name, rr)
				}
			}
			if r.RecursionAvailable || r.Rcode == dns.RcodeSuccess && q.q.Question[0].Name == outside {
				t.Errorf("%s: %v", q.name, r)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, s := range sockets(t, l.path(kindVPC, v.ID)) {
		if !strings.HasSuffix(s, ":0035") {
			t.Errorf("in the VPC there is %s", s)
		}
	}
	resolver := false
	for i, p := range posts {
		for {
			s, ok := p.next(false)
			if !ok {
				break
			}
			in := bytes.Contains(s.frame, []byte(secret))
			resolver = resolver || i == 1 && in && !s.out
			if i == 0 && in {
				t.Errorf("the host hears %.100q", s.frame)
			}
		}
	}
	if !resolver {
		t.Error("the name server did not hear the questions either")
	}
}

// askInside asks from the calling thread's namespace. A server may close the connection on what it does not want.
func askInside(network, server string, q *dns.Msg) (*dns.Msg, error) {
	c, err := net.Dial(network, server)
	if err != nil {
		return nil, err
	}
	d := &dns.Conn{Conn: c, UDPSize: 65535}
	defer d.Close()
	if err := d.SetDeadline(time.Now().Add(hope)); err != nil {
		return nil, err
	}
	if err := d.WriteMsg(q); err != nil {
		return nil, err
	}
	return d.ReadMsg()
}
