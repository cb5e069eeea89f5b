package egress_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"bawn.dev/internal/egress"
	"bawn.dev/internal/fetch"
)

// listener is a host of the internet that says all that it hears.
func (r *rig) listener(at string) chan string {
	heard := make(chan string, 10)
	r.raw(at, func(c net.Conn) {
		all, _ := io.ReadAll(c)
		heard <- string(all)
	})
	return heard
}

// A tunnel to a name carries a greeting for that name and nothing else.
func TestFronting(t *testing.T) {
	for what, first := range map[string]string{
		"another name":       string(realHello(t, "evil.example.org")),
		"an open other name": string(realHello(t, "also.example.org")),
		"two names":          string(hello(sni(hostName("ok.example.org"), hostName("evil.example.org")))),
		"no name":            string(hello(extension(43, []byte{2, 3, 4}))),
		"no TLS":             "GET / HTTP/1.1\r\nHost: evil.example.org\r\n\r\n",
		"half a greeting":    string(realHello(t, "ok.example.org")[:100]),
		"nothing":            "",
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			heard := r.listener("ok.example.org:443")
			r.permit("ok.example.org:443", nil)
			r.permit("also.example.org:443", nil)
			r.serve()
			c := r.tunnel("ok.example.org:443")
			io.WriteString(c, first)
			c.CloseWrite()
			io.Copy(io.Discard, c)
			end := <-r.closed
			if got := <-heard; got != "" || end.Sent != 0 {
				t.Errorf("%q went out, %d bytes recorded", got, end.Sent)
			}
			if !errors.Is(end.Why, egress.ErrFronting) && !errors.Is(end.Why, egress.ErrForm) {
				t.Errorf("recorded %v", end.Why)
			}
		})
	}
}

// The socket for TLS takes a greeting with one open name, and lets nothing out before.
func TestGreetingsOfAttackers(t *testing.T) {
	for what, first := range map[string]string{
		"a name that is not open": string(realHello(t, "evil.example.org")),
		"no name":                 string(hello(extension(43, []byte{2, 3, 4}))),
		"two names":               string(hello(sni(hostName("ok.example.org"), hostName("evil.example.org")))),
		"a PROXY line":            "PROXY TCP4 10.0.0.9 10.0.0.1 1 443\r\n" + string(realHello(t, "ok.example.org")),
		"CONNECT":                 "CONNECT ok.example.org:443 HTTP/1.1\r\n\r\n",
		"half a greeting":         string(realHello(t, "ok.example.org")[:60]),
		"nothing":                 "",
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			r.listener("ok.example.org:443")
			r.permit("ok.example.org:443", nil)
			r.serve()
			r.say(egress.TLS, first)
			if got := <-r.refused; got.Source.Addr() != netip.MustParseAddr("127.0.0.1") {
				t.Errorf("recorded %+v", got)
			}
			r.untouched(what)
		})
	}
}

// A greeting that comes byte by byte is one.
func TestGreetingInPieces(t *testing.T) {
	r := newRig(t)
	heard := r.listener("ok.example.org:443")
	r.permit("ok.example.org:443", nil)
	r.serve()
	c := r.connectTo(egress.TLS)
	c.SetNoDelay(true)
	first := records(3, body(sni(hostName("ok.example.org"))))
	for i := range first {
		if _, err := c.Write(first[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	c.CloseWrite()
	if got := <-heard; got != string(first) {
		t.Errorf("%q went out", got)
	}
}

// Who says nothing, or a little, is not waited for.
func TestSlowPeers(t *testing.T) {
	r := newRig(t)
	r.Patience(200*time.Millisecond, 200*time.Millisecond)
	r.listener("ok.example.org:443")
	r.listener("ok.example.org:80")
	r.permit("ok.example.org:443", nil)
	r.permit("ok.example.org:80", nil)
	r.serve()
	for _, c := range []net.Conn{r.connectTo(egress.TLS), r.connectTo(egress.HTTP), r.connectTo(egress.Explicit), r.tunnel("ok.example.org:443")} {
		c.Write([]byte{22})
		io.Copy(io.Discard, c) // ends because the gateway hangs up
	}
	for _, name := range []string{"ok", "evil"} {
		c := r.connectTo(egress.HTTP)
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: "+name+".example.org\r\nContent-Length: 9\r\n\r\nhalf")
		io.Copy(io.Discard, c)
	}
}

// hellos of a server: one that asks for a second greeting, and one that does not.
var (
	askAgain = append([]byte{22, 3, 3, 0, 38, 2, 0, 0, 34, 3, 3},
		"\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"...)
	askNot = append([]byte{22, 3, 3, 0, 38, 2, 0, 0, 34, 3, 3}, make([]byte, 32)...)
)

// A second greeting, which some servers choose a site by, is held to the name of the first.
func TestSecondGreeting(t *testing.T) {
	first, second, evil := hello(sni(hostName("ok.example.org"))), realHello(t, "ok.example.org"), realHello(t, "evil.example.org")
	early := []byte{23, 3, 3, 0, 3, 'a', 'b', 'c'}
	change := []byte{20, 3, 3, 0, 1, 1}
	for what, a := range map[string]struct {
		answer []byte
		says   []byte // after the answer
		passes bool
	}{
		"the same name":                  {askAgain, bytes.Join([][]byte{change, second}, nil), true},
		"the same name, early data":      {askAgain, bytes.Join([][]byte{early, change, second, early}, nil), true},
		"another name":                   {askAgain, evil, false},
		"another name in pieces":         {askAgain, records(2, body(sni(hostName("evil.example.org")))), false},
		"another name behind early data": {askAgain, bytes.Join([][]byte{early, change, evil}, nil), false},
		"another name, without answer":   {nil, evil, false},
		"a client's keys of TLS 1.2":     {askNot, []byte{22, 3, 3, 0, 4, 16, 0, 0, 0}, true},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			heard := make(chan []byte, 1)
			r.raw("ok.example.org:443", func(c net.Conn) {
				io.ReadFull(c, make([]byte, len(first)))
				c.Write(a.answer)
				all, _ := io.ReadAll(c)
				heard <- all
			})
			r.permit("ok.example.org:443", nil)
			r.serve()
			c := r.connectTo(egress.TLS)
			c.Write(first)
			if _, err := io.ReadFull(c, make([]byte, len(a.answer))); err != nil {
				t.Fatal(err)
			}
			c.Write(a.says)
			c.CloseWrite()
			io.Copy(io.Discard, c)
			got, end := <-heard, <-r.closed
			if a.passes && !bytes.Equal(got, a.says) || !a.passes && bytes.Contains(got, []byte("evil")) {
				t.Errorf("%q went out", got)
			}
			if errors.Is(end.Why, egress.ErrFronting) == a.passes {
				t.Errorf("recorded %v", end.Why)
			}
		})
	}
}

// Real handshakes of each kind pass, those with a second greeting too.
func TestHandshakes(t *testing.T) {
	r := newRig(t)
	for name, config := range map[string]*tls.Config{
		"tls12.example.org": {MaxVersion: tls.VersionTLS12},
		"tls13.example.org": {MinVersion: tls.VersionTLS13},
		"again.example.org": {MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.CurveP521}},
	} {
		config.Certificates = []tls.Certificate{r.certificate(name)}
		r.raw(name+":443", func(c net.Conn) {
			s := tls.Server(c, config)
			io.Copy(s, s)
			s.Close()
		})
		r.permit(name+":443", nil)
	}
	r.serve()
	for name := range r.hosts {
		name = strings.TrimSuffix(name, ":443")
		for _, c := range []net.Conn{r.connectTo(egress.TLS), r.tunnel(name + ":443")} {
			s := tls.Client(c, &tls.Config{ServerName: name, RootCAs: r.roots, CurvePreferences: []tls.CurveID{tls.CurveP256, tls.CurveP521}})
			io.WriteString(s, "hello")
			s.CloseWrite()
			if got, err := io.ReadAll(s); string(got) != "hello" || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			if again := s.ConnectionState().HelloRetryRequest; again != (name == "again.example.org") {
				t.Errorf("%s: a second greeting: %v", name, again)
			}
		}
	}
}

// ways send a word to ok.example.org by each kind of socket.
func (r *rig) ways(word string) {
	r.say(egress.HTTP, "POST / HTTP/1.1\r\n"+host+fmt.Sprintf("Content-Length: %d\r\n\r\n", len(word))+word)
	r.say(egress.Explicit, "POST http://ok.example.org/ HTTP/1.1\r\n"+host+fmt.Sprintf("Content-Length: %d\r\n\r\n", len(word))+word)
	r.say(egress.TLS, string(hello(sni(hostName("ok.example.org"))))+word)
	r.say(egress.Explicit, "CONNECT ok.example.org:22 HTTP/1.1\r\n"+host+"\r\n"+word)
}

var okPorts = []string{"ok.example.org:80", "ok.example.org:443", "ok.example.org:22"}

// What cannot be recorded does not happen: not a byte.
func TestNoRecordNoConnection(t *testing.T) {
	r := newRig(t)
	heard := make(chan string, 10)
	for _, at := range okPorts {
		r.raw(at, func(c net.Conn) {
			all, _ := io.ReadAll(c)
			heard <- string(all)
		})
		r.permit(at, nil)
	}
	r.broken = errors.New("the disk is full")
	r.serve()
	r.ways("secret")
	for range 4 {
		if got := <-heard; got != "" {
			t.Errorf("%q went out", got)
		}
		if got := <-r.refused; !errors.Is(got.why, egress.ErrRecord) || !errors.Is(got.why, r.broken) {
			t.Errorf("recorded %v", got.why)
		}
	}
	if len(r.closed) != 0 {
		t.Error("the end of what never began was recorded")
	}
}

// A decision that cannot be made refuses, and says nothing of why.
func TestNoDecisionNoConnection(t *testing.T) {
	r := newRig(t)
	for _, at := range okPorts {
		r.listener(at)
		r.permit(at, nil)
	}
	r.unsure = errors.New("the database is at 10.9.8.7")
	r.serve()
	r.ways("secret")
	answer := r.say(egress.HTTP, "GET / HTTP/1.1\r\n"+host+"\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 503 ") || strings.Contains(answer, "10.9.8.7") {
		t.Errorf("answered %q", answer)
	}
	r.untouched("no decision")
}

// A name that leads inside is refused, whoever's name server says so, and is asked about once.
func TestNamesThatLeadInside(t *testing.T) {
	r := newRig(t)
	inside := listen(t)
	defer inside.Close()
	port := uint16(inside.Addr().(*net.TCPAddr).Port)
	reached := make(chan struct{}, 100)
	go func() {
		for {
			c, err := inside.Accept()
			if err != nil {
				return
			}
			reached <- struct{}{}
			c.Close()
		}
	}()
	zone := map[string][]string{
		"loopback.example.org.": {"127.0.0.1"}, "metadata.example.org.": {"169.254.169.254"}, "ten.example.org.": {"10.1.2.3"},
		"two.example.org.": {"9.9.9.9", "127.0.0.1"}, "zero.example.org.": {"0.0.0.0"}, "docs.example.org.": {"203.0.113.5"},
	}
	questions := resolver(t, zone)
	r.Proxy, _ = egress.New(egress.Config{
		Allow: r.allow, Dial: egress.Through(fetch.New(nil, nil).Dial), Opened: r.open,
		Closed:  func(c egress.Connection) { r.closed <- c },
		Refused: func(c egress.Connection, why error) { r.refused <- refusal{c, why} }, Log: discard,
	})
	r.serve()
	for name := range zone {
		at := fmt.Sprintf("%s:%d", strings.TrimSuffix(name, "."), port)
		r.permit(at, nil)
		for _, ask := range []string{"CONNECT " + at + " HTTP/1.1\r\n" + host + "\r\n", "GET http://" + at + "/ HTTP/1.1\r\n" + host + "\r\n"} {
			if got := r.say(egress.Explicit, ask); !strings.HasPrefix(got, "HTTP/1.1 502 ") || strings.Contains(got, "127.0") {
				t.Errorf("%s: %q", at, got)
			}
			if got := <-r.refused; !errors.Is(got.why, fetch.ErrRefused) || !errors.Is(got.why, egress.ErrDial) {
				t.Errorf("%s: recorded %v", at, got.why)
			}
		}
	}
	if len(reached) != 0 || len(r.opened) != 0 {
		t.Errorf("%d connections came in, %d are recorded", len(reached), len(r.opened))
	}
	for len(questions) > 0 {
		if q := <-questions; zone[q] == nil {
			t.Errorf("%s was looked up", q)
		}
	}
}

// resolver has this process ask a name server of the test.
func resolver(t *testing.T, zone map[string][]string) chan string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	questions := make(chan string, 1000)
	srv := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		questions <- q.Question[0].Name
		if q.Question[0].Qtype == dns.TypeA {
			for _, a := range zone[q.Question[0].Name] {
				m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(a)})
			}
		}
		w.WriteMsg(m)
	})}
	go srv.ActivateAndServe()
	old := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = old
		srv.Shutdown()
	})
	return questions
}

// Who hoards connections has her share and no more, and others have theirs.
func TestFlood(t *testing.T) {
	r := newRig(t)
	r.plain("ok.example.org:80", text("ok"))
	r.permit("ok.example.org:80", nil)
	r.serve()
	for _, kind := range []egress.Kind{egress.TLS, egress.HTTP} {
		for range egress.Connections.PerSource {
			r.connectTo(kind).Write([]byte{22})
		}
		if n, err := r.connectTo(kind).Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: one more was served", kind)
		}
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	other := r.client(&http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, r.addrs[egress.HTTP])
	}})
	if status, body := get(t, other, "http://ok.example.org/"); status != 200 || body != "ok" {
		t.Errorf("another source got %d %q", status, body)
	}
}

// Who tries again and again is told to wait, and fills no record with it.
func TestPace(t *testing.T) {
	r := newRig(t).serve()
	c := r.direct()
	tried := 0
	for status := 0; status != http.StatusTooManyRequests; tried++ {
		if tried == 20_000 {
			t.Fatal("20,000 attempts were decided and recorded")
		}
		status, _ = get(t, c, "http://evil.example.org/")
	}
	for range 100 {
		get(t, c, "http://evil.example.org/")
	}
	tooFast := 0
	for range len(r.refused) {
		if got := <-r.refused; errors.Is(got.why, egress.ErrTooFast) {
			tooFast++
		}
	}
	if tooFast != 1 {
		t.Errorf("it is recorded %d times that a source is too fast", tooFast)
	}
}
