package fabric

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"bawn.dev/internal/netmodel"
)

// watch collects flow records until the test ends.
func (l *lab) watch(id string) <-chan FlowRecord {
	l.t.Helper()
	records := make(chan FlowRecord, 1024)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- l.FlowRecords(ctx, id, minInterval, func(r FlowRecord) error {
			select {
			case records <- r:
			case <-ctx.Done():
			}
			return nil
		})
	}()
	l.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			l.t.Errorf("flow records: %v", err)
		}
	})
	return records
}

// await reads records until one is like want: zero fields of want match everything, and so does port 0.
func await(t *testing.T, records <-chan FlowRecord, want FlowRecord) FlowRecord {
	t.Helper()
	like := func(got, want netip.AddrPort) bool {
		return !want.IsValid() || got.Addr() == want.Addr() && (want.Port() == 0 || got.Port() == want.Port())
	}
	giveUp := time.NewTimer(hope)
	defer giveUp.Stop()
	for {
		select {
		case r := <-records:
			if r.Action == want.Action && r.Gate == want.Gate && r.Interface == want.Interface && like(r.Src, want.Src) && like(r.Dst, want.Dst) &&
				(want.Protocol == 0 || r.Protocol == want.Protocol) {
				return r
			}
		case <-giveUp.C:
			t.Fatalf("no record like %+v", want)
		}
	}
}

func TestRefusedPacketsAreRecorded(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	records := l.watch("vpc-1")
	train, open := l.attach(v, "eni-train"), l.attach(v, "eni-open")
	db := l.attach(v, "eni-db")
	for _, c := range []struct {
		a        *agent
		do, from string
		to       string
		who      string
		p        netmodel.Protocol
		gate     netmodel.Gate
	}{
		{train, "tcp", "10.50.0.10", "203.0.113.5:443", "eni-train", netmodel.TCP, netmodel.GateRoute},
		{train, "udp", "10.50.0.10", "10.50.0.11:5432", "eni-train", netmodel.UDP, netmodel.GateEgress},
		{open, "tcp", "10.50.1.11", "10.50.0.11:80", "eni-db", netmodel.TCP, netmodel.GateIngress},
		{open, "tcp", "10.50.1.11", "10.50.0.200:443", "vpce-kms", netmodel.TCP, netmodel.GateIngress},
		{db, "tcp", "10.50.0.11", "169.254.169.254:80", "eni-db", netmodel.TCP, netmodel.GateIngress},
	} {
		c.a.fails(c.do, c.to)
		r := await(t, records, FlowRecord{Action: Reject, Gate: c.gate, Interface: c.who, Protocol: c.p,
			Src: netip.AddrPortFrom(netip.MustParseAddr(c.from), 0), Dst: addrPort(c.to)})
		if r.VPC != "vpc-1" || r.Packets == 0 || r.Bytes < 20 || r.Src.Port() == 0 || r.Start.IsZero() || r.End.Before(r.Start) {
			t.Errorf("the record says %+v", r)
		}
	}
	train.do(order{Do: "packet", Source: "10.50.0.11:9", Address: "10.50.1.11:99"})
	await(t, records, FlowRecord{Action: Reject, Gate: netmodel.GateSource, Interface: "eni-train", Src: addrPort("10.50.0.11:9"), Dst: addrPort("10.50.1.11:99")})
}

func TestAcceptedFlowsAreRecorded(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	records := l.watch("vpc-1")
	train, _ := l.attach(v, "eni-train"), l.attach(v, "eni-db")
	own := train.passes("hold", "10.50.0.11:5432")
	to := addrPort("10.50.0.11:5432")
	// Both interfaces saw both directions.
	for _, who := range []string{"eni-train", "eni-db"} {
		out := await(t, records, FlowRecord{Action: Accept, Interface: who, Src: addrPort(own), Dst: to})
		if out.Packets == 0 || out.Bytes == 0 || out.Protocol != netmodel.TCP || out.Start.IsZero() || out.End.Before(out.Start) {
			t.Errorf("the record says %+v", out)
		}
		await(t, records, FlowRecord{Action: Accept, Interface: who, Src: to, Dst: addrPort(own)})
	}
	// What flows later is recorded later; what ended is recorded too, although its interface is gone.
	if r := train.do(order{Do: "hold", Wait: hope}); r.Outcome != ok {
		t.Fatal(r)
	}
	await(t, records, FlowRecord{Action: Accept, Interface: "eni-train", Src: addrPort(own), Dst: to})
	if err := l.Detach(context.Background(), "eni-train"); err != nil {
		t.Fatal(err)
	}
}

// A short flow that begins and ends between two listings is in no listing, and must be recorded when it ends.
func TestEndedFlowIsRecorded(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	records := make(chan FlowRecord, 64)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- l.FlowRecords(ctx, "vpc-1", time.Hour, func(r FlowRecord) error {
			records <- r
			return nil
		})
	}()
	l.attach(v, "eni-db")
	// The watch may begin a little later: what ended before is not recorded.
	for len(records) == 0 {
		l.attach(v, "eni-train").passes("tcp", "10.50.0.11:5432")
		if err := l.Detach(context.Background(), "eni-train"); err != nil {
			t.Fatal(err)
		}
	}
	await(t, records, FlowRecord{Action: Accept, Interface: "eni-train", Dst: addrPort("10.50.0.11:5432"), Protocol: netmodel.TCP})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFlowRecordsEnd(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	ctx := context.Background()
	if err := l.FlowRecords(ctx, "vpc-1", time.Second, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("before Apply: %v", err)
	}
	l.apply(v)
	if err := l.FlowRecords(ctx, "vpc-1", 0, nil); !errors.Is(err, ErrRefused) {
		t.Errorf("no interval: %v", err)
	}
	train := l.attach(v, "eni-train")
	enough := errors.New("enough")
	got := make(chan error, 1)
	go func() { got <- l.FlowRecords(ctx, "vpc-1", minInterval, func(FlowRecord) error { return enough }) }()
	for len(got) == 0 {
		train.fails("tcp", "203.0.113.5:443")
	}
	if err := <-got; !errors.Is(err, enough) {
		t.Errorf("emit failed: %v", err)
	}
	removed := make(chan error, 1)
	begun := make(chan struct{}, 1024)
	go func() {
		removed <- l.FlowRecords(ctx, "vpc-1", minInterval, func(FlowRecord) error {
			begun <- struct{}{}
			return nil
		})
	}()
	for len(begun) == 0 {
		train.fails("tcp", "203.0.113.5:443")
	}
	if err := l.FlowRecords(ctx, "vpc-1", time.Second, nil); err == nil {
		t.Error("two readers of one log")
	}
	if err := l.Remove(ctx, "vpc-1"); err != nil {
		t.Fatal(err)
	}
	if err := <-removed; err != nil {
		t.Errorf("removed: %v", err)
	}
}

// Refused packets are counted, every one: a scan is a few records with exact numbers, and never more than it was.
func TestRefusalsAreCounted(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	records := l.watch("vpc-1")
	train := l.attach(v, "eni-train")
	const many = 1500
	for range many {
		if r := train.do(order{Do: "packet", Source: "10.50.0.99:1", Address: "10.50.1.11:99"}); r.Outcome != ok {
			t.Fatal(r.Outcome)
		}
	}
	var n int
	var packets, size uint64
	for packets < many {
		r := await(t, records, FlowRecord{Action: Reject, Gate: netmodel.GateSource, Interface: "eni-train", Src: addrPort("10.50.0.99:1")})
		n, packets, size = n+1, packets+r.Packets, size+r.Bytes
	}
	if packets != many || size != many*uint64(len(udpPacket(addrPort("0.0.0.0:0"), addrPort("0.0.0.0:0"), "forged\n"))) || n > many/2 {
		t.Errorf("%d records of %d packets, %d bytes", n, packets, size)
	}
}

// What is too much to be counted is said to be missing.
func TestUncountedRefusalsAreTold(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	records := l.watch("vpc-1")
	train := l.attach(v, "eni-train")
	if r := train.do(order{Do: "flood", Source: "10.50.0.99:1", Address: "10.50.1.11:99", Ports: []int{20 * netmodel.LogBurst}}); r.Outcome != ok {
		t.Fatal(r.Outcome)
	}
	await(t, records, FlowRecord{Action: SkipData})
}

// More flows than are kept count as lost.
func TestRefusalsAreBounded(t *testing.T) {
	c := refusals{counts: map[refusedFlow]*tally{}}
	for i := range 2 * maxRefusals {
		c.add(refusedFlow{tuple: tuple{src: netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(i))}}, 1)
	}
	if len(c.counts) != maxRefusals || !c.lost {
		t.Errorf("%d flows, lost: %v", len(c.counts), c.lost)
	}
}

// A packet that is refused behind a transit gateway is on the record of the VPC that refused it, at the interface that it
// was for; one that a network ACL refuses, at the interface that sent it.
func TestRefusalsBetweenVPCsAreRecorded(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v, w := plain(1, 1), plain(2, 1)
	w.SecurityGroups[0].Ingress = []netmodel.Rule{{Protocol: netmodel.TCP, FromPort: 80, ToPort: 80, CIDR: netip.MustParsePrefix("10.1.0.0/16")}}
	v.Subnets[0].NetworkACL = "acl-a"
	v.NetworkACLs = []netmodel.NetworkACL{{ID: "acl-a",
		Ingress: []netmodel.ACLEntry{{Number: 1, Allow: true, Protocol: netmodel.AllProtocols, CIDR: netip.MustParsePrefix("0.0.0.0/0")}},
		Egress: []netmodel.ACLEntry{{Number: 1, Protocol: netmodel.TCP, FromPort: 5432, ToPort: 5432, CIDR: netip.MustParsePrefix("0.0.0.0/0")},
			{Number: 2, Allow: true, Protocol: netmodel.AllProtocols, CIDR: netip.MustParsePrefix("0.0.0.0/0")}}}}
	l.apply(v)
	l.apply(w)
	l.applyTransit(joining(1, 2))
	near, far := l.watch("vpc-1"), l.watch("vpc-2")
	a, _ := l.attach(v, "eni-1-0"), l.attach(w, "eni-2-0")
	from := addrPort(a.passes("tcp", "10.2.0.10:80"))
	for at, records := range map[string]<-chan FlowRecord{"eni-1-0": near, "eni-2-0": far} {
		await(t, records, FlowRecord{Action: Accept, Interface: at, Src: from, Dst: addrPort("10.2.0.10:80")})
	}
	a.noAnswer("tcp", "10.2.0.10:443")
	await(t, far, FlowRecord{Action: Reject, Gate: netmodel.GateIngress, Interface: "eni-2-0", Src: addrPort("10.1.0.10:0"), Dst: addrPort("10.2.0.10:443")})
	a.noAnswer("tcp", "10.2.0.10:5432")
	await(t, near, FlowRecord{Action: Reject, Gate: netmodel.GateACL, Interface: "eni-1-0", Src: addrPort("10.1.0.10:0"), Dst: addrPort("10.2.0.10:5432")})
}
