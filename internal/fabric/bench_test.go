package fabric

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"bawn.dev/internal/netmodel"
)

// crowded is the ward with n interfaces.
func crowded(n int) *netmodel.VPC {
	v := ward("vpc-1")
	v.Subnets = append(v.Subnets, netmodel.Subnet{ID: "subnet-c", CIDR: netip.MustParsePrefix("10.50.16.0/20"), RouteTable: "rtb-none"})
	for i := 4; len(v.Interfaces) < n; i++ {
		v.Interfaces = append(v.Interfaces, netmodel.Interface{ID: fmt.Sprintf("eni-x%d", i), Subnet: "subnet-c",
			Address: netip.AddrFrom4([4]byte{10, 50, 16 + byte(i>>8), byte(i)}), Groups: []string{"sg-train"}, Workload: "job",
			MAC: fmt.Sprintf("02:00:00:00:%02x:%02x", 1+i>>8, i&255)})
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
	for _, n := range []int{5, 200, 1000} {
		b.Run(fmt.Sprint(n, " interfaces"), func(b *testing.B) {
			l, v := newLab(b), crowded(n)
			l.apply(v)
			b.ReportAllocs()
			port := 5432
			for b.Loop() {
				port ^= 1
				c := *v // the fabric keeps what it is given
				c.SecurityGroups = slices.Clone(v.SecurityGroups)
				c.SecurityGroups[1].Ingress = []netmodel.Rule{tcpFrom(port, "sg-train")}
				if err := l.Apply(context.Background(), &c); err != nil {
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
