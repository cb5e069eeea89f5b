package fabric

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"bawn.dev/internal/netmodel"
)

// crowded is the ward with n more interfaces.
func crowded(n int) *netmodel.VPC {
	v := ward("vpc-1")
	for i := range n {
		v.Interfaces = append(v.Interfaces, netmodel.Interface{ID: fmt.Sprintf("eni-x%d", i), Subnet: "subnet-b",
			Address: netip.AddrFrom4([4]byte{10, 50, 1, byte(20 + i)}), Groups: []string{"sg-train"}, Workload: "job", MAC: fmt.Sprintf("02:00:00:00:01:%02x", i)})
	}
	return v
}

func BenchmarkAttachDetach(b *testing.B) {
	l, v := newLab(b), ward("vpc-1")
	l.apply(v)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Attach(ctx, "vpc-1", v.Interfaces[0]); err != nil {
			b.Fatal(err)
		}
		if err := l.Detach(ctx, v.Interfaces[0].ID); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdateGroup(b *testing.B) {
	for _, n := range []int{0, 200} {
		b.Run(fmt.Sprint(n+5, " interfaces"), func(b *testing.B) {
			l, v := newLab(b), crowded(n)
			l.apply(v)
			b.ReportAllocs()
			port := 5432
			for b.Loop() {
				port ^= 1
				v.SecurityGroups[1].Ingress[0].FromPort, v.SecurityGroups[1].Ingress[0].ToPort = port, port
				if err := l.Apply(context.Background(), v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkProbe(b *testing.B) {
	l := newLab(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(Config{StateDir: l.dir, NamePrefix: l.prefix, Log: l.log}); err != nil {
			b.Fatal(err)
		}
	}
}
