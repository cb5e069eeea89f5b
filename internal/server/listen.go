package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"bawn.dev/internal/api"
	"bawn.dev/internal/netlimit"
	"bawn.dev/internal/scim"
)

// Bounds on what a connection may cost before anybody is known. Bodies have no
// deadline of their own: a large object takes what it takes.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	grace         = 15 * time.Second
)

// frontConnections bounds what is open at the front. Clients of one machine, or
// behind one address, share PerSource.
var frontConnections = netlimit.Limits{PerSource: 1024, Total: 8192}

// Serve listens until the context ends, then lets calls in progress finish. ready
// is called once clients can connect.
func (s *Server) Serve(ctx context.Context, ready func(addr string)) (err error) {
	if s.remembering, err = s.memories(); err != nil {
		return err
	}
	if err := s.recall(ctx); err != nil { // before a head is signed that hides what was done
		return err
	}
	if err := s.trail.Seal(ctx); err != nil { // a record that cannot be continued takes no calls
		return err
	}
	if err := s.openExport(ctx); err != nil {
		return err
	}
	front, err := net.Listen("tcp", s.cfg.Listen)
	if err != nil {
		return err
	}
	if addr, ok := front.Addr().(*net.TCPAddr); ok {
		s.port.Store(int32(addr.Port)) //nolint:gosec // a port
	}
	front = netlimit.Listen(front, frontConnections)
	if !s.cfg.PlainHTTP {
		front = tls.NewListener(front, &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: (&frontCertificate{cfg: s.cfg, ca: s.ca, now: s.now}).get,
			NextProtos:     []string{"h2", "http/1.1"},
		})
	}
	provisioning, err := s.provisioning(ctx)
	if err != nil {
		front.Close()
		return err
	}
	web, err := s.web()
	if err != nil {
		front.Close()
		return err
	}
	admin, err := s.adminListener()
	if err != nil {
		front.Close()
		return err
	}

	if err := s.life(ctx, "StartServer", s.settings()); err != nil {
		return errors.Join(err, front.Close(), admin.Close())
	}
	defer func() { s.end(ctx, err) }()

	group, ctx := errgroup.WithContext(ctx)
	s.background(ctx, group)
	s.run(ctx, group, front, s.public(s.door.Handler(api.Origin{}), provisioning, web))
	s.run(ctx, group, admin, s.adminHandler(ctx))
	if ready != nil {
		ready(front.Addr().String())
	}
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// background runs what works beside the listeners.
func (s *Server) background(ctx context.Context, group *errgroup.Group) {
	group.Go(s.steady(ctx, "the record", s.trail.Run))
	for _, memories := range s.remembering {
		group.Go(s.steady(ctx, "what remembers the record", func(ctx context.Context) error { return s.remember(ctx, memories) }))
	}
	group.Go(s.steady(ctx, "organizations", func(ctx context.Context) error { return s.organizations.Run(ctx, s.door) }))
	group.Go(s.steady(ctx, "permission sets", func(ctx context.Context) error { return s.identity.Run(ctx, s.door) }))
	group.Go(s.steady(ctx, "directories", func(ctx context.Context) error {
		return s.identity.RunSources(ctx, s.door, func(source string, err error) { s.log.Warn("a directory", "name", source, "err", err) })
	}))
	group.Go(func() error { return s.iam.Run(ctx, s.store) })
	group.Go(func() error {
		return s.kms.Run(ctx, s.store, func(err error) { s.log.Warn("what is due for keys is tried again", "err", err) })
	})
	group.Go(func() error {
		return s.s3.Run(ctx, s.door, func(err error) { s.log.Warn("what lifecycle rules end is tried again", "err", err) })
	})
	told := &trouble{server: s}
	group.Go(func() error { return s.ec2.Run(ctx, s.store, s.places, told.tell) })
	group.Go(func() error { return s.places.ways.spending(ctx) })
	group.Go(func() error { return s.drifting(ctx) })
	group.Go(s.steady(ctx, "jobs", s.sagemaker.Run))
	group.Go(func() error { return s.delivering(ctx) })
	group.Go(func() error { return s.hearing(ctx) })
	group.Go(func() error { return s.querying(ctx) })
	group.Go(func() error { return s.compacting(ctx) })
	group.Go(func() error { return s.retaining(ctx, retainFirst, s.now) })
	if s.export != nil {
		group.Go(func() error { return s.export.Run(ctx) })
	}
}

// newHTTPServer bounds what a connection may cost.
func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // peers' broken handshakes
	}
}

// run serves one listener until the context ends.
func (s *Server) run(ctx context.Context, group *errgroup.Group, l net.Listener, h http.Handler) {
	srv := newHTTPServer(h, s.log)
	group.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		return srv.Shutdown(stop)
	})
}

var (
	inert    = []string{"sandbox; default-src 'none'; frame-ancestors 'none'"}
	asStated = []string{"nosniff"}
)

// public is the front listener: one health page, SCIM, what browsers see, and the door.
func (s *Server) public(door, provisioning http.Handler, web []entrance) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, e := range web {
			if e.Wants(r) {
				e.ServeHTTP(w, r)
				return
			}
		}
		// A browser may be led to an object by a presigned URL: what is stored there
		// must not act in this origin's name.
		w.Header()["Content-Security-Policy"] = inert
		w.Header()["X-Content-Type-Options"] = asStated
		if r.Method == http.MethodGet && r.URL.Path == "/healthz" && r.Header.Get("Authorization") == "" && r.URL.RawQuery == "" {
			s.health(w)
			return
		}
		if scim.Wants(r) {
			provisioning.ServeHTTP(w, r)
			return
		}
		door.ServeHTTP(w, r)
	})
}

// health says whether calls can be answered and recorded, and nothing else.
func (s *Server) health(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := errors.Join(s.store.Healthy(), s.blobs.Healthy()); err != nil {
		s.log.Error("unhealthy", "err", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "unhealthy: the log says why")
		return
	}
	fmt.Fprintln(w, "ok")
}

// adminListener is the socket that only the server's own user and root may open.
func (s *Server) adminListener() (net.Listener, error) {
	path := s.cfg.Path("run", "admin.sock")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // a killed server's; we hold the lock
		return nil, err
	}
	l, err := net.Listen("unix", path) // in a directory of mode 0700
	if err != nil {
		return nil, err
	}
	return peerListener{l}, os.Chmod(path, 0o600)
}
