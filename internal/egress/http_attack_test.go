package egress_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/egress"
)

// seen collects what servers of the internet are asked.
type seen struct{ requests chan string }

func (s seen) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	b, _ := io.ReadAll(q.Body)
	s.requests <- fmt.Sprintf("%s %s %s %s", q.Method, q.Host, q.RequestURI, b)
	io.WriteString(w, "ok")
}

func (s seen) all() []string {
	var all []string
	for {
		select {
		case q := <-s.requests:
			all = append(all, q)
		default:
			return all
		}
	}
}

const host = "Host: ok.example.org\r\n"

// A rule for one name opens no other, whatever is put into, before or behind a request.
func TestRequestsOfAttackers(t *testing.T) {
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: evil.example.org\r\n\r\n"
	const ok = " 200 "
	for _, a := range []struct {
		name string
		kind egress.Kind
		text string
		want string // in the first answer; empty when any refusal will do
		seen []string
	}{
		{"a fair request", egress.HTTP, "GET / HTTP/1.1\r\n" + host + "\r\n", ok, []string{"GET ok.example.org / "}},
		{"a fair request with a port", egress.HTTP, "GET / HTTP/1.1\r\nHost: ok.example.org:80\r\n\r\n", ok, []string{"GET ok.example.org / "}},
		{"a second request on the connection", egress.HTTP, "GET / HTTP/1.1\r\n" + host + "\r\n" + smuggled, ok, []string{"GET ok.example.org / "}},
		{"both lengths", egress.HTTP, "POST / HTTP/1.1\r\n" + host + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, ok, []string{"POST ok.example.org / "}},
		{"two lengths", egress.HTTP, "POST / HTTP/1.1\r\n" + host + "Content-Length: 0\r\nContent-Length: 51\r\n\r\n" + smuggled, " 400 ", nil},
		{"a list of lengths", egress.HTTP, "POST / HTTP/1.1\r\n" + host + "Content-Length: 0, 51\r\n\r\n" + smuggled, " 400 ", nil},
		{"a signed length", egress.HTTP, "POST / HTTP/1.1\r\n" + host + "Content-Length: +51\r\n\r\n" + smuggled, " 400 ", nil},
		{"an odd coding", egress.HTTP, "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n" + smuggled, " 501 ", nil},
		{"two codings", egress.HTTP, "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, identity\r\n\r\n" + smuggled, " 501 ", nil},
		{"a coding twice", egress.HTTP, "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, " 501 ", nil},
		{"a space before the colon", egress.HTTP, "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled, " 400 ", nil},
		{"a chunk of a wrong length", egress.HTTP, "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + smuggled, "", nil},
		{"a chunk of a huge length", egress.HTTP, "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + smuggled, "", nil},
		{"two hosts", egress.HTTP, "GET / HTTP/1.1\r\n" + host + "Host: evil.example.org\r\n\r\n", " 400 ", nil},
		{"no host", egress.HTTP, "GET / HTTP/1.1\r\n\r\n", " 400 ", nil},
		{"no host in HTTP/1.0", egress.HTTP, "GET / HTTP/1.0\r\n\r\n", " 400 ", nil},
		{"two names in Host", egress.HTTP, "GET / HTTP/1.1\r\nHost: ok.example.org, evil.example.org\r\n\r\n", " 400 ", nil},
		{"a user in Host", egress.HTTP, "GET / HTTP/1.1\r\nHost: ok.example.org@evil.example.org\r\n\r\n", " 400 ", nil},
		{"a path in Host", egress.HTTP, "GET / HTTP/1.1\r\nHost: evil.example.org/ok.example.org\r\n\r\n", " 400 ", nil},
		{"an address in Host", egress.HTTP, "GET / HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n", " 400 ", nil},
		{"a six in Host", egress.HTTP, "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", " 400 ", nil},
		{"another port in Host", egress.HTTP, "GET / HTTP/1.1\r\nHost: ok.example.org:8080\r\n\r\n", " 400 ", nil},
		{"a Host in a second line", egress.HTTP, "GET / HTTP/1.1\r\nHost: ok.example.org\r\n .evil.example.org\r\n\r\n", " 400 ", nil},
		{"a whole URL", egress.HTTP, "GET http://ok.example.org/ HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"a whole URL of another", egress.HTTP, "GET http://evil.example.org/ HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"CONNECT to the wrong socket", egress.HTTP, "CONNECT ok.example.org:80 HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"no path at all", egress.HTTP, "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"HTTP/2", egress.HTTP, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", nil},
		{"h2c", egress.HTTP, "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n", " 400 ", nil},
		{"a WebSocket", egress.HTTP, "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", " 400 ", nil},
		{"two slashes", egress.HTTP, "GET //evil.example.org/ HTTP/1.1\r\n" + host + "\r\n", ok, []string{"GET ok.example.org //evil.example.org/ "}},
		{"a Connection that names Host", egress.HTTP, "GET / HTTP/1.1\r\n" + host + "Connection: Host, Content-Length\r\n\r\n", ok, []string{"GET ok.example.org / "}},
		{"X-Forwarded-Host", egress.HTTP, "GET / HTTP/1.1\r\n" + host + "X-Forwarded-Host: evil.example.org\r\n\r\n", ok, []string{"GET ok.example.org / "}},

		{"a fair URL", egress.Explicit, "GET http://ok.example.org/ HTTP/1.1\r\n" + host + "\r\n", ok, []string{"GET ok.example.org / "}},
		{"a URL and another Host", egress.Explicit, "GET http://ok.example.org/ HTTP/1.1\r\nHost: evil.example.org\r\n\r\n", ok, []string{"GET ok.example.org / "}},
		{"another URL and a fair Host", egress.Explicit, "GET http://evil.example.org/ HTTP/1.1\r\n" + host + "\r\n", " 403 ", nil},
		{"a path", egress.Explicit, "GET / HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"https as a URL", egress.Explicit, "GET https://ok.example.org/ HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"a file", egress.Explicit, "GET file:///etc/passwd HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"an opaque URL", egress.Explicit, "GET http:ok.example.org HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"a user in a URL", egress.Explicit, "GET http://ok.example.org@evil.example.org/ HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"an address in a URL", egress.Explicit, "GET http://127.0.0.1/ HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"an address of six", egress.Explicit, "GET http://[::ffff:127.0.0.1]/ HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"a second URL on the connection", egress.Explicit,
			"GET http://ok.example.org/ HTTP/1.1\r\n" + host + "\r\nGET http://evil.example.org/ HTTP/1.1\r\n" + host + "\r\n", ok, []string{"GET ok.example.org / "}},
		{"CONNECT to a name that is not open", egress.Explicit, "CONNECT evil.example.org:443 HTTP/1.1\r\n" + host + "\r\n", " 403 ", nil},
		{"CONNECT to a port that is not open", egress.Explicit, "CONNECT ok.example.org:22 HTTP/1.1\r\n" + host + "\r\n", " 403 ", nil},
		{"CONNECT to port 80", egress.Explicit, "CONNECT ok.example.org:80 HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"CONNECT to an address", egress.Explicit, "CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"CONNECT to an address of six", egress.Explicit, "CONNECT [::1]:80 HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"CONNECT to a number", egress.Explicit, "CONNECT 2130706433:80 HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"CONNECT without a port", egress.Explicit, "CONNECT ok.example.org HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"CONNECT to port 0", egress.Explicit, "CONNECT ok.example.org:0 HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"CONNECT to port 65616", egress.Explicit, "CONNECT ok.example.org:65616 HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"CONNECT to port 0443", egress.Explicit, "CONNECT ok.example.org:0443 HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"CONNECT as a user", egress.Explicit, "CONNECT ok.example.org:443@evil.example.org:443 HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"CONNECT with a path", egress.Explicit, "CONNECT /ok.example.org:443 HTTP/1.1\r\n" + host + "\r\n", " 400 ", nil},
		{"CONNECT with a body", egress.Explicit, "CONNECT ok.example.org:443 HTTP/1.1\r\n" + host + "Content-Length: 4\r\n\r\nabcd", " 400 ", nil},
		{"a header of a megabyte", egress.HTTP, "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", " 431 ", nil},
	} {
		t.Run(strings.ReplaceAll(a.name, " ", "-"), func(t *testing.T) {
			r := newRig(t)
			s := seen{make(chan string, 100)}
			r.plain("ok.example.org:80", s)
			for _, at := range []string{"evil.example.org:80", "evil.example.org:443", "ok.example.org:22", "ok.example.org:8080"} {
				r.hosts[at] = r.hosts["ok.example.org:80"]
			}
			r.permit("ok.example.org:80", nil)
			r.permit("ok.example.org:443", nil)
			r.serve()
			status, _, _ := strings.Cut(r.say(a.kind, a.text), "\r\n")
			if a.want == ok != strings.Contains(status+" ", ok) || a.want != ok && a.seen != nil || !strings.Contains(status+" ", a.want) {
				t.Errorf("answered %q", status)
			}
			got := s.all()
			for _, q := range got {
				if strings.Contains(q, "smuggled") || !strings.Contains(q, " ok.example.org ") {
					t.Errorf("%q went out", q)
				}
			}
			if a.want != "" && !slices.Equal(got, a.seen) {
				t.Errorf("%q went out", got)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, at := range r.dialled {
				if at != "ok.example.org:80" {
					t.Errorf("%s was dialled", at)
				}
			}
		})
	}
}

// What a hop is told stays at the hop.
func TestHopHeaders(t *testing.T) {
	r := newRig(t)
	heads := make(chan http.Header, 1)
	r.plain("ok.example.org:80", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { heads <- q.Header }))
	r.permit("ok.example.org:80", nil)
	r.serve()
	answer := r.say(egress.Explicit, "GET http://ok.example.org/ HTTP/1.1\r\n"+host+"Proxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\n"+
		"Connection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nForwarded: for=10.0.0.1\r\nX-Forwarded-For: 10.0.0.1\r\nX-End: 1\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
		t.Fatalf("answered %q", answer)
	}
	got := <-heads
	for _, name := range []string{"Proxy-Authorization", "Proxy-Connection", "X-Hop", "Keep-Alive", "Forwarded", "X-Forwarded-For", "Via"} {
		if got[name] != nil {
			t.Errorf("%s went out", name)
		}
	}
	if got.Get("X-End") != "1" || got.Get("Connection") != "close" {
		t.Errorf("got %v", got)
	}
}

// A server outside cannot make the connection something else, nor answer a request that was not made.
func TestAnswersOfAttackers(t *testing.T) {
	for name, a := range map[string]struct{ text, want string }{
		"a switch of protocols": {"HTTP/1.1 101 Switching Protocols\r\n\r\nanything", "HTTP/1.1 502 Bad Gateway"},
		"a switch to h2c":       {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nanything", "HTTP/1.1 502 Bad Gateway"},
		"two answers":           {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", "HTTP/1.1 200 OK"},
		"no HTTP":               {"SSH-2.0-OpenSSH\r\n", "HTTP/1.1 502 Bad Gateway"},
		"an endless header":     {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 1<<18) + "\r\n\r\n", "HTTP/1.1 502 Bad Gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.raw("ok.example.org:80", func(c net.Conn) {
				http.ReadRequest(bufio.NewReader(c))
				io.WriteString(c, a.text)
				io.Copy(io.Discard, c)
			})
			r.permit("ok.example.org:80", nil)
			r.serve()
			got := r.say(egress.HTTP, "GET / HTTP/1.1\r\n"+host+"\r\nGET / HTTP/1.1\r\nHost: evil.example.org\r\n\r\n")
			if !strings.HasPrefix(got, a.want+"\r\n") || strings.Contains(got, "poison") || strings.Contains(got, "anything") {
				t.Errorf("the client got %.200q", got)
			}
		})
	}
}
