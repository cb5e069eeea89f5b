package egress

import (
	"errors"
	"io"
	"net"
	"time"

	"bawn.dev/internal/netmodel"
)

// Alerts that a TLS client is refused with, as records: access_denied and unrecognized_name (RFC 8446, 6.2).
const (
	alertDenied = "\x15\x03\x03\x00\x02\x02\x31"
	alertName   = "\x15\x03\x03\x00\x02\x02\x70"
)

// greeted serves a TLS client that connected as if to the name itself.
func (p *Proxy) greeted(client net.Conn) {
	if p.mayTry(client, TLS) != nil {
		return
	}
	name, hello, err := p.readHello(client, client)
	if err != nil {
		p.refuse(client, TLS, "", netmodel.NATPortTLS, err)
		p.answerTLS(client, alertName)
		return
	}
	f, err := p.open(p.ctx, TLS, client, false, name, netmodel.NATPortTLS)
	if err != nil {
		p.answerTLS(client, alertDenied)
		return
	}
	f.secure(client, name, hello)
	f.finish()
}

// secure moves the bytes of a TLS client whose greeting was read.
func (f *flow) secure(client io.Reader, name string, hello []byte) {
	if _, err := f.outside().Write(hello); err == nil {
		f.pipe(client, &guard{name: name})
	}
}

// readHello reads a greeting within the time for one.
func (p *Proxy) readHello(client net.Conn, r io.Reader) (string, []byte, error) {
	client.SetReadDeadline(time.Now().Add(p.peer))
	name, raw, err := readHello(r)
	client.SetReadDeadline(time.Time{})
	if err != nil && !errors.Is(err, ErrForm) {
		err = form("no whole TLS greeting came")
	}
	return name, raw, err
}

// answerTLS sends an alert to a client that is then closed. It waits for nobody.
func (p *Proxy) answerTLS(client net.Conn, alert string) {
	client.SetWriteDeadline(time.Now().Add(p.peer))
	io.WriteString(client, alert)
	closeWrite(client)
}
