package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	wire "github.com/go-ldap/ldap/v3"

	"bawn.dev/internal/fetch"
)

// open connects, over TLS, and binds as the operator said. The connection ends with
// the context, and reads no more than budget.
func (d *Directory) open(ctx context.Context, password string, budget int64) (*wire.Conn, error) {
	if password == "" {
		return nil, errors.New("ldap: an empty password binds as nobody")
	}
	hostPort, start, err := d.address()
	if err != nil {
		return nil, err
	}
	roots, err := d.roots()
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	raw, err := fetch.New([]string{hostPort}, nil).Dial(ctx, "tcp", hostPort) // the operator named it
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { raw.Close() })
	if end, ok := ctx.Deadline(); ok {
		if err := raw.SetDeadline(end); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
	}
	l, err := secure(ctx, &bounded{Conn: raw, left: budget}, &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}, start)
	if err != nil {
		raw.Close()
		return nil, err
	}
	l.SetTimeout(answerTime)
	if err := l.Bind(d.BindDN, password); err != nil {
		l.Close()
		return nil, fmt.Errorf("ldap: the bind of %q: %w", d.BindDN, err)
	}
	return l, nil
}

// secure begins TLS. Where that fails there is no connection.
func secure(ctx context.Context, raw net.Conn, config *tls.Config, start bool) (*wire.Conn, error) {
	if !start {
		conn := tls.Client(raw, config)
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("ldap: %w", err)
		}
		l := wire.NewConn(conn, true)
		l.Start()
		return l, nil
	}
	l := wire.NewConn(raw, false)
	l.SetTimeout(answerTime)
	l.Start()
	if err := l.StartTLS(config); err != nil {
		l.Close()
		return nil, fmt.Errorf("ldap: StartTLS, without which nothing is said: %w", err)
	}
	if _, ok := l.TLSConnectionState(); !ok {
		return nil, errors.Join(errors.New("ldap: the connection is not encrypted"), l.Close())
	}
	return l, nil
}

// bounded reads no more than a number of bytes.
type bounded struct {
	net.Conn
	left int64
}

var errTooMuch = errors.New("ldap: the directory sends more than is read")

// Read implements net.Conn.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
