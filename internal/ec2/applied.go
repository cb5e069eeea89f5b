package ec2

import "sync"

// applied is what the machine is known to obey, of one kind of network.
type applied struct {
	mu      sync.Mutex
	of      map[string]standing // by id
	down    error               // why the machine does not answer
	changed chan struct{}       // closed, and made anew, at each change
}

// A standing is the last version that was applied, and why no later one was.
type standing struct {
	version int64
	err     error
}

func newApplied() *applied {
	return &applied{of: map[string]standing{}, changed: make(chan struct{})}
}

func (a *applied) version(id string) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of[id].version
}

func (a *applied) set(id string, version int64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.of[id]
	if now.err = err; err == nil {
		now.version = version
	}
	a.of[id] = now
	a.announce()
}

// keep forgets what the machine no longer has, after it was started anew.
func (a *applied) keep(there []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = nil
	has := map[string]bool{}
	for _, id := range there {
		has[id] = true
	}
	for id, now := range a.of {
		if !has[id] {
			a.of[id] = standing{err: now.err}
		}
	}
}

func (a *applied) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.of, id)
}

// again takes it that the machine obeys no version.
func (a *applied) again(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of[id] = standing{}
}

func (a *applied) unreachable(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = err
}

func (a *applied) ready(id string, version int64) (done bool, changed <-chan struct{}, why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.of[id]
	why = now.err
	if a.down != nil {
		why = a.down
	}
	return now.version >= version && now.version != 0, a.changed, why
}

func (a *applied) announce() {
	close(a.changed)
	a.changed = make(chan struct{})
}
