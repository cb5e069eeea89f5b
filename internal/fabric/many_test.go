package fabric

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"bawn.dev/internal/netmodel"
)

// many applies VPCs with the same range and attaches an interface to each.
func (l *lab) many(count int) []*netmodel.VPC {
	l.t.Helper()
	var out []*netmodel.VPC
	for i := range count {
		v := pair(fmt.Sprintf("vpc-%d", i))
		l.apply(v)
		if _, err := l.Attach(context.Background(), v.ID, v.Interfaces[i%2]); err != nil {
			l.t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// A hundred VPCs with the same addresses live side by side, the watch finds nothing wrong with them, and none sees another.
func TestHundredVPCs(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	all := l.many(100) // those with even numbers have a trainer, and no database
	for _, i := range []int{0, 42, 98} {
		path, _ := l.NetNS(all[i].Interfaces[0].ID)
		a := startAgent(t, path)
		a.fails("tcp", "10.50.0.11:5432") // the next VPC has one
		if r := a.do(order{Do: "ask-udp", Address: "10.50.0.2:53", Name: "kms.us-east-1.amazonaws.com", Wait: hope}); r.Outcome != ok || len(r.List) != 1 {
			t.Errorf("%s has no name server: %+v", all[i].ID, r)
		}
	}
	db, _ := l.NetNS(all[43].Interfaces[1].ID)
	if r := startAgent(t, db).do(order{Do: "serve", Ports: []int{5432}}); r.Outcome != ok {
		t.Fatal(r.Outcome)
	}
	l.attach(all[43], all[43].Interfaces[0].ID).passes("tcp", "10.50.0.11:5432")
	for round := range uint32(fullRound) {
		l.look(round)
	}
	if n := len(l.events.values); n > 0 {
		t.Errorf("told %+v", <-l.events.values)
	}
	var err error
	for _, v := range all {
		err = errors.Join(err, l.Remove(t.Context(), v.ID))
	}
	if err != nil {
		t.Error(err)
	}
}

// What the watch costs in a second in which nothing happens, with a hundred VPCs.
func BenchmarkWatch(b *testing.B) {
	l := newLab(b)
	l.many(100)
	for round := range uint32(fullRound) {
		l.look(round)
	}
	b.ReportAllocs()
	round := uint32(0)
	for b.Loop() {
		l.look(round)
		round++
	}
}
