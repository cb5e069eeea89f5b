package fabric

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// maxDial bounds how long a connection is tried.
const maxDial = 30 * time.Second

// Dial connects by TCP, inside the VPC's namespace, from the address of one of its dialers to one of its interfaces;
// anything else is [ErrRefused]. The interface's groups, and ACLs, decide as they do on anybody. The caller closes the file.
func (f *Fabric) Dial(ctx context.Context, vpcID string, from netip.Addr, to netip.AddrPort) (*os.File, error) {
	if err := f.ready(ctx); err != nil {
		return nil, err
	}
	n, v, err := f.applied(vpcID)
	if err != nil {
		return nil, err
	}
	if !dials(v, from) || v.InterfaceAt(to.Addr()) == nil || to.Port() == 0 {
		return nil, fmt.Errorf("%w: %s may not dial %s in %s", ErrRefused, from, to, vpcID)
	}
	ctx, cancel := context.WithTimeout(ctx, maxDial)
	defer cancel()
	var file *os.File
	pending := false
	err = inside(n.path, func() (err error) {
		file, pending, err = beginDial(from, to)
		return err
	})
	if err == nil && pending {
		err = awaitDial(ctx, file)
	}
	if err != nil {
		if file != nil {
			file.Close()
		}
		return nil, fmt.Errorf("fabric: dialling %s: %w", to, err)
	}
	return file, nil
}

func dials(v *netmodel.VPC, a netip.Addr) bool {
	for _, d := range v.Dialers {
		if d.Address == a {
			return true
		}
	}
	return false
}

// beginDial opens a socket in the namespace of the calling thread and begins to connect it. No thread waits for the rest.
func beginDial(from netip.Addr, to netip.AddrPort) (*os.File, bool, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
	if err != nil {
		return nil, false, err
	}
	err = unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()})
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	}
	pending := errors.Is(err, unix.EINPROGRESS)
	if err != nil && !pending {
		unix.Close(fd)
		return nil, false, err
	}
	return os.NewFile(uintptr(fd), "connection"), pending, nil
}

// awaitDial waits until a socket is connected, or cannot be.
func awaitDial(ctx context.Context, file *os.File) error {
	stop := context.AfterFunc(ctx, func() { _ = file.SetDeadline(time.Unix(1, 0)) }) // a socket takes deadlines
	defer stop()
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Write(func(fd uintptr) bool {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		if err == nil {
			_, err = unix.Getpeername(int(fd))
			if errors.Is(err, unix.ENOTCONN) {
				return false
			}
		}
		result = err
		return true
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, result)
}
