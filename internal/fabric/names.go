package fabric

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"bawn.dev/internal/netmodel"
)

// Limits of the name server. The packet filter bounds packets per second and source besides.
const (
	answerTTL       = 30 // seconds; a name's addresses change when its endpoint does
	maxUDPAnswer    = 1232
	connsPerSource  = 4
	queriesPerConn  = 32
	dnsIdle         = 5 * time.Second
	dnsReadTimeout  = 2 * time.Second
	maxDNSConns     = 256
	classicUDPLimit = 512
)

// nameServer answers private names, by UDP and TCP, on both of a VPC's resolver addresses. It knows the model and nothing
// else: it has no upstream, and no code that could ask one.
type nameServer struct {
	model   atomic.Pointer[netmodel.VPC]
	address netip.Addr // the address that depends on the model
	queries *feed[Query]
	servers []*dns.Server
	done    sync.WaitGroup
}

// serveNames starts the network's name server, or hands a running one the new model. The caller holds n.mu.
func (n *network) serveNames(v *netmodel.VPC, log *slog.Logger) error {
	if n.names != nil && n.names.address == v.ResolverAddress() {
		n.names.model.Store(v)
		return nil
	}
	if n.names != nil {
		if err := n.names.stop(); err != nil {
			return err
		}
		n.names = nil
	}
	s := &nameServer{address: v.ResolverAddress(), queries: n.queries}
	s.model.Store(v)
	if err := n.space.do(s.open); err != nil {
		return errors.Join(err, s.close())
	}
	for _, server := range s.servers {
		s.done.Go(func() {
			if err := server.ActivateAndServe(); err != nil && !errors.Is(err, net.ErrClosed) {
				log.Error("private name server stopped", "vpc", v.ID, "error", err)
			}
		})
	}
	n.names = s
	return nil
}

// open opens the sockets in the namespace of the calling thread.
func (s *nameServer) open() error {
	for _, a := range []netip.Addr{netmodel.Resolver, s.address} {
		at := netip.AddrPortFrom(a, netmodel.DNSPort)
		packets, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return err
		}
		s.add(&dns.Server{PacketConn: packets})
		stream, err := listenTCP(at)
		if err != nil {
			return err
		}
		s.add(&dns.Server{Listener: newFairListener(stream)})
	}
	return nil
}

func (s *nameServer) add(server *dns.Server) {
	server.Handler = s
	server.MaxTCPQueries = queriesPerConn
	server.ReadTimeout = dnsReadTimeout
	server.WriteTimeout = dnsReadTimeout
	server.IdleTimeout = func() time.Duration { return dnsIdle }
	s.servers = append(s.servers, server)
}

func (s *nameServer) close() error {
	var err error
	for _, server := range s.servers {
		if server.PacketConn != nil {
			err = errors.Join(err, server.PacketConn.Close())
		}
		if server.Listener != nil {
			err = errors.Join(err, server.Listener.Close())
		}
	}
	return err
}

// stop ends the servers and waits for them. Closing their sockets is what ends them; dns.Server.Shutdown would fail on one
// that has not begun.
func (s *nameServer) stop() error {
	err := s.close()
	s.done.Wait()
	return err
}

// ServeDNS answers one query from the model. What is no private name does not exist.
func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	from, err := netip.ParseAddrPort(w.RemoteAddr().String())
	if err != nil {
		return
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	_, udp := w.RemoteAddr().(*net.UDPAddr)
	v := s.model.Load()
	a := answer(v, from.Addr(), q, udp)
	s.queries.put(queryOf(v, from, a, udp))
	// A client that went away is its own loss.
	_ = w.WriteMsg(a)
}

// answer makes the reply to a query. It is a pure function of the model, the asker and the query.
func answer(v *netmodel.VPC, from netip.Addr, q *dns.Msg, udp bool) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	limit := dns.MaxMsgSize
	if udp {
		limit = classicUDPLimit
	}
	if o := q.IsEdns0(); o != nil {
		m.SetEdns0(maxUDPAnswer, false)
		if udp {
			limit = min(max(int(o.UDPSize()), classicUDPLimit), maxUDPAnswer)
		}
	}
	if len(q.Question) != 1 || q.Opcode != dns.OpcodeQuery || q.Question[0].Qclass != dns.ClassINET {
		m.Rcode = dns.RcodeRefused
		return m
	}
	question := q.Question[0]
	addresses, exists := v.Resolve(from, question.Name)
	switch {
	case !exists:
		m.Rcode = dns.RcodeNameError
	case question.Qtype == dns.TypeA:
		for _, a := range addresses {
			header := dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: answerTTL}
			m.Answer = append(m.Answer, &dns.A{Hdr: header, A: a.AsSlice()})
		}
	}
	m.Truncate(limit)
	return m
}

// fairListener closes at once what goes over a source's or everybody's share of connections, and, when it is closed
// itself, every connection with it: no workload can hold up the end of its name server.
type fairListener struct {
	net.Listener
	mu     sync.Mutex
	open   map[net.Conn]netip.Addr
	closed bool
}

func newFairListener(l net.Listener) *fairListener {
	return &fairListener{Listener: l, open: map[net.Conn]netip.Addr{}}
}

func (l *fairListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.enter(c, c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()) {
			return &sharedConn{c, l}, nil
		}
		_ = c.Close() // it was never used
	}
}

func (l *fairListener) enter(c net.Conn, from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	same := 0
	for _, a := range l.open {
		if a == from {
			same++
		}
	}
	if l.closed || same >= connsPerSource || len(l.open) >= maxDNSConns {
		return false
	}
	l.open[c] = from
	return true
}

func (l *fairListener) leave(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

// Close ends the listener and its connections. Errors of connections are their clients' affair.
func (l *fairListener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for c := range l.open {
		_ = c.Close()
	}
	return err
}

type sharedConn struct {
	net.Conn
	listener *fairListener
}

func (c *sharedConn) Close() error {
	c.listener.leave(c.Conn)
	return c.Conn.Close()
}
