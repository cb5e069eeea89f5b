package egress

import "time"

// ReadHello and Canonical are what tests and fuzzers ask directly.
var (
	ReadHello = readHello
	Canonical = canonical
)

// Patience changes the times that a peer has, before anything is served.
func (p *Proxy) Patience(peer, idle time.Duration) { p.peer, p.idle = peer, idle }
