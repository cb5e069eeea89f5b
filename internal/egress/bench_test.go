package egress_test

import (
	"bytes"
	"io"
	"net"
	"testing"

	"bawn.dev/internal/egress"
)

// BenchmarkTunnel moves bytes from outside to a client, through a tunnel and without one.
func BenchmarkTunnel(b *testing.B) {
	const chunk = 64 << 10
	for _, way := range []string{"tunnel", "budget", "direct"} {
		b.Run(way, func(b *testing.B) {
			r := newRig(b)
			r.raw("ok.example.org:22", func(c net.Conn) { pour(c) })
			var budget *egress.Budget
			if way == "budget" {
				budget = egress.NewBudget(1 << 60)
			}
			r.permit("ok.example.org:22", budget)
			r.serve()
			var c net.Conn
			if way == "direct" {
				var err error
				if c, err = net.Dial("tcp", r.hosts["ok.example.org:22"]); err != nil {
					b.Fatal(err)
				}
			} else {
				c = r.tunnel("ok.example.org:22")
			}
			defer c.Close()
			buf := make([]byte, chunk)
			b.SetBytes(chunk)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.ReadFull(c, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGreeting reads one of those that clients send.
func BenchmarkGreeting(b *testing.B) {
	raw := realHello(b, "pypi.example.org")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := egress.ReadHello(bytes.NewReader(raw)); err != nil {
			b.Fatal(err)
		}
	}
}
