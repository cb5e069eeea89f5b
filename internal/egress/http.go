package egress

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"

	"bawn.dev/internal/netlimit"
	"bawn.dev/internal/netmodel"
)

// maxHeader bounds a request's header and an answer's.
const maxHeader = 64 << 10

type clientKey struct{}

type flowKey struct{}

// serveHTTP serves the two kinds that speak HTTP.
func (p *Proxy) serveHTTP(l net.Listener, kind Kind) error {
	defer l.Close()
	if !p.enter() {
		return ErrClosed
	}
	defer p.leave()
	quiet := slog.NewLogLogger(p.config.Log.Handler(), slog.LevelDebug)
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	srv := &http.Server{
		Handler:           p.requests(kind, forwarder(p.upstream, quiet)),
		Protocols:         protocols,
		ReadHeaderTimeout: p.peer,
		IdleTimeout:       restTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          quiet,

		DisableGeneralOptionsHandler: true, // all requests go through one door
		BaseContext:                  func(net.Listener) context.Context { return p.ctx },
		ConnContext:                  func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, clientKey{}, c) },
		ConnState:                    p.follow,
	}
	if !p.hold(srv) {
		return ErrClosed
	}
	defer p.letGo(srv)
	err := srv.Serve(netlimit.Listen(l, Connections))
	if p.ctx.Err() != nil {
		return ErrClosed
	}
	return err
}

// follow has Close wait for the server's connections. Those that were taken over are in a handler, which is waited for.
func (p *Proxy) follow(c net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		p.running.Add(1)
		if p.ctx.Err() != nil { // too late for the server's Close to see it
			c.Close()
		}
	case http.StateClosed, http.StateHijacked:
		p.running.Done()
	}
}

// requests judges every request of a connection by itself.
func (p *Proxy) requests(kind Kind, forward *httputil.ReverseProxy) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, ok := r.Context().Value(clientKey{}).(net.Conn)
		if !ok || !p.enter() {
			return
		}
		defer p.leave()
		if err := p.mayTry(client, kind); err != nil {
			p.answer(w, err, "", 0)
			return
		}
		if kind == Explicit && r.Method == http.MethodConnect {
			p.connect(w, r, client)
			return
		}
		name, port, err := target(r, kind)
		if err != nil {
			p.answer(w, p.refuse(client, kind, name, port, err), name, port)
			return
		}
		f, err := p.open(r.Context(), kind, client, true, name, port)
		if err != nil {
			p.answer(w, err, name, port)
			return
		}
		defer func() {
			// The last of either side's bodies may still be on its way; who does not send or take it holds nothing for ever.
			last := restTime
			if f.ctx.Err() != nil {
				last = p.peer
			}
			client.SetDeadline(time.Now().Add(last))
			f.finish()
		}()
		forward.ServeHTTP(w, r.WithContext(context.WithValue(f.ctx, flowKey{}, f)))
	})
}

// target is what a request is for, if it has the one form that its socket takes.
func target(r *http.Request, kind Kind) (name string, port uint16, err error) {
	switch {
	case r.ProtoMajor != 1:
		return "", 0, form("HTTP/1 only")
	case r.Header["Upgrade"] != nil:
		return "", 0, form("no other protocol is switched to here")
	case kind == HTTP && !strings.HasPrefix(r.RequestURI, "/"):
		return "", 0, form("this is no proxy: it wants a path; the proxy is at port %d", netmodel.NATPortProxy)
	case kind == Explicit && (r.URL.Scheme != "http" || r.URL.Opaque != "" || r.URL.User != nil):
		return "", 0, form("this is a proxy: it wants CONNECT, or a whole http URL without a user")
	}
	// For a whole URL, net/http has made this the URL's host, whatever a Host header said.
	name, port, err = nameAndPort(r.Host, netmodel.NATPortHTTP)
	if err == nil && kind == HTTP && port != netmodel.NATPortHTTP {
		return "", 0, form("this socket is for port %d alone", netmodel.NATPortHTTP)
	}
	return name, port, err
}

// forwarder forwards a request on the flow that was opened for it.
func forwarder(upstream http.RoundTripper, log *log.Logger) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			f := flowOf(r.In.Context())
			host := hostOf(f.asked.Name, f.asked.Port)
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", host, host
			r.Out.URL.RawQuery = r.In.URL.RawQuery // not judged here, and so not tidied
		},
		Transport:      upstream,
		FlushInterval:  -1,
		ErrorLog:       log,
		ModifyResponse: keepProtocol,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, _ error) {
			f := flowOf(r.Context())
			f.cut(ErrDial) // unless it was cut before
			f.p.answer(w, context.Cause(f.ctx), f.asked.Name, f.asked.Port)
		},
	}
}

// keepProtocol refuses what nobody asked for: a tunnel that no request could be judged in.
func keepProtocol(r *http.Response) error {
	if r.StatusCode == http.StatusSwitchingProtocols {
		return errors.New("an upstream switched protocols")
	}
	return nil
}

// upstream makes one connection for one request: the flow's.
func upstream() *http.Transport {
	return &http.Transport{
		Proxy:              nil, // an environment variable must not lead elsewhere
		DisableKeepAlives:  true,
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if f := flowOf(ctx); f != nil && f.used.CompareAndSwap(false, true) {
				return f.outside(), nil
			}
			return nil, errors.New("egress: a request without a connection of its own")
		},
		MaxResponseHeaderBytes: maxHeader,
	}
}

// hostOf is a Host header's value.
func hostOf(name string, port uint16) string {
	if port == netmodel.NATPortHTTP {
		return name
	}
	return net.JoinHostPort(name, strconv.Itoa(int(port)))
}

func flowOf(ctx context.Context) *flow {
	f, _ := ctx.Value(flowKey{}).(*flow)
	return f
}

// answer refuses a request in words, and the client's connection with it.
func (p *Proxy) answer(w http.ResponseWriter, err error, name string, port uint16) {
	status, words := told(err, name, port)
	rc, soon := http.NewResponseController(w), time.Now().Add(p.peer)
	rc.SetReadDeadline(soon)
	rc.SetWriteDeadline(soon)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close")
	w.WriteHeader(status)
	io.WriteString(w, "bawn: "+words+"\n")
}
