package fabric

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/netmodel"
)

const dialer = "10.50.0.150"

// withDialer is the ward with a dialer, from which the open interface and the database's SSH port may be reached.
func withDialer() *netmodel.VPC {
	v := ward("vpc-1")
	v.Dialers = []netmodel.Dialer{{ID: "eni-dialer", Subnet: "subnet-a", Address: netip.MustParseAddr(dialer)}}
	return v
}

func TestDial(t *testing.T) {
	t.Parallel()
	l, v := newLab(t), withDialer()
	l.apply(v)
	l.attach(v, "eni-db")
	open := l.attach(v, "eni-open")
	from, to := netip.MustParseAddr(dialer), addrPort("10.50.1.11:80")
	call := func(from netip.Addr, to netip.AddrPort, wait time.Duration) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		file, err := l.Dial(ctx, "vpc-1", from, to)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return net.FileConn(file)
	}
	c, err := call(from, to, hope)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	heard := bufio.NewReader(c)
	if line, err := heard.ReadString('\n'); err != nil || !strings.HasPrefix(line, dialer+":") {
		t.Errorf("the interface sees %q (%v)", line, err)
	}
	if _, err := call(from, addrPort("10.50.0.11:5432"), despair); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("past the groups of whom it dials: %v", err)
	}
	if _, err := call(from, addrPort("10.50.1.11:81"), hope); err == nil {
		t.Error("connected to a port that is closed")
	}
	for name, refused := range map[string]struct{ from, to string }{
		"no dialer's address":    {"10.50.0.200", "10.50.1.11:80"},
		"an interface's address": {"10.50.0.11", "10.50.1.11:80"},
		"the host":               {dialer, "127.0.0.1:80"},
		"the router":             {dialer, "10.50.0.2:53"},
		"an endpoint":            {dialer, "10.50.0.200:443"},
		"the credentials":        {dialer, "169.254.170.2:80"},
		"outside":                {dialer, "203.0.113.9:80"},
		"no port":                {dialer, "10.50.1.11:0"},
	} {
		if _, err := call(netip.MustParseAddr(refused.from), addrPort(refused.to), despair); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := l.Dial(t.Context(), "vpc-2", from, to); !errors.Is(err, ErrNotFound) {
		t.Errorf("in another VPC: %v", err)
	}
	// Nobody speaks to a dialer on his own.
	open.noAnswer("tcp", dialer+":80")
	open.noAnswer("udp", dialer+":53")
	open.noAnswer("ping", dialer)

	// Without its dialer an open connection ends.
	l.apply(ward("vpc-1"))
	if err := c.SetDeadline(time.Now().Add(despair)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x\n")); err == nil {
		if line, err := heard.ReadString('\n'); err == nil {
			t.Errorf("still heard: %q", line)
		}
	}
	if _, err := call(from, to, despair); !errors.Is(err, ErrRefused) {
		t.Errorf("from a dialer that is gone: %v", err)
	}
}

// Every question to a name server is told, with who asked, what, and what he heard; and that some were not.
func TestQueriesAreTold(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	if err := l.Queries(t.Context(), "vpc-1", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("before Apply: %v", err)
	}
	l.apply(v)
	train := l.attach(v, "eni-train")
	ask := func(do, name string) {
		t.Helper()
		if r := train.do(order{Do: do, Address: "10.50.0.2:53", Name: name, Wait: hope}); r.Outcome != ok {
			t.Error(r.Outcome)
		}
	}
	ask("ask-udp", "nobody.reads.yet.example.com")
	queries := make(chan Query, 64)
	ended := make(chan error, 1)
	go func() {
		ended <- l.Queries(context.Background(), "vpc-1", func(q Query) error {
			queries <- q
			return nil
		})
	}()
	for len(queries) == 0 { // until somebody reads
		ask("ask-udp", "kms.us-east-1.amazonaws.com")
	}
	q := <-queries
	if q.VPC != "vpc-1" || q.Interface != "eni-train" || q.Source.Addr() != netip.MustParseAddr("10.50.0.10") || q.Source.Port() == 0 || q.Time.IsZero() ||
		q.Name != "kms.us-east-1.amazonaws.com." || q.Type != "A" || q.Rcode != "NOERROR" || q.Transport != "UDP" ||
		len(q.Answers) != 1 || q.Answers[0] != netip.MustParseAddr("10.50.0.200") || q.Lost != 0 {
		t.Errorf("told %+v", q)
	}
	ask("ask-tcp", "c2VjcmV0.example.com")
	for q.Transport != "TCP" {
		q = <-queries
	}
	if q.Name != "c2VjcmV0.example.com." || q.Rcode != "NXDOMAIN" || len(q.Answers) != 0 {
		t.Errorf("told %+v", q)
	}
	if err := l.Queries(t.Context(), "vpc-1", nil); !errors.Is(err, ErrRefused) {
		t.Errorf("two readers: %v", err)
	}
	if err := l.Remove(context.Background(), "vpc-1"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("removed: %v", err)
	}
}

func TestQueriesAreBounded(t *testing.T) {
	n := &network{gone: make(chan struct{}), queries: newFeed[Query](queryBuffer, false)}
	n.queries.put(Query{}) // nobody reads
	n.queries.attend(true)
	for range queryBuffer + 5 {
		n.queries.put(Query{})
	}
	if n.queries.losses() != 5 || len(n.queries.values) != queryBuffer {
		t.Errorf("%d wait", len(n.queries.values))
	}
}
