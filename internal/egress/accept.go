package egress

import (
	"errors"
	"net"
	"syscall"
	"time"

	"bawn.dev/internal/netlimit"
)

// accept serves each connection of a listener in a goroutine of its own, and closes it afterwards.
func (p *Proxy) accept(l net.Listener, serve func(net.Conn)) error {
	defer l.Close()
	if !p.enter() {
		return ErrClosed
	}
	defer p.leave()
	if !p.hold(l) {
		return ErrClosed
	}
	defer p.letGo(l)
	bounded := netlimit.Listen(l, Connections)
	for {
		client, err := bounded.Accept()
		if short(err) {
			select {
			case <-p.ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		if err != nil {
			if p.ctx.Err() != nil {
				return ErrClosed
			}
			return err
		}
		if !p.enter() {
			client.Close()
			return ErrClosed
		}
		go func() {
			defer p.leave()
			defer client.Close()
			if p.hold(client) {
				defer p.letGo(client)
				serve(client)
			}
		}()
	}
}

// short reports that a connection could not be accepted, while the listener is well.
func short(err error) bool {
	for _, e := range [...]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// mayTry holds a source to its pace. It comes before all that costs or records something.
func (p *Proxy) mayTry(client net.Conn, kind Kind) error {
	source := sourceOf(client)
	ok, record, unrecorded := p.pace.step(source.Addr(), time.Now())
	if ok {
		return nil
	}
	if record {
		p.config.Refused(Connection{Source: source, Kind: kind, Unrecorded: unrecorded}, ErrTooFast)
	}
	return ErrTooFast
}

// refuse records a refusal that came before any question.
func (p *Proxy) refuse(client net.Conn, kind Kind, name string, port uint16, why error) error {
	p.config.Refused(Connection{Source: sourceOf(client), Kind: kind, Name: name, Port: port}, why)
	return why
}

// relay serves one connection of an endpoint service.
func (p *Proxy) relay(client net.Conn, name string, port uint16) {
	if p.mayTry(client, Relay) != nil {
		return
	}
	f, err := p.open(p.ctx, Relay, client, false, name, port)
	if err != nil {
		return
	}
	f.pipe(client, nil)
	f.finish()
}
