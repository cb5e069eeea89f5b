package egress

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Each attempt costs a decision and a durable record. Who fetches many packages or shards stays below this.
const (
	perSecond = 50
	burst     = 500
	// maxSources bounds memory; sources are interfaces of one VPC.
	maxSources = 1 << 14
	// forget is when a silent source has all of its burst again.
	forget = burst / perSecond * time.Second
	// tellAgain is how often it is recorded that a source is too fast.
	tellAgain = 10 * time.Second
)

// pace bounds how often one source may try.
type pace struct {
	mu      sync.Mutex
	sources map[netip.Addr]*stride
}

type stride struct {
	limit      *rate.Limiter
	seen, told time.Time
	unrecorded int
}

// step reports whether a source may try now, and if it may not, whether that is to be recorded. Unrecorded attempts are
// given to the first that is recorded after them.
func (p *pace) step(from netip.Addr, now time.Time) (ok, record bool, unrecorded int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sources[from]
	if s == nil {
		if len(p.sources) >= maxSources && !p.sweep(now) {
			return false, false, 0
		}
		if p.sources == nil {
			p.sources = map[netip.Addr]*stride{}
		}
		s = &stride{limit: rate.NewLimiter(perSecond, burst)}
		p.sources[from] = s
	}
	s.seen = now
	ok = s.limit.AllowN(now, 1)
	if !ok {
		if now.Sub(s.told) < tellAgain {
			s.unrecorded++
			return false, false, 0
		}
		s.told, record = now, true
		unrecorded, s.unrecorded = s.unrecorded, 0
	}
	return ok, record, unrecorded
}

// sweep forgets whom forgetting costs nothing, and reports whether there is room.
func (p *pace) sweep(now time.Time) bool {
	for a, s := range p.sources {
		if now.Sub(s.seen) > forget {
			delete(p.sources, a)
		}
	}
	return len(p.sources) < maxSources
}
