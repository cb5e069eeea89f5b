package fabric

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

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

// Two workloads of a VPC, beside two that are joined in the same way by a router without any filter: ratio is how much of
// the second's speed the first have, and cpu-ratio the same of what is sent for a second of processor time, which says more
// on a machine that has other things to do.
func BenchmarkThroughput(b *testing.B) {
	l, v := newLab(b), ward("vpc-1")
	l.apply(v)
	train, db := l.attach(v, "eni-train"), l.attach(v, "eni-db")
	from, to := l.unfiltered(v)
	const at = "10.50.0.11:5433"
	v.SecurityGroups[0].Egress = append(v.SecurityGroups[0].Egress, tcpFrom(5433, "sg-db"))
	v.SecurityGroups[1].Ingress = append(v.SecurityGroups[1].Ingress, tcpFrom(5433, "sg-train"))
	l.apply(v)
	for _, a := range []*agent{db, to} {
		if r := a.do(order{Do: "drain", Address: at}); r.Outcome != ok {
			b.Fatal(r.Outcome)
		}
	}
	const size = 256 // MiB
	pump := func(a *agent) time.Duration {
		begun := time.Now()
		if r := a.do(order{Do: "pump", Address: at, Ports: []int{size}}); r.Outcome != ok {
			b.Fatal(r.Outcome)
		}
		return time.Since(begun)
	}
	var ratios []float64
	var spent time.Duration
	idle := []float64{ticks(b, from, to), ticks(b, train, db)}
	for b.Loop() {
		plain, filtered := pump(from), pump(train)
		ratios, spent = append(ratios, plain.Seconds()/filtered.Seconds()), spent+filtered
	}
	slices.Sort(ratios)
	b.ReportMetric((ticks(b, from, to)-idle[0])/(ticks(b, train, db)-idle[1]), "cpu-ratio")
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(float64(size*len(ratios))/spent.Seconds(), "MiB/s")
	b.ReportMetric(0, "ns/op")
}

// ticks is the processor time that agents have used, packets that they had forwarded included.
func ticks(b *testing.B, agents ...*agent) float64 {
	b.Helper()
	sum := 0.0
	for _, a := range agents {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.pid))
		if err != nil {
			b.Fatal(err)
		}
		var user, system float64
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
			b.Fatal(err)
		}
		sum += user + system
	}
	return sum
}

// unfiltered joins two namespaces with the addresses of eni-train and eni-db by a router that only routes.
func (l *lab) unfiltered(v *netmodel.VPC) (from, to *agent) {
	l.t.Helper()
	var paths []string
	for _, id := range []string{"router", "from", "to"} {
		path, err := l.AttachIsolated(context.Background(), id)
		if err != nil {
			l.t.Fatal(err)
		}
		paths = append(paths, path)
	}
	s, err := openSpace(paths[0])
	if err != nil {
		l.t.Fatal(err)
	}
	defer s.close()
	err = errors.Join(s.do(func() error { return write("ipv4/ip_forward", "1")() }),
		join(s, paths[1], jointOf(&v.Interfaces[0])), join(s, paths[2], jointOf(&v.Interfaces[1])))
	if err != nil {
		l.t.Fatal(err)
	}
	return startAgent(l.t, paths[1]), startAgent(l.t, paths[2])
}

// A VPC with two subnets and an endpoint that answers, from nothing.
func BenchmarkCreateVPC(b *testing.B) {
	l := newLab(b)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		v := ward("vpc-1")
		if err := l.Apply(ctx, v); err != nil {
			b.Fatal(err)
		}
		file, err := l.Listen(ctx, "vpc-1", netip.MustParseAddrPort("10.50.0.200:443"))
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		file.Close()
		if err := l.Remove(ctx, "vpc-1"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
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
