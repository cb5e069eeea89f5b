package ec2

import (
	"fmt"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/store"
)

// Each connection to the outside asks: here in a VPC with 240 workloads, about
// the last of 100 rules.
func BenchmarkOutside(b *testing.B) {
	w := newWay(b, newBench(b))
	for i := range 240 {
		r := api.Reservation{Account: apitest.Account, SubnetIDs: []string{w.id["sub"]}, SecurityGroupIDs: []string{w.id["work"]}, Service: "sagemaker"}
		r.Workload = fmt.Sprintf("w-%d", i)
		if _, err := w.reserve(b, r); err != nil {
			b.Fatal(err)
		}
	}
	for i := range maxOutside {
		w.allow(b, OutsideRule{Group: w.id["work"], Name: fmt.Sprintf("h%d.example.org", i), Ports: []uint16{443}, Budget: 1 << 40})
	}
	w.read(b, func(sn *store.Snapshot) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.service.Outside(sn, w.id["vpc"], w.addr, "h99.example.org", 443); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Each connection to an endpoint of an endpoint service asks where it goes.
func BenchmarkRelay(b *testing.B) {
	l := newLink(b, newBench(b))
	l.allow(b, "*")
	vpce := l.connect(b)
	l.accept(b, vpce)
	l.read(b, func(sn *store.Snapshot) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := l.bench.service.Relay(sn, vpce, 5432); err != nil {
				b.Fatal(err)
			}
		}
	})
}
