package egress_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"bawn.dev/internal/egress"
)

// Whatever a client says, all that goes out is requests for the one name that is open, each the only one of its connection.
func FuzzRequests(f *testing.F) {
	r := newRig(f)
	seen := make(chan string, 1000)
	r.plain("ok.example.org:80", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		io.Copy(io.Discard, q.Body)
		seen <- fmt.Sprint(q.Host, " ", q.Close)
	}))
	for _, at := range []string{"evil.example.org:80", "ok.example.org:8080", "last:80"} {
		r.hosts[at] = r.hosts["ok.example.org:80"]
	}
	r.permit("ok.example.org:80", nil)
	r.Patience(100*time.Millisecond, 100*time.Millisecond)
	r.serve()
	for _, s := range []string{
		"GET / HTTP/1.1\r\n" + host + "\r\n",
		"POST /a?b HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: evil.example.org\r\n\r\n",
		"GET http://ok.example.org/ HTTP/1.1\r\nHost: evil.example.org\r\nConnection: Host\r\n\r\n",
		"GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		"CONNECT ok.example.org:443 HTTP/1.1\r\n" + host + "\r\n",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	from := 0
	f.Fuzz(func(t *testing.T, text string, explicit bool) {
		kind := egress.HTTP
		if explicit {
			kind = egress.Explicit
		}
		// Another source each time: one alone would soon be too fast.
		from++
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1+byte(from>>16)%100, byte(from>>8), byte(from))}}
		c, err := d.Dial("tcp", r.addrs[kind])
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, text+lastly)
		c.SetReadDeadline(time.Now().Add(time.Second)) // for what holds the last request back
		io.Copy(io.Discard, c)
		c.Close()
		for len(seen) > 0 {
			if got := <-seen; got != "ok.example.org true" {
				t.Fatalf("a request went out for (and the last of its connection): %s", got)
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, at := range r.dialled {
			if at != "ok.example.org:80" {
				t.Fatalf("%s was dialled", at)
			}
		}
		r.dialled, r.asked, r.opened = nil, nil, nil
		for len(r.refused) > 0 {
			<-r.refused
		}
		for len(r.closed) > 0 {
			<-r.closed
		}
	})
}
