package fabric

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"bawn.dev/internal/netmodel"
)

// Listen opens a TCP listening socket inside the VPC's namespace, on an address and port of one of its endpoints or on the
// credentials endpoint (169.254.170.2:80); anything else is [ErrRefused]. A connection's remote address is that of the
// interface that made it, which cannot be forged. The caller closes the file. A port that somebody still listens on is an
// error, so that no two listeners ever share one.
func (f *Fabric) Listen(ctx context.Context, vpcID string, addr netip.AddrPort) (*os.File, error) {
	if err := f.ready(ctx); err != nil {
		return nil, err
	}
	n, v, err := f.applied(vpcID)
	if err != nil {
		return nil, err
	}
	if !served(v, addr) {
		return nil, fmt.Errorf("%w: %s is not served in %s", ErrRefused, addr, vpcID)
	}
	var file *os.File
	err = inside(n.path, func() error {
		l, err := listenTCP(addr)
		if err != nil {
			return err
		}
		defer l.Close()
		file, err = l.(*net.TCPListener).File()
		return err
	})
	return file, err
}

func served(v *netmodel.VPC, addr netip.AddrPort) bool {
	if addr == netip.AddrPortFrom(netmodel.Credentials, netmodel.CredentialsPort) {
		return true
	}
	e := v.EndpointAt(addr.Addr())
	return e != nil && slices.Contains(e.Ports, addr.Port())
}

// listenTCP listens in the namespace of the calling thread. It does without multipath TCP, in which a connection can go on
// from addresses other than the one that it has, and when that one's flows have been cut.
func listenTCP(addr netip.AddrPort) (net.Listener, error) {
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	return c.Listen(context.Background(), "tcp4", addr.String())
}
