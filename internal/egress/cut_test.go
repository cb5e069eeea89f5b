package egress_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bawn.dev/internal/egress"
)

// pour writes until it cannot.
func pour(c io.Writer) (written int64) {
	b := make([]byte, 16<<10)
	for {
		n, err := c.Write(b)
		written += int64(n)
		if err != nil {
			return written
		}
	}
}

// A budget ends a connection while bytes flow, in either direction, and no byte over it arrives.
func TestBudget(t *testing.T) {
	const bytes = 300_000
	for what, a := range map[string]struct {
		host   func(net.Conn, chan<- int64)
		client func(net.Conn) int64
	}{
		"download": {
			func(c net.Conn, _ chan<- int64) { pour(c) },
			func(c net.Conn) int64 {
				n, _ := io.Copy(io.Discard, c)
				return n
			},
		},
		"upload": {
			func(c net.Conn, got chan<- int64) {
				n, _ := io.Copy(io.Discard, c)
				got <- n
			},
			func(c net.Conn) int64 {
				pour(c)
				return -1
			},
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			got := make(chan int64, 1)
			r.raw("ok.example.org:22", func(c net.Conn) { a.host(c, got) })
			budget := egress.NewBudget(bytes)
			r.permit("ok.example.org:22", budget)
			r.serve()
			arrived := a.client(r.tunnel("ok.example.org:22"))
			if arrived < 0 {
				arrived = <-got
			}
			end := <-r.closed
			if arrived > bytes || !errors.Is(end.Why, egress.ErrBudget) || budget.Left() != 0 {
				t.Errorf("%d bytes arrived, %d are left, recorded %+v", arrived, budget.Left(), end)
			}
			if moved := end.Sent + end.Received; moved < bytes-64<<10 || moved > bytes+64<<10 {
				t.Errorf("%d bytes are recorded", moved)
			}
			if got := r.say(egress.Explicit, "CONNECT ok.example.org:22 HTTP/1.1\r\n"+host+"\r\n"); !strings.HasPrefix(got, "HTTP/1.1 403 ") || !strings.Contains(got, "budget") {
				t.Errorf("afterwards: %q", got)
			}
			if again := <-r.refused; !errors.Is(again.why, egress.ErrBudget) {
				t.Errorf("recorded %v", again.why)
			}
		})
	}
}

// A budget is one for all connections of its rule, and for HTTP counts headers too.
func TestBudgetIsShared(t *testing.T) {
	r := newRig(t)
	r.plain("ok.example.org:80", text(strings.Repeat("x", 1000)))
	budget := egress.NewBudget(20_000)
	r.permit("ok.example.org:80", budget)
	r.serve()
	var mu sync.Mutex
	var whole int64
	var all sync.WaitGroup
	for range 5 {
		c := r.direct()
		all.Go(func() {
			for {
				resp, err := c.Get("http://ok.example.org/")
				if err != nil {
					return
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK {
					return
				}
				mu.Lock()
				whole += int64(len(b))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if whole > 20_000 || whole == 0 || budget.Left() != 0 {
		t.Errorf("%d bytes of answers, %d left", whole, budget.Left())
	}
}

// Whatever is taken from a budget at once, it never gives more than it had.
func TestTaking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64Range(0, 100).Draw(t, "total")
		b := egress.NewBudget(total)
		takes := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 50), 1, 20), 1, 4).Draw(t, "takes")
		taken := make([]int64, len(takes))
		var all sync.WaitGroup
		for i, own := range takes {
			all.Go(func() {
				for _, n := range own {
					if b.Take(n) {
						taken[i] += int64(n)
					}
				}
			})
		}
		all.Wait()
		var sum int64
		for _, n := range taken {
			sum += n
		}
		if sum > total || b.Left() < 0 || b.Left() > total-sum {
			t.Fatalf("%d of %d were taken, %d left", sum, total, b.Left())
		}
	})
}

// A rule that goes takes its open connections along, at once, and no others.
func TestRevoked(t *testing.T) {
	r := newRig(t)
	ends := make(chan string, 10)
	for _, at := range []string{"gone.example.org:22", "kept.example.org:22"} {
		r.raw(at, func(c net.Conn) {
			io.Copy(c, c)
			ends <- at
		})
		r.permit(at, nil)
	}
	streaming := make(chan struct{})
	r.plain("gone.example.org:80", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		pour(w)
		ends <- "gone.example.org:80"
	}))
	r.permit("gone.example.org:80", nil)
	r.serve()
	gone, kept := r.tunnel("gone.example.org:22"), r.tunnel("kept.example.org:22")
	say := func(c net.Conn, word string) error {
		io.WriteString(c, word)
		_, err := io.ReadFull(c, make([]byte, len(word)))
		return err
	}
	if say(gone, "a") != nil || say(kept, "a") != nil {
		t.Fatal("the tunnels do not work")
	}
	download := make(chan error, 1)
	go func() {
		resp, err := r.direct().Get("http://gone.example.org/")
		if err == nil {
			defer resp.Body.Close()
			io.ReadFull(resp.Body, make([]byte, 1<<20))
			close(streaming)
			_, err = io.Copy(io.Discard, resp.Body)
		}
		download <- err
	}()
	<-streaming
	r.forbid("gone.example.org:22")
	r.forbid("gone.example.org:80")
	r.Recheck()
	if err := say(gone, "b"); err == nil {
		t.Error("a connection outlives its rule")
	}
	if err := <-download; err == nil {
		t.Error("a download outlives its rule")
	}
	if err := say(kept, "b"); err != nil {
		t.Errorf("a connection whose rule stays was cut: %v", err)
	}
	for range 2 {
		if end := <-r.closed; end.Name != "gone.example.org" || !errors.Is(end.Why, egress.ErrRevoked) {
			t.Errorf("recorded %+v", end)
		}
		if end := <-ends; !strings.HasPrefix(end, "gone.") {
			t.Errorf("%s ended", end)
		}
	}
	r.unsureOf(errors.New("nobody knows"))
	r.Recheck()
	if err := say(kept, "c"); err == nil {
		t.Error("a connection outlives the knowledge of its rule")
	}
}

func (r *rig) unsureOf(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsure = err
}

// A recheck gives connections the budget that counts now.
func TestBudgetIsExchanged(t *testing.T) {
	r := newRig(t)
	r.raw("ok.example.org:22", func(c net.Conn) { io.Copy(c, c) })
	r.permit("ok.example.org:22", nil)
	r.serve()
	c := r.tunnel("ok.example.org:22")
	r.permit("ok.example.org:22", egress.NewBudget(10))
	r.Recheck()
	io.WriteString(c, strings.Repeat("x", 11))
	if n, err := io.Copy(io.Discard, c); n != 0 {
		t.Errorf("%d bytes came back, %v", n, err)
	}
	if end := <-r.closed; !errors.Is(end.Why, egress.ErrBudget) || end.Sent != 0 {
		t.Errorf("recorded %+v", end)
	}
}

// A rule that goes while a connection is being opened is in time, at every step.
func TestRevokedWhileOpening(t *testing.T) {
	for _, step := range []string{"asking", "dialling", "recording"} {
		t.Run(step, func(t *testing.T) {
			r := newRig(t)
			heard := r.listener("ok.example.org:22")
			r.permit("ok.example.org:22", nil)
			var once sync.Once
			change := func(now string) {
				if now == step {
					once.Do(func() {
						r.forbid("ok.example.org:22")
						r.Recheck()
					})
				}
			}
			var err error
			r.Proxy, err = egress.New(egress.Config{
				Log: discard, Closed: func(c egress.Connection) { r.closed <- c },
				Refused: func(c egress.Connection, why error) { r.refused <- refusal{c, why} },
				Allow: func(ctx context.Context, source netip.Addr, name string, port uint16) (egress.Grant, error) {
					grant, err := r.allow(ctx, source, name, port)
					change("asking")
					return grant, err
				},
				Dial: func(ctx context.Context, name string, port uint16) (net.Conn, netip.Addr, error) {
					c, a, err := r.dial(ctx, name, port)
					change("dialling")
					return c, a, err
				},
				Opened: func(ctx context.Context, c egress.Connection) error {
					change("recording")
					return r.open(ctx, c)
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			r.serve()
			r.say(egress.Explicit, "CONNECT ok.example.org:22 HTTP/1.1\r\n"+host+"\r\nsecret")
			if step != "asking" {
				if got := <-heard; got != "" {
					t.Errorf("%q went out", got)
				}
			}
			r.Close()
			if opened, _ := r.count(); opened != len(r.closed) {
				t.Errorf("%d were opened, %d closed", opened, len(r.closed))
			}
		})
	}
}

// What moves nothing is let go, and what moves is not.
func TestIdle(t *testing.T) {
	r := newRig(t)
	r.Patience(time.Hour, 200*time.Millisecond)
	r.raw("ok.example.org:22", func(c net.Conn) { io.Copy(c, c) })
	r.raw("ok.example.org:80", func(c net.Conn) { io.Copy(io.Discard, c) })
	r.permit("ok.example.org:22", nil)
	r.permit("ok.example.org:80", nil)
	r.serve()
	c := r.tunnel("ok.example.org:22")
	io.Copy(io.Discard, c) // ends because the gateway hangs up
	if end := <-r.closed; !errors.Is(end.Why, egress.ErrIdle) {
		t.Errorf("recorded %+v", end)
	}
	if status, body := get(t, r.direct(), "http://ok.example.org/"); status != http.StatusGatewayTimeout || !strings.Contains(body, "did not answer") {
		t.Errorf("%d %s", status, body)
	}
}

// Close ends all that is open, each with its record, and nothing is served afterwards. The rig sees that no goroutine is left.
func TestClose(t *testing.T) {
	r := newRig(t)
	r.raw("ok.example.org:22", func(c net.Conn) { io.Copy(c, c) })
	r.raw("ok.example.org:443", func(c net.Conn) { pour(c) })
	r.plain("ok.example.org:80", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { pour(w) }))
	for _, at := range okPorts {
		r.permit(at, nil)
	}
	r.serve()
	r.tunnel("ok.example.org:22")
	c := r.connectTo(egress.TLS)
	c.Write(hello(sni(hostName("ok.example.org"))))
	c.Read(make([]byte, 1))
	h := r.connectTo(egress.HTTP)
	io.WriteString(h, "GET / HTTP/1.1\r\n"+host+"\r\n")
	h.Read(make([]byte, 1))
	for _, kind := range []egress.Kind{egress.TLS, egress.HTTP, egress.Explicit} {
		r.connectTo(kind).Write([]byte{22}) // says no more
	}
	r.Close()
	for range 3 {
		if end := <-r.closed; !errors.Is(end.Why, egress.ErrClosed) {
			t.Errorf("recorded %+v", end)
		}
	}
	if opened, _ := r.count(); opened != 3 || len(r.closed) != 0 {
		t.Errorf("%d were opened, %d more closed", opened, len(r.closed))
	}
	l := listen(t)
	if err := r.Serve(l, egress.TLS); !errors.Is(err, egress.ErrClosed) {
		t.Errorf("serving after the end: %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the listener stays open")
	}
}

// Many clients, rule changes and ends at once: what was opened is closed once, and bytes add up.
func TestManyAtOnce(t *testing.T) {
	r := newRig(t)
	r.plain("ok.example.org:80", text("ok"))
	r.website("ok.example.org", text("ok"))
	r.raw("ok.example.org:22", func(c net.Conn) { io.Copy(c, c) })
	for _, at := range okPorts {
		r.permit(at, nil)
	}
	r.serve()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			c := []*http.Client{r.direct(), r.proxied()}[i%2]
			for n := range 20 {
				url := []string{"http://ok.example.org/", "https://ok.example.org/"}[n%2]
				if resp, err := c.Get(url); err == nil {
					b, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					if resp.StatusCode == http.StatusOK && !bytes.Equal(b, []byte("ok")) {
						t.Errorf("%s: %q", url, b)
					}
				}
				c.CloseIdleConnections()
			}
		})
	}
	all.Go(func() {
		for i := range 20 {
			at := okPorts[i%2]
			r.forbid(at)
			r.Recheck()
			r.permit(at, nil)
		}
	})
	all.Wait()
	r.Close()
	opened, _ := r.count()
	if opened != len(r.closed) || opened == 0 {
		t.Errorf("%d were opened, %d closed", opened, len(r.closed))
	}
	seen := map[string]int{}
	for range opened {
		c := <-r.closed
		seen[fmt.Sprint(c.Source, c.Opened.UnixNano())]++
	}
	if len(seen) != opened {
		t.Errorf("%d of %d ends are different ones", len(seen), opened)
	}
}
