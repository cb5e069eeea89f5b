package fabric

import (
	"cmp"
	"errors"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// maxRefusals bounds the refused flows that are counted during one interval; what comes beyond is told as lost.
const maxRefusals = 8192

// refusedFlow names what refused packets are counted by.
type refusedFlow struct {
	tuple
	gate  netmodel.Gate
	owner string
}

type tally struct {
	packets, bytes uint64
	first, last    time.Time
}

// refusals counts refused packets during an interval.
type refusals struct {
	counts map[refusedFlow]*tally
	lost   bool
	over   uint64 // what the kernel's counter of packets that were not logged said
}

func (c *refusals) add(k refusedFlow, size uint64) {
	now := time.Now()
	t := c.counts[k]
	if t == nil {
		if len(c.counts) >= maxRefusals {
			c.lost = true
			return
		}
		t = &tally{first: now}
		c.counts[k] = t
	}
	t.packets++
	t.bytes += size
	t.last = now
}

// count notes a refused packet.
func (w *flowWatch) count(r *refusal) {
	if r.protocol == netmodel.ICMP { // whose records have no ports
		r.dst = portless(r.dst)
	}
	w.refusals.add(refusedFlow{r.tuple, r.gate, w.refuser(r)}, r.size)
}

// refuser returns the interface, or the endpoint, at which a packet was refused. Its source is worth something only when
// it has passed the first gate; before that the device tells.
func (w *flowWatch) refuser(r *refusal) string {
	n := w.network
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case r.owner != "":
		return r.owner
	case r.gate == netmodel.GateSource:
		return n.plugged[w.device(r.device)].id
	case r.gate == netmodel.GateIngress:
		return cmp.Or(n.ownerOf(r.dst.Addr()), n.ownerOf(r.src.Addr())) // addresses that every VPC has are nobody's
	}
	return cmp.Or(n.ownerOf(r.src.Addr()), n.ownerOf(r.dst.Addr())) // another network's are nobody's
}

// device returns the name of a link. The caller holds the network's lock.
func (w *flowWatch) device(index int) string {
	name, ok := w.devices[index]
	if !ok && w.network.space != nil {
		if l, err := w.network.space.LinkByIndex(index); err == nil {
			name = l.Attrs().Name
		}
		w.devices[index] = name
	}
	return name
}

// ownerOf returns the interface that has, or last had, an address, or the endpoint that has it. The caller holds n.mu.
func (n *network) ownerOf(a netip.Addr) string {
	if id := n.owners[a]; id != "" || n.model == nil {
		return id
	}
	if e := n.model.EndpointAt(a); e != nil {
		return e.ID
	}
	return ""
}

// tell emits what was counted, and that something was lost if it was.
func (w *flowWatch) tell(since time.Time, emit func(FlowRecord) error) error {
	counted := w.refusals.counts
	w.refusals.counts = map[refusedFlow]*tally{}
	for k, t := range counted {
		r := FlowRecord{Start: t.first, End: t.last, Packets: t.packets, Bytes: t.bytes, Action: Reject, Gate: k.gate}
		if err := emit(w.record(k.tuple, k.owner, r)); err != nil {
			return err
		}
	}
	if w.unlogged() || w.refusals.lost {
		w.refusals.lost = false
		return emit(FlowRecord{Start: since, End: time.Now(), VPC: w.network.id, Action: SkipData})
	}
	return nil
}

// unlogged says whether refused packets went by unlogged, as they were too many, since it was last asked.
func (w *flowWatch) unlogged() bool {
	n := w.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.space == nil {
		return false
	}
	now, err := n.space.counter(netmodel.CounterOver)
	if err != nil { // nothing counts
		now = 0
	}
	more := now > w.refusals.over
	w.refusals.over = now // which begins again with a packet filter that is loaded anew
	return more
}

// counter reads a named counter of the packet filter, in packets.
func (s *space) counter(name string) (uint64, error) {
	answers, err := s.ask(unix.NETLINK_NETFILTER, filterGetObject, 0, filterNewObject, &nl.Nfgenmsg{NfgenFamily: unix.NFPROTO_INET},
		nl.NewRtAttr(filterObjectTable, nl.ZeroTerminated(netmodel.Table)), nl.NewRtAttr(filterObjectName, nl.ZeroTerminated(name)),
		nl.NewRtAttr(filterObjectType, []byte{0, 0, 0, filterObjectCounter}))
	if err != nil || len(answers) == 0 || len(answers[0]) < netfilterHeader {
		return 0, errors.Join(err, errMalformed)
	}
	var packets uint64
	err = attributes(answers[0][netfilterHeader:], func(kind uint16, _, v []byte) (err error) {
		if kind == filterObjectData {
			packets, _, err = parsePair(v, filterCounterPackets, 0)
		}
		return err
	})
	return packets, err
}
