package api

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"bawn.dev/internal/netlimit"
)

// What is done for those who did not prove themselves is recorded, but not without
// bound: who floods the door fills no disk. Refusals have one such bound and calls of
// open operations another, so that neither keeps the other out. Who proves herself in
// an open operation counts by herself, and nothing against those who share her address:
// a whole hospital may be behind one.
const (
	refusalsPerSecond = 20
	refusalBurst      = 100
	refusalSources    = 1 << 14

	// Of all sources together: who has many addresses fills no disk either.
	allRefusalsPerSecond = 200
	allRefusalsBurst     = 2000

	// doubts is how many times as many calls of an address are looked at, once its
	// strangers have used up theirs, for whether somebody proves herself.
	doubts = 10
)

// A limiter counts by source and in all. Its zero value is ready.
type limiter struct {
	mu      sync.Mutex
	sources map[string]*bucket
	all     *rate.Limiter
	reserve *rate.Limiter        // the same again, for addresses where somebody lives
	homes   map[string]time.Time // when somebody last proved herself there
}

// homely is how long an address is somebody's after she proved herself there.
const homely = 7 * 24 * time.Hour

// A bucket is what was taken of an allowance that comes back with time.
type bucket struct {
	taken float64
	at    time.Time
}

// take takes n, if as many are left; fewer than none gives back.
func (b *bucket) take(n, perSecond, burst float64, now time.Time) bool {
	b.taken = max(0, b.taken-max(0, now.Sub(b.at).Seconds())*perSecond)
	b.at = now
	if n > 0 && b.taken+n > burst {
		return false
	}
	b.taken = max(0, b.taken+n)
	return true
}

// allow says whether one more refusal of this address is recorded and answered in
// full.
func (l *limiter) allow(source string, now time.Time) bool {
	return l.from(source, now) && l.inAll(source, now)
}

// from counts against a source.
func (l *limiter) from(source string, now time.Time) bool {
	return l.change(netlimit.Network(source), 1, 1, now)
}

func (l *limiter) change(name string, n, times float64, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.sources[name]
	if b == nil {
		if len(l.sources) >= refusalSources || l.sources == nil {
			l.sources = map[string]*bucket{}
		}
		b = &bucket{at: now}
		l.sources[name] = b
	}
	return b.take(n, refusalsPerSecond*times, refusalBurst*times, now)
}

// inAll counts against all sources together. Addresses at which somebody proved
// herself lately have a count of their own: strangers who come from many places do not
// keep people out of a sign-in at theirs.
func (l *limiter) inAll(source string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = rate.NewLimiter(allRefusalsPerSecond, allRefusalsBurst)
		l.reserve = rate.NewLimiter(allRefusalsPerSecond, allRefusalsBurst)
	}
	if at, ok := l.homes[netlimit.Network(source)]; ok && now.Sub(at) < homely {
		return l.reserve.AllowN(now, 1)
	}
	return l.all.AllowN(now, 1)
}

// home notes that somebody proved herself at an address.
func (l *limiter) home(source string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.homes == nil || len(l.homes) >= refusalSources {
		l.homes = map[string]time.Time{}
	}
	l.homes[netlimit.Network(source)] = now
}

// An allowance is what a call of an open operation took of its address.
type allowance struct {
	doubted bool // the address had none left for strangers
	counted bool // by who makes it
}

func doubtful(source string) string { return "doubt " + netlimit.Network(source) }

// admitted says whether a call of an open operation is looked at. Where its address has
// none left for strangers, it is in doubt: it goes no further unless its caller proves
// who she is. Where to look at it is to look at a guess it is not, and counts in all at
// once: no guess passes without a record for the crowd that was there.
func (d *Door) admitted(c *Call) bool {
	source := c.origin.SourceIP
	switch {
	case c.op.credential.kind != open:
		return true
	case c.op.guesses:
		return d.opens.allow(source, c.Now)
	case d.opens.from(source, c.Now):
		return true
	}
	c.allowance.doubted = true
	return d.opens.change(doubtful(source), 1, doubts, c.Now)
}

// crowded counts a call of an open operation once it has been looked at, and says
// whether it is one too many: of strangers, or of the one who turned out to make it,
// whose address gets back what it took.
func (d *Door) crowded(c *Call) bool {
	switch {
	case c.op.credential.kind != open || c.origin == nil:
		return false
	case c.subject == nil:
		return c.allowance.doubted || !c.op.guesses && !d.opens.inAll(c.origin.SourceIP, c.Now)
	case c.allowance.counted:
		return false
	}
	c.allowance.counted = true
	d.opens.home(c.origin.SourceIP, c.Now)
	if !d.opens.change(whose(c.subject.Claim), 1, 1, c.Now) {
		return true // and her address pays for it
	}
	if source := c.origin.SourceIP; c.allowance.doubted {
		d.opens.change(doubtful(source), -1, doubts, c.Now)
	} else {
		d.opens.change(netlimit.Network(source), -1, 1, c.Now)
	}
	return false
}

// whose is what a caller of open operations counts as.
func whose(claim Claim) string {
	if claim.Person != nil {
		return "person " + claim.Person.UserID
	}
	return string(claim.Kind) + " " + claim.Account + " " + claim.Provider + " " + claim.ID
}
