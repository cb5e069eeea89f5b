package api

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"bawn.dev/internal/netlimit"
)

// What is done for those who did not prove themselves is recorded, but not without
// bound: who floods the door fills no disk. Refusals have one such bound and calls of
// open operations another, so that neither keeps the other out; who proves herself
// in an open operation counts against her own source only.
const (
	refusalsPerSecond = 20
	refusalBurst      = 100
	refusalSources    = 4096

	// Of all sources together: who has many addresses fills no disk either.
	allRefusalsPerSecond = 200
	allRefusalsBurst     = 2000
)

// A limiter counts by source and in all. Its zero value is ready.
type limiter struct {
	mu      sync.Mutex
	sources map[string]*rate.Limiter
	all     *rate.Limiter
}

// allow says whether one more refusal of this address is recorded and answered in
// full.
func (l *limiter) allow(source string, now time.Time) bool {
	return l.from(source, now) && l.inAll(now)
}

// from counts against a source.
func (l *limiter) from(source string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	source = netlimit.Network(source)
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

// inAll counts against all sources together.
func (l *limiter) inAll(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = rate.NewLimiter(allRefusalsPerSecond, allRefusalsBurst)
	}
	return l.all.AllowN(now, 1)
}
