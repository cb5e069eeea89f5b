package egress

import (
	"context"
	"net"
	"net/netip"
	"strconv"
)

// Through makes Config's Dial of a dialer like that of a fetch.Client: one that resolves once and refuses what is private.
// Give it one that names no exceptions: those of the server's own fetches are not the workloads'.
//
// The dot at the end keeps the machine's search domains out: they would make another name of the one that was judged.
func Through(dial func(ctx context.Context, network, hostPort string) (net.Conn, error)) func(context.Context, string, uint16) (net.Conn, netip.Addr, error) {
	return func(ctx context.Context, name string, port uint16) (net.Conn, netip.Addr, error) {
		c, err := dial(ctx, "tcp", net.JoinHostPort(name+".", strconv.Itoa(int(port))))
		if err != nil {
			return nil, netip.Addr{}, err
		}
		return Reached(c)
	}
}

// Reached answers a connection with the address that it led to; one that has none is
// closed.
func Reached(c net.Conn) (net.Conn, netip.Addr, error) {
	address, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		c.Close()
		return nil, netip.Addr{}, err
	}
	return c, address.Addr().Unmap(), nil
}
