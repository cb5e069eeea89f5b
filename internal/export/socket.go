package export

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const socketPrefix = "unix:"

// A socket takes lines to a program that listens. It has them when it has read them: what
// waits in the kernel goes with a reader that ends, and is sent to the next. That may send
// lines again, from the begin of one; eventID tells.
type socket struct {
	path string
	conn *net.UnixConn
}

// errGone says that the reader ended before it had read all.
var errGone = errors.New("the reader went away")

func (d *socket) close() {
	if d.conn != nil {
		d.conn.Close()
		d.conn = nil
	}
}

func (d *socket) take(ctx context.Context, last place, lines []byte, _ func(place) error) (place, error) {
	err := d.send(ctx, lines)
	if err != nil {
		d.close()
	}
	return last, err
}

func (d *socket) send(ctx context.Context, lines []byte) error {
	if d.conn == nil {
		var dialer net.Dialer
		c, err := dialer.DialContext(ctx, "unix", d.path)
		if err != nil {
			return err
		}
		d.conn = c.(*net.UnixConn)
	}
	defer context.AfterFunc(ctx, func() { d.conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := d.conn.Write(lines); err != nil {
		return err
	}
	for wait := time.Millisecond; ; wait = min(2*wait, maxLook) {
		waits, err := d.unread()
		if err != nil || !waits {
			return err
		}
		if pause(ctx, wait); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// maxLook is the longest pause between two looks at how much was read.
const maxLook = 50 * time.Millisecond

// unread says whether some of what was sent waits to be read. Nothing waits for a reader
// that is gone either: so it is asked last whether it is there.
func (d *socket) unread() (bool, error) {
	raw, err := d.conn.SyscallConn()
	if err != nil {
		return false, err
	}
	var waiting int
	var failed error
	err = raw.Control(func(fd uintptr) {
		if waiting, failed = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); failed != nil {
			return
		}
		poll := []unix.PollFd{{Fd: int32(fd)}} //nolint:gosec // a descriptor
		for {
			_, failed = unix.Poll(poll, 0)
			if !errors.Is(failed, syscall.EINTR) {
				break
			}
		}
		if failed == nil && poll[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0 {
			failed = errGone
		}
	})
	return waiting > 0, errors.Join(err, failed)
}
