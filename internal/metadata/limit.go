package metadata

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A workload's SDK asks once, and again some minutes before the hour is over; a
// job with many processes asks from each of them at once.
const (
	perSecond = 5
	burst     = 50
	// maxSources bounds memory. Addresses are those of a VPC's interfaces, so that
	// more of them than this are not in use at once.
	maxSources = 1 << 14
	// forget is when an address that was silent has all of its burst again.
	forget = burst / perSecond * time.Second
)

// limiter bounds the rate of every address by itself.
type limiter struct {
	mu      sync.Mutex
	sources map[netip.Addr]*source
}

type source struct {
	limit *rate.Limiter
	seen  time.Time
}

func newLimiter() *limiter { return &limiter{sources: map[netip.Addr]*source{}} }

func (l *limiter) allow(from netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sources[from]
	if s == nil {
		if len(l.sources) >= maxSources && !l.sweep(now) {
			return false
		}
		s = &source{limit: rate.NewLimiter(perSecond, burst)}
		l.sources[from] = s
	}
	s.seen = now
	return s.limit.AllowN(now, 1)
}

// sweep forgets whom forgetting costs nothing, and reports whether there is room.
func (l *limiter) sweep(now time.Time) bool {
	for a, s := range l.sources {
		if now.Sub(s.seen) > forget {
			delete(l.sources, a)
		}
	}
	return len(l.sources) < maxSources
}
