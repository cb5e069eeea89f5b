package api

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Refusals of callers who did not prove themselves are recorded, but not without
// bound: who floods the door fills no disk.
const (
	refusalsPerSecond = 20
	refusalBurst      = 100
	refusalSources    = 4096
)

// A limiter counts unproven refusals by address. Its zero value is ready.
type limiter struct {
	mu      sync.Mutex
	sources map[string]*rate.Limiter
}

// allow says whether one more refusal of this address is recorded and answered in
// full.
func (l *limiter) allow(source string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.sources[source]
	if b == nil {
		if len(l.sources) >= refusalSources || l.sources == nil {
			l.sources = map[string]*rate.Limiter{}
		}
		b = rate.NewLimiter(refusalsPerSecond, refusalBurst)
		l.sources[source] = b
	}
	return b.AllowN(now, 1)
}
