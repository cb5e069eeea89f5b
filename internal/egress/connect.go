package egress

import (
	"io"
	"net"
	"net/http"

	"bawn.dev/internal/netmodel"
)

// connect makes a tunnel. At port 443 it is one for TLS with the name that was asked for; at others, of bytes that are
// counted and not looked at.
func (p *Proxy) connect(w http.ResponseWriter, r *http.Request, client net.Conn) {
	name, port, err := tunnelled(r)
	if err != nil {
		p.answer(w, p.refuse(client, Explicit, name, port, err), name, port)
		return
	}
	f, err := p.open(p.ctx, Explicit, client, false, name, port)
	if err != nil {
		p.answer(w, err, name, port)
		return
	}
	defer f.finish()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	if port != netmodel.NATPortTLS {
		f.pipe(buffered.Reader, nil)
		return
	}
	inside, hello, err := p.readHello(conn, buffered)
	switch {
	case err != nil:
		p.answerTLS(conn, alertName)
		f.cut(err)
	case inside != name:
		p.answerTLS(conn, alertName)
		f.cut(ErrFronting)
	default:
		f.secure(buffered.Reader, name, hello)
	}
}

// tunnelled is what a CONNECT request is for.
func tunnelled(r *http.Request) (name string, port uint16, err error) {
	if r.ContentLength != 0 || r.TransferEncoding != nil {
		return "", 0, form("CONNECT has no body")
	}
	name, port, err = nameAndPort(r.RequestURI, 0)
	if err == nil && port == netmodel.NATPortHTTP {
		return name, port, form("at port 80 each request is looked at: ask for the URL instead of CONNECT")
	}
	return name, port, err
}
