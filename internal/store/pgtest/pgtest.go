// Package pgtest starts a PostgreSQL server of its own for tests, in a temporary
// directory and on a UNIX socket, and removes it afterwards. It trusts the
// machine's PostgreSQL binaries; only the user who runs the test (and root)
// reaches the server. It is never part of the product.
package pgtest

import (
	"bufio"
	"context"
	"crypto/rand"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Server is a running server.
type Server struct {
	dir, bin string
	attr     *syscall.SysProcAttr
	stop     func(syscall.Signal) error // nil while it does not run
}

// Start starts a server that is stopped when the test ends. The test fails, and
// is not skipped, when PostgreSQL is not installed.
func Start(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	attr := owner(t, dir)
	bin := binaries(t)

	// A locale that orders text otherwise than by bytes, so that a query that
	// forgets the collation fails here.
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "bawn",
		"--auth=trust", "--encoding=UTF8", "--no-sync", "--no-instructions",
		"--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s := &Server{dir: dir, bin: bin, attr: attr}
	s.Resume(t)
	t.Cleanup(func() {
		if s.stop == nil {
			return
		}
		if err := s.stop(syscall.SIGINT); err != nil {
			t.Errorf("postgres: %v", err)
		}
	})
	return s
}

// Crash ends the server as a loss of power would: what was not committed is gone.
func (s *Server) Crash() {
	s.stop(syscall.SIGQUIT) //nolint:errcheck // it says that it was ended so
	s.stop = nil
}

// Database makes an empty database and returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	name := "t" + strings.ToLower(rand.Text())
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return s.url(name)
}

func (s *Server) url(database string) string {
	return "postgres://bawn@/" + database + "?host=" + s.dir
}

// Resume runs the server, after Crash again, until the test ends. The kernel stops it
// should the test be killed.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	server := exec.Command(filepath.Join(s.bin, "postgres"), "-D", filepath.Join(s.dir, "data"),
		"-c", "listen_addresses=", "-c", "unix_socket_directories="+s.dir,
		"-c", "shared_buffers=32MB", "-c", "max_connections=200", "-c", "logging_collector=off")
	server.SysProcAttr, server.Dir = s.attr, s.dir
	logs, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	started, stop, stopped := make(chan error), make(chan syscall.Signal), make(chan error, 1)
	go func() {
		// Pdeathsig is sent when the thread that forked ends: keep it.
		runtime.LockOSThread()
		err := server.Start()
		started <- err
		if err == nil {
			server.Process.Signal(<-stop)
			stopped <- server.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	ready, drained := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(logs)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "ready to accept connections") {
				ready <- true
				break
			}
		}
		io.Copy(io.Discard, logs)
		close(ready)
	}()
	s.stop = func(signal syscall.Signal) error {
		stop <- signal
		<-drained
		return <-stopped
	}
	if !<-ready {
		t.Fatal("postgres ended before it was ready")
	}
}

// owner gives the directory to the user that the server runs as: PostgreSQL
// refuses to run as root.
func owner(t testing.TB, dir string) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Geteuid() != 0 {
		return attr
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("the Debian package postgresql-15 (or later) is needed: %v", err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr
}

// binaries is the directory of the newest server installed.
func binaries(t testing.TB) string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		t.Fatal("the Debian package postgresql-15 (or later) is needed: no /usr/lib/postgresql/*/bin/postgres")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }))
}
