package fabric

import (
	"errors"
	"net"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// wire is a packet socket: what a workload has that brings its own network stack, and an ear that hears every frame of a
// namespace, going out or coming in.
type wire struct {
	t      testing.TB
	fd     int
	device int
	buffer [70000]byte
}

// seen is a frame, where it was heard, and whether it was on its way out of that namespace.
type seen struct {
	frame  []byte
	device int
	out    bool
}

// openWire opens a socket on a device of a namespace, or with none on all.
func openWire(t testing.TB, path, device string) *wire {
	t.Helper()
	const everything = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&255<<8
	w := &wire{t: t, fd: -1}
	err := inside(path, func() (err error) {
		if device != "" {
			link, err := net.InterfaceByName(device)
			if err != nil {
				return err
			}
			w.device = link.Index
		}
		if w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		patience := unix.NsecToTimeval(hope.Nanoseconds())
		return errors.Join(unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20),
			unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience),
			unix.Bind(w.fd, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: w.device}))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(w.fd) })
	return w
}

// put sends a frame, past the namespace's own network stack. The kernel handles it, through every namespace on its way,
// before it returns, or at the latest before the next frame.
func (w *wire) put(frame []byte) error {
	to := &unix.SockaddrLinklayer{Ifindex: w.device, Halen: 6}
	err := unix.Sendto(w.fd, frame, 0, to)
	if errors.Is(err, unix.ENETDOWN) { // it was down, and the socket tells so once
		err = unix.Sendto(w.fd, frame, 0, to)
	}
	return err
}

func (w *wire) send(frames ...[]byte) {
	w.t.Helper()
	for _, f := range frames {
		if err := w.put(f); err != nil && !errors.Is(err, unix.ENOBUFS) { // which is how the other end of the link drops
			w.t.Fatal(err)
		}
	}
}

// next returns the next frame. Without patience it returns false if none is there now.
func (w *wire) next(patient bool) (seen, bool) {
	w.t.Helper()
	flags := unix.MSG_DONTWAIT
	if patient {
		flags = 0
	}
	for {
		n, from, err := unix.Recvfrom(w.fd, w.buffer[:], flags)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN):
			continue
		case errors.Is(err, unix.EAGAIN):
			return seen{}, false
		case err != nil:
			w.t.Fatal(err)
		}
		l := from.(*unix.SockaddrLinklayer)
		if l.Ifindex != w.device && w.device != 0 {
			continue // heard between opening and binding
		}
		return seen{slices.Clone(w.buffer[:n]), l.Ifindex, l.Pkttype == unix.PACKET_OUTGOING}, true
	}
}

// ears are raw sockets, in a namespace, for every IP protocol: what passes its packet filter to the namespace itself is
// heard here, whatever becomes of it then.
type ears struct {
	t   testing.TB
	all []unix.PollFd
}

func openEars(t testing.TB, path string) *ears {
	t.Helper()
	e := &ears{t: t}
	t.Cleanup(func() {
		for _, p := range e.all {
			unix.Close(int(p.Fd))
		}
	})
	err := inside(path, func() error {
		for protocol := 1; protocol < unix.IPPROTO_RAW; protocol++ {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
			if err != nil {
				return err
			}
			e.all = append(e.all, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// heard returns the packets that came since it was last asked.
func (e *ears) heard() (packets [][]byte) {
	e.t.Helper()
	for {
		n, err := unix.Poll(e.all, 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			e.t.Fatal(err)
		}
		if n == 0 {
			return packets
		}
		for _, p := range e.all {
			b := make([]byte, 70000)
			if p.Revents == 0 {
				continue
			}
			if n, err := unix.Read(int(p.Fd), b); err == nil {
				packets = append(packets, b[:n])
			}
		}
	}
}
