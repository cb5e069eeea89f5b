package fabric

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// Action is a flow log's verdict.
type Action string

// The actions, and the status of a record that stands for records that were lost. Names are those of VPC flow logs.
const (
	Accept   Action = "ACCEPT"
	Reject   Action = "REJECT"
	SkipData Action = "SKIPDATA"
)

// FlowRecord is one direction of one flow during one interval, as one interface saw it: a flow between two interfaces is
// recorded four times. For ICMP the ports are zero. A SKIPDATA record says that records of the VPC were lost until End.
type FlowRecord struct {
	Start, End     time.Time
	VPC, Interface string // Interface may be an endpoint's id, where its groups refused
	Src, Dst       netip.AddrPort
	Protocol       netmodel.Protocol
	Packets, Bytes uint64
	Action         Action
	Gate           netmodel.Gate // where a refused packet fell
}

// Sizes of what stands between the kernel and a slow reader. When it overflows, a SKIPDATA record says so.
const (
	flowBuffer    = 1024
	receiveBuffer = 4 << 20
	minInterval   = 10 * time.Millisecond
)

// FlowRecords calls emit, from one goroutine, with what flows in a VPC until ctx ends, emit fails or the VPC is removed
// (nil in the last case). Accepted flows are reported every interval and when they end. Refused packets, if the VPC's
// FlowLogs is set, are counted by flow and gate and reported every interval: what was over [netmodel.LogRate] or over the
// bound of flows is not, and a SKIPDATA record says so. A VPC has one reader at a time; a second one fails.
func (f *Fabric) FlowRecords(ctx context.Context, vpcID string, interval time.Duration, emit func(FlowRecord) error) error {
	if err := f.ready(ctx); err != nil {
		return err
	}
	if interval < minInterval {
		return fmt.Errorf("%w: a flow log's interval is at least %v", ErrRefused, minInterval)
	}
	n, _, err := f.applied(vpcID)
	if err != nil {
		return err
	}
	w := &flowWatch{network: n, events: make(chan event, flowBuffer), stop: make(chan struct{}), last: time.Now(),
		devices: map[int]string{}, refusals: refusals{counts: map[refusedFlow]*tally{}}}
	w.unlogged() // what was before is nobody's
	if err := inside(n.path, w.open); err != nil {
		return errors.Join(err, w.close())
	}
	defer w.close()
	for _, s := range w.sockets {
		w.readers++
		go w.read(s)
	}
	return w.run(ctx, interval, emit)
}

// event is what a socket's reader found: a flow that ended, a refused packet, a loss, or the reader's own end.
type event struct {
	ended   *flow
	refused *refusal
	lost    bool
	err     error
}

type flowWatch struct {
	network *network
	sockets []*nl.NetlinkSocket
	events  chan event
	stop    chan struct{}
	readers int
	last    time.Time // when the table was last listed

	devices  map[int]string // names of links
	refusals refusals
}

// open opens both sockets in the namespace of the calling thread.
func (w *flowWatch) open() error {
	refusals, err := nl.Subscribe(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	w.sockets = append(w.sockets, refusals)
	ends, err := nl.Subscribe(unix.NETLINK_NETFILTER, ctDestroyedGroup)
	if err != nil {
		return err
	}
	w.sockets = append(w.sockets, ends)
	for _, s := range w.sockets {
		if err := s.SetReceiveBufferSize(receiveBuffer, true); err != nil {
			return err
		}
	}
	return bindLog(refusals)
}

// close ends the readers and waits for them.
func (w *flowWatch) close() error {
	close(w.stop)
	for _, s := range w.sockets {
		s.Close()
	}
	for w.readers > 0 {
		if e := <-w.events; e.err != nil {
			w.readers--
		}
	}
	return nil
}

func (w *flowWatch) run(ctx context.Context, interval time.Duration, emit func(FlowRecord) error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.network.gone:
			return nil
		case <-ticker.C:
			err = w.list(emit)
		case e := <-w.events:
			err = w.report(e, emit)
		}
		if err != nil {
			return err
		}
	}
}

// list reports what flowed since the last listing, and sets the kernel's counters back to zero.
func (w *flowWatch) list(emit func(FlowRecord) error) error {
	var all []flow
	err := inside(w.network.path, func() (err error) {
		all, err = flows(ctGetAndZero)
		return err
	})
	if err != nil {
		if w.network.stopped() {
			return nil
		}
		return err
	}
	since := w.last
	w.last = time.Now()
	for i := range all {
		if err := w.accepted(&all[i], since, emit); err != nil {
			return err
		}
	}
	return w.tell(since, emit)
}

func (w *flowWatch) report(e event, emit func(FlowRecord) error) error {
	switch {
	case e.err != nil:
		w.readers--
		return e.err
	case e.lost:
		return emit(FlowRecord{Start: w.last, End: time.Now(), VPC: w.network.id, Action: SkipData})
	case e.ended != nil:
		return w.accepted(e.ended, w.last, emit)
	}
	w.count(e.refused)
	return nil
}

// accepted emits both directions of a flow for each of its interfaces; directions in which nothing moved are left out.
func (w *flowWatch) accepted(f *flow, since time.Time, emit func(FlowRecord) error) error {
	start, end := since, f.stop
	if f.start.After(since) {
		start = f.start
	}
	if end.IsZero() {
		end = time.Now()
	}
	reply := tuple{f.protocol, f.dst, f.src}
	for _, a := range []netip.Addr{f.src.Addr(), f.dst.Addr()} {
		owner := w.network.owner(a)
		if owner == "" {
			continue
		}
		for _, d := range []struct {
			tuple
			packets, bytes uint64
		}{{f.tuple, f.packets, f.bytes}, {reply, f.replyPackets, f.replyBytes}} {
			if d.packets == 0 {
				continue
			}
			r := FlowRecord{Start: start, End: end, Packets: d.packets, Bytes: d.bytes, Action: Accept}
			if err := emit(w.record(d.tuple, owner, r)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *flowWatch) record(t tuple, owner string, r FlowRecord) FlowRecord {
	r.VPC, r.Interface, r.Protocol, r.Src, r.Dst = w.network.id, owner, t.protocol, t.src, t.dst
	if t.protocol == netmodel.ICMP {
		r.Src, r.Dst = portless(t.src), portless(t.dst)
	}
	return r
}

func portless(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), 0) }

// owner returns the interface that has, or last had, an address.
func (n *network) owner(a netip.Addr) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.owners[a]
}

// read turns a socket's messages into events until the socket is closed. Its last event carries an error.
func (w *flowWatch) read(s *nl.NetlinkSocket) {
	for {
		messages, _, err := s.Receive()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			w.send(event{lost: true})
			continue
		case err != nil:
			w.events <- event{err: fmt.Errorf("fabric: reading flows: %w", err)}
			return
		}
		for _, m := range messages {
			if e, ok := parseEvent(m); ok {
				w.send(e)
			}
		}
	}
}

// send hands over an event unless nobody reads any more.
func (w *flowWatch) send(e event) {
	select {
	case w.events <- e:
	case <-w.stop:
	}
}

// parseEvent reads a message of either kind. One that cannot be read counts as lost.
func parseEvent(m syscall.NetlinkMessage) (event, bool) {
	switch m.Header.Type {
	case ctDelete:
		if len(m.Data) > 0 && m.Data[0] != unix.AF_INET {
			return event{}, false
		}
		f, err := parseFlow(m.Data)
		return event{ended: &f, lost: err != nil}, true
	case logPacket:
		r, err := parseRefusal(m.Data)
		return event{refused: &r, lost: err != nil}, true
	}
	return event{}, false
}
