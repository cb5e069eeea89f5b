package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"
)

// dial connects to a socket in dir and makes sure that root, or ourselves, serves
// it: keys go through.
func dial(ctx context.Context, dir, name, network string) (*net.UnixConn, error) {
	var c *net.UnixConn
	err := below(dir, func(base string) error {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, network, base+"/"+name)
		if err == nil {
			c = conn.(*net.UnixConn)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, fs.ErrPermission) {
		return nil, errors.Join(ErrUnavailable, err)
	}
	if err != nil {
		return nil, err
	}
	peer, err := peerOf(c)
	if err == nil && peer != 0 && peer != os.Geteuid() {
		err = fmt.Errorf("host: user %d serves the host's socket, want root", peer)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// below calls fn with a short path of dir: a socket's path has at most 107 bytes,
// and a data directory may lie deep.
func below(dir string, fn func(base string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return fn("/proc/self/fd/" + strconv.Itoa(int(d.Fd())))
}

// peerOf returns the user at the other end, as the kernel saw it connect or listen.
func peerOf(c syscall.Conn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var ucred *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { ucred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
	}
	return int(ucred.Uid), nil
}

// receive asks for a listener or a connection and takes its descriptor.
func (c *Client) receive(ctx context.Context, a ask) (*os.File, error) {
	question, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	conn, err := dial(ctx, c.dir, descriptorName, "unixpacket")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := conn.Write(question); err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	text, rights := make([]byte, maxAsk), make([]byte, unix.CmsgSpace(4))
	n, rn, flags, _, err := conn.ReadMsgUnix(text, rights)
	if err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	file, err := descriptor(rights[:rn])
	if err != nil {
		return nil, err
	}
	var f failure
	if n == 0 || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = errors.New("host: it hung up instead of passing a descriptor")
	} else if err = json.Unmarshal(text[:n], &f, json.RejectUnknownMembers(true)); err == nil && f.Code != "" {
		err = f.err()
	} else if err == nil && file == nil {
		err = errors.New("host: it passed no descriptor")
	}
	if err != nil && file != nil {
		file.Close()
	}
	if err != nil {
		return nil, err
	}
	return file, nil
}

// descriptor returns the one descriptor in control messages, or nil.
func descriptor(rights []byte) (*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) == 0 {
		return nil, err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	if len(messages) != 1 || len(fds) != 1 {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, errors.New("host: it passed more than one descriptor")
	}
	return os.NewFile(uintptr(fds[0]), "socket"), nil
}
