package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"bawn.dev/internal/fabric"
	"bawn.dev/internal/netmodel"
)

// Networks, Workloads and Files are what a host does, said as [Client] says it;
// package worker does it. An error that wraps one of this package's keeps its
// identity across the socket.
type (
	// Networks are the VPCs and transit gateways of a host. What is applied belongs to
	// the host and does not change any more.
	Networks interface {
		Capabilities() Capabilities
		ApplyVPC(context.Context, *netmodel.VPC) error
		RemoveVPC(context.Context, string) error
		VPCs() ([]string, error)
		ApplyTransit(context.Context, *netmodel.TransitGateway) error
		RemoveTransit(context.Context, string) error
		Transits() ([]string, error)
		Listen(context.Context, string, netip.AddrPort) (*os.File, error)
		Dial(ctx context.Context, vpcID string, from netip.Addr, to netip.AddrPort) (*os.File, error)
		Flows(context.Context, string, func(fabric.FlowRecord) error) error
		Queries(context.Context, string, func(fabric.Query) error) error
		Events(context.Context, func(fabric.Event) error) error
	}
	// Workloads are those of a host.
	Workloads interface {
		Image(ref string) (Image, error)
		Prepare(context.Context, Order) error
		Start(context.Context, string) error
		Stop(context.Context, string) error
		State(string) (State, error)
		States() ([]State, error)
		Lock(context.Context, string) error
		Remove(context.Context, string) error
	}
	// Files are those of a host's workloads, and their logs.
	Files interface {
		Put(ctx context.Context, id, path string, r io.Reader) error
		ReadFile(ctx context.Context, id, path string, max int64) ([]byte, error)
		Logs(ctx context.Context, id string, from int64, max int) (Lines, error)
		// Archive writes; it returns an error before it has written anything when
		// there is no such directory.
		Archive(ctx context.Context, id, dir string, w io.Writer) error
	}
	// Machine is all of it.
	Machine interface {
		Networks
		Workloads
		Files
	}
)

// ServerConfig says where and for whom a Server listens. All fields but Journal are required.
type ServerConfig struct {
	// Data is the data directory; the sockets are made in Data/run.
	Data string
	// User is the only user besides root that may connect. His is also
	// Data/run, when it has to be made.
	User    int
	Machine Machine
	Log     *slog.Logger
	Journal *Journal // nil: it has nothing to tell
}

// Server is the host's side of the door.
type Server struct {
	config      ServerConfig
	requests    net.Listener
	descriptors *net.UnixListener
}

// Listen opens the sockets. The caller has made sure that it is the only host on
// this data directory: what an earlier one left there is replaced.
func Listen(c ServerConfig) (*Server, error) {
	if c.Data == "" || c.Machine == nil || c.Log == nil || c.User < 0 {
		return nil, errors.New("host: want a data directory, a user, a machine and a log")
	}
	dir := filepath.Join(c.Data, "run")
	if err := makeDir(dir, c.User); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	s := &Server{config: c}
	err := below(dir, func(base string) error {
		requests, err := open(base, socketName, "unix", c.User)
		if err != nil {
			return err
		}
		s.requests = &guarded{requests, c.User, c.Log}
		s.descriptors, err = open(base, descriptorName, "unixpacket", c.User)
		return err
	})
	if err != nil {
		if s.requests != nil {
			s.requests.Close()
		}
		return nil, fmt.Errorf("host: %w", err)
	}
	return s, nil
}

// Serve answers until ctx ends, and then closes the sockets. Streams that are
// under way are cut.
func (s *Server) Serve(ctx context.Context) error {
	server := &http.Server{
		Handler:           handler(s.config.Machine, s.config.Journal),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.config.Log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { server.Close(); s.descriptors.Close() })
	defer stop()
	var passing sync.WaitGroup
	passing.Go(func() { s.passDescriptors(ctx) })
	err := server.Serve(s.requests)
	s.descriptors.Close()
	passing.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// allowed reports whether the peer is root or the server's user.
func allowed(peer, user int) bool {
	return peer == 0 || peer == user
}

// guarded hangs up on everybody but root and one user, whatever the socket's mode
// has become.
type guarded struct {
	*net.UnixListener
	user int
	log  *slog.Logger
}

func (g *guarded) Accept() (net.Conn, error) { return g.accept() }

func (g *guarded) accept() (*net.UnixConn, error) {
	for {
		c, err := g.AcceptUnix()
		if err != nil {
			return nil, err
		}
		peer, err := peerOf(c)
		if err == nil && allowed(peer, g.user) {
			return c, nil
		}
		g.log.Warn("refused a connection to the host's socket", "user", peer, "error", err)
		c.Close()
	}
}
