package job

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// These tests run in namespaces of their own, for networks and for mounts: the
// machine's interfaces are out of their reach, and there is an "outside" that they
// may reach, with addresses that are reserved for documentation.
const (
	insideVariable = "BAWN_TEST_JOB_INSIDE"
	ownAddress     = "198.51.100.1/24"
	outsideGateway = "198.51.100.2/24"
	outsideHost    = "203.0.113.10"
)

// outsideNames resolve to [outsideHost] in these tests' own /etc/hosts, and the
// last one to an address that is private.
var outsideNames = []string{"allowed.example", "other.example", "a.wild.example", "b.wild.example", "inner.example"}

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 { // each test says what is missing
		os.Exit(m.Run())
	}
	if os.Getenv(insideVariable) == "" {
		code, err := enter()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	}
	if err := settle(); err != nil {
		fmt.Fprintln(os.Stderr, "the namespaces of these tests:", err)
		os.Exit(1)
	}
	code := m.Run()
	if built != nil {
		if err := built.remove(); err != nil {
			fmt.Fprintln(os.Stderr, "left behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// enter runs this program again in namespaces of its own, after all that needs the
// machine's network has been fetched.
func enter() (int, error) {
	if err := fetched(); err != nil {
		return 1, err
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is sent when the thread that forked ends
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}

// fetched gets modules that the server is built of, and builds the sample image,
// unless they are there.
func fetched() error {
	h := &house{}
	list := exec.Command("go", "list", "-deps", "./cmd/bawn")
	list.Dir = h.repo()
	if out, err := list.CombinedOutput(); err != nil {
		return fmt.Errorf("go list: %w: %s", err, out)
	}
	if exists(filepath.Join(h.layout(), "index.json")) {
		return nil
	}
	var err error
	if h.dir, err = os.MkdirTemp("", "bawn-image-"); err != nil {
		return err
	}
	defer os.RemoveAll(h.dir)
	h.data = filepath.Join(h.dir, "data")
	if err := errors.Join(os.Mkdir(h.data, 0o700), h.compile()); err != nil {
		return err
	}
	return h.buildImage()
}

// settle furnishes the namespaces that this process is in.
func settle() error {
	dir, err := os.MkdirTemp("", "bawn-etc-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	hosts := "127.0.0.1 localhost\n10.1.2.3 private.example\n"
	for _, name := range outsideNames {
		hosts += outsideHost + " " + name + "\n"
	}
	for file, text := range map[string]string{"/etc/hosts": hosts, "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"} {
		own := filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(own, []byte(text), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(own, file, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return joinOutside()
}

// outside is the namespace of hosts that are nobody's here.
var outside int

// joinOutside makes it, with a link to the one that this process is in.
func joinOutside() error {
	if err := raise("lo", ""); err != nil {
		return err
	}
	made := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			outside, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		made <- err
	}()
	if err := <-made; err != nil {
		return err
	}
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "out0"}, PeerName: "in0", PeerNamespace: netlink.NsFd(outside)}
	if err := netlink.LinkAdd(link); err != nil {
		return err
	}
	if err := raise("out0", ownAddress); err != nil {
		return err
	}
	err := outsideDo(func() error {
		return errors.Join(raise("lo", outsideHost+"/32"), raise("in0", outsideGateway))
	})
	if err != nil {
		return err
	}
	gateway, _, err := net.ParseCIDR(outsideGateway)
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{Gw: gateway})
}

// outsideDo runs fn out there. Sockets that it opens stay there.
func outsideDo(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // as above
		if err := unix.Setns(outside, unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- fn()
	}()
	return <-done
}

func raise(name, address string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if address != "" {
		a, err := netlink.ParseAddr(address)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, a); err != nil {
			return err
		}
	}
	return netlink.LinkSetUp(link)
}
