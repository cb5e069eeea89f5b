package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// Who runs an administration command says his name, and the kernel says his user
// id: the record has both, because only one of them is proven.

// A peerListener answers, as each connection's remote address, the user id of the
// process at the other end of a UNIX socket.
type peerListener struct{ net.Listener }

type peerConn struct {
	net.Conn
	uid peerAddr
}

type peerAddr string

// Network implements net.Addr.
func (peerAddr) Network() string { return "unix" }

// String implements net.Addr.
func (a peerAddr) String() string { return string(a) }

// RemoteAddr is the peer's user id: "uid-0".
func (c *peerConn) RemoteAddr() net.Addr { return c.uid }

// Accept implements net.Listener. A peer of whom the kernel does not tell is
// turned away.
func (l peerListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := peerUID(c); err == nil {
			return &peerConn{c, peerAddr(fmt.Sprintf("uid-%d", uid))}, nil
		}
		c.Close()
	}
}

// peerUID asks the kernel who opened the other end, when it did.
func peerUID(c net.Conn) (uint32, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, errors.New("not a UNIX socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	var who *syscall.Ucred
	if e := raw.Control(func(fd uintptr) { who, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED) }); e != nil {
		return 0, e
	}
	if err != nil {
		return 0, err
	}
	return who.Uid, nil
}

type peerKey struct{}

// peerOf is the proven user id of who runs a command: the socket's peer, or, when
// the command opened the data directory itself, this process.
func peerOf(ctx context.Context) string {
	if peer, ok := ctx.Value(peerKey{}).(string); ok {
		return peer
	}
	return fmt.Sprintf("uid-%d", os.Getuid())
}
