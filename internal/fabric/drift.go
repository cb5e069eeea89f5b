package fabric

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// How often the watch looks. The kernel tells of links, addresses, routes, rules, neighbours and of the parameters that
// decide on forwarding; the packet filter has a generation that is cheap to read. The rest is found by a full round.
const (
	watchTick = time.Second
	fullRound = 10 // ticks
)

// watch looks for drift: whatever makes a namespace other than its model says, and is not our doing.
type watch struct {
	stop chan struct{}
	done sync.WaitGroup
}

// patrol starts the watch, unless it goes on already.
func (f *Fabric) patrol() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watch != nil {
		return
	}
	w := &watch{stop: make(chan struct{})}
	f.watch = w
	w.done.Go(func() {
		ticker := time.NewTicker(watchTick)
		defer ticker.Stop()
		for round := uint32(0); ; round++ {
			select {
			case <-w.stop:
				return
			case <-ticker.C:
				f.look(round)
			}
		}
	})
}

func (w *watch) end() {
	if w == nil {
		return
	}
	close(w.stop)
	w.done.Wait()
}

// look asks each network whether something stirred, and checks those where it did.
func (f *Fabric) look(round uint32) {
	f.mu.Lock()
	all := make([]*network, 0, len(f.networks))
	for _, n := range f.networks {
		all = append(all, n)
	}
	f.mu.Unlock()
	for _, n := range all {
		if !n.mu.TryLock() {
			continue // somebody changes it, and the next round comes soon
		}
		turn := fnv.New32a()
		turn.Write([]byte(n.id))
		suspect := n.space != nil && ((turn.Sum32()+round)%fullRound == 0 || n.settled && n.suspicious())
		n.mu.Unlock()
		if suspect {
			f.check(n)
		}
	}
}

// suspicious says whether something may have changed, at the price of two system calls.
func (n *network) suspicious() bool {
	changed, err := n.foreign()
	return n.stirred.Swap(false) || changed || err != nil || !n.mounted()
}

// listen notes that the kernel told of a change, until the space is closed.
func (n *network) listen(s *space) {
	for {
		_, _, err := s.news.Receive()
		if err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EAGAIN) {
			return
		}
		n.stirred.Store(true)
	}
}

// check finds and repairs drift, and tells of it.
func (f *Fabric) check(n *network) {
	f.changing.Lock()
	defer f.changing.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.space == nil || n.model == nil && n.gateway == nil {
		return
	}
	if !n.settled { // a change failed half-way: what holds now is that, or what held before, but one of them
		f.finish(n)
		return
	}
	found, err := f.repair(n)
	if len(n.lost) > 0 {
		err = errors.Join(err, errors.New(strings.Join(n.lost, "; ")))
		n.lost = nil
	}
	if len(found) == 0 && err == nil {
		n.failing = ""
		return
	}
	f.tell(n, found, err)
}

// finish makes the machine match a network's model as a change would have. Whoever asked for the change knows that it failed.
func (f *Fabric) finish(n *network) {
	ctx, cancel := context.WithTimeout(context.Background(), repairTime)
	defer cancel()
	err := f.enforce(ctx, n, n.compile(), func() {})
	if err == nil {
		err = f.settlePeers(f.peers(n))
	}
	if err != nil {
		f.log.Warn("a network is not as it should be since a change failed", "network", n.id, "error", err)
	}
}

// tell tells of drift, and of what prevented its repair only once.
func (f *Fabric) tell(n *network, found []string, failed error) {
	e := Event{Time: time.Now(), Network: n.id, What: sentence(found), Repaired: failed == nil}
	if failed != nil {
		e.Why = failed.Error()
		if n.failing == e.Why {
			return
		}
	}
	n.failing = e.Why
	f.log.Warn("a network was changed by somebody else", "network", n.id, "what", e.What, "repaired", e.Repaired, "error", failed)
	f.events.put(e)
}

// repairTime bounds the loading of a packet filter that was changed.
const repairTime = time.Minute

const filterChanged = "the packet filter was changed"

// repair makes the machine match the model again and returns what did not match. Rules first: while the rest is put
// right nothing passes that may not.
func (f *Fabric) repair(n *network) ([]string, error) {
	found, err := n.remount()
	if err != nil {
		return found, err
	}
	if changed, err := n.foreign(); err != nil {
		return found, err
	} else if changed {
		found = append(found, filterChanged)
		ctx, cancel := context.WithTimeout(context.Background(), repairTime)
		defer cancel()
		if _, err := n.load(ctx, f.nft, n.compile()); err != nil {
			return found, err
		}
	}
	wrong, err := f.settle(n)
	if found = append(found, wrong...); err != nil || len(found) == 0 {
		return found, err
	}
	if n.kind == kindVPC { // what passed meanwhile
		err = n.space.do(func() error { return revoke(n.model) })
	}
	return found, errors.Join(err, f.settlePeers(f.peers(n)))
}

func (n *network) compile() netmodel.Ruleset {
	if n.kind == kindTransit {
		return netmodel.CompileTransit(n.gateway)
	}
	return netmodel.Compile(n.model)
}

// mounted says whether the mount point still leads to the namespace.
func (n *network) mounted() bool {
	have, err := os.Stat(n.path)
	if err != nil {
		return false
	}
	want, err := n.space.file.Stat()
	return err == nil && os.SameFile(have, want)
}

func (n *network) remount() ([]string, error) {
	if n.mounted() {
		return nil, nil
	}
	found := []string{"the mount point of the namespace was gone"}
	if err := dropNamespace(n.path); err != nil {
		return found, err
	}
	return found, mountNamespace(n.path, fmt.Sprintf("/proc/self/fd/%d", n.space.file.Fd()))
}

// sentence says what was found, and of much only the beginning.
func sentence(found []string) string {
	const most = 10
	slices.Sort(found)
	found = slices.Compact(found)
	if more := len(found) - most; more > 0 {
		found = append(found[:most:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(found, "; ")
}
