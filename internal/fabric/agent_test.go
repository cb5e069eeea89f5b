package fabric

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// The agent is this test binary, run again inside a namespace. It is what a workload could be at worst: a process that is
// root there and does with its network whatever it is told.
const agentVariable = "BAWN_FABRIC_TEST_AGENT"

// order is one thing for an agent to do, and reply what came of it.
type order struct {
	ID      int
	Do      string
	Address string        // where to
	Source  string        // forged source, for packets
	Ports   []int         // to listen on
	Wait    time.Duration // how long to hope for an answer
	Name    string        // to ask a name server for
	Frame   []byte        // an Ethernet frame to send on eth0
	Path    string
	Value   string
}

type reply struct {
	ID      int
	Outcome string // "ok", "refused", "silent" or an error
	Text    string
	Code    int
	List    []string
}

const (
	ok      = "ok"
	refused = "refused"
	silent  = "silent"
)

func agentMain() {
	in := json.NewDecoder(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	var mu sync.Mutex
	for {
		var o order
		if err := in.Decode(&o); err != nil {
			return
		}
		go func() {
			r := obey(o)
			r.ID = o.ID
			mu.Lock()
			defer mu.Unlock()
			if err := out.Encode(r); err != nil {
				os.Exit(1)
			}
		}()
	}
}

func obey(o order) reply {
	switch o.Do {
	case "serve":
		return serve(o.Ports)
	case "tcp", "udp", "hold", "tcp6":
		return dial(o)
	case "ping":
		return ping(o)
	case "ask-udp", "ask-tcp":
		return ask(o)
	case "drain":
		return outcome(drain(o.Address))
	case "pump":
		return outcome(pump(o))
	case "packet":
		return outcome(sendPacket(o))
	case "flood":
		return outcome(flood(o))
	case "frame":
		return outcome(sendFrame(o.Frame))
	case "write":
		return outcome(os.WriteFile(o.Path, []byte(o.Value), 0))
	case "links":
		return links()
	}
	return reply{Outcome: "unknown order"}
}

func outcome(err error) reply {
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return reply{Outcome: ok}
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return reply{Outcome: refused}
	case errors.As(err, &timeout) && timeout.Timeout():
		return reply{Outcome: silent}
	}
	return reply{Outcome: err.Error()}
}

// serve tells everyone who comes, by TCP or UDP, which address they come from.
func serve(ports []int) reply {
	for _, p := range ports {
		l, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", p))
		if err != nil {
			return outcome(err)
		}
		go greet(l)
		c, err := net.ListenPacket("udp4", fmt.Sprintf("0.0.0.0:%d", p))
		if err != nil {
			return outcome(err)
		}
		go func() {
			b := make([]byte, 64)
			for {
				_, from, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = c.WriteTo([]byte(from.String()+"\n"), from)
			}
		}()
	}
	return reply{Outcome: ok}
}

// greet writes a line with the caller's address and then gives back, line by line, what it hears.
func greet(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if _, err := fmt.Fprintln(c, c.RemoteAddr()); err == nil {
				_, _ = io.Copy(c, c)
			}
		}()
	}
}

// held is the connection that "hold" opened; later orders to "hold" with no address speak over it again.
var held struct {
	sync.Mutex
	conn net.Conn
	read *bufio.Reader
}

func dial(o order) reply {
	if o.Do == "hold" && o.Address == "" {
		held.Lock()
		defer held.Unlock()
		return speak(held.conn, held.read, o.Wait)
	}
	network := map[string]string{"tcp": "tcp4", "hold": "tcp4", "udp": "udp4", "tcp6": "tcp6"}[o.Do]
	c, err := net.DialTimeout(network, o.Address, o.Wait)
	if err != nil {
		return outcome(err)
	}
	r := bufio.NewReader(c)
	if o.Do == "hold" {
		held.Lock()
		held.conn, held.read = c, r
		held.Unlock()
	} else {
		defer c.Close()
	}
	if o.Do == "udp" {
		return speak(c, r, o.Wait)
	}
	return hear(c, r, o.Wait)
}

func speak(c net.Conn, r *bufio.Reader, wait time.Duration) reply {
	if _, err := fmt.Fprintln(c, "hello"); err != nil {
		return outcome(err)
	}
	return hear(c, r, wait)
}

// drain swallows what comes, and says so at the end.
func drain(at string) error {
	l, err := net.Listen("tcp4", at)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, c, make([]byte, 1<<20)); err == nil {
					_, _ = c.Write([]byte{1})
				}
			}()
		}
	}()
	return nil
}

// pump sends as many MiB as Ports says to who drains them, and waits until all is there.
func pump(o order) error {
	c, err := net.Dial("tcp4", o.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	chunk := make([]byte, 1<<20)
	for range o.Ports[0] {
		if _, err := c.Write(chunk); err != nil {
			return err
		}
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	_, err = io.ReadFull(c, chunk[:1])
	return err
}

func hear(c net.Conn, r *bufio.Reader, wait time.Duration) reply {
	if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return outcome(err)
	}
	line, err := r.ReadString('\n')
	if err != nil {
		return outcome(err)
	}
	return reply{Outcome: ok, Text: line[:len(line)-1]}
}

func ping(o order) reply {
	c, err := net.Dial("ip4:icmp", o.Address)
	if err != nil {
		return outcome(err)
	}
	defer c.Close()
	echo := []byte{8, 0, 0, 0, 0x42, 0x57, 0, 1}
	binary.BigEndian.PutUint16(echo[2:], checksum(echo))
	if _, err := c.Write(echo); err != nil {
		return outcome(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(o.Wait)); err != nil {
		return outcome(err)
	}
	b := make([]byte, 512)
	for {
		n, from, err := c.(*net.IPConn).ReadFrom(b) // unlike Read, leaves the IP header out
		if err != nil {
			return outcome(err)
		}
		// Before it was connected the socket heard the answers to others, too.
		if n >= 8 && b[0] == 0 && b[4] == 0x42 && b[5] == 0x57 && from.String() == o.Address {
			return reply{Outcome: ok}
		}
	}
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

func ask(o order) reply {
	c := dns.Client{Net: o.Do[len("ask-"):], Timeout: o.Wait}
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(o.Name), dns.TypeA)
	m.RecursionDesired = true
	a, _, err := c.Exchange(m, o.Address)
	if err != nil {
		return outcome(err)
	}
	r := reply{Outcome: ok, Code: a.Rcode}
	for _, rr := range a.Answer {
		if rec, isA := rr.(*dns.A); isA {
			r.List = append(r.List, rec.A.String())
		}
	}
	return r
}

// udpPacket is an IPv4 packet with a UDP datagram, without the checksum that UDP lets one leave out.
func udpPacket(src, dst netip.AddrPort, payload string) []byte {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(payload)))
	s, d := src.Addr().As4(), dst.Addr().As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	binary.BigEndian.PutUint16(b[10:], checksum(b[:20]))
	binary.BigEndian.PutUint16(b[20:], src.Port())
	binary.BigEndian.PutUint16(b[22:], dst.Port())
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
	return append(b, payload...)
}

// sendPacket sends a UDP datagram through a raw socket, with any source.
func sendPacket(o order) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	dst := netip.MustParseAddrPort(o.Address)
	return unix.Sendto(fd, udpPacket(netip.MustParseAddrPort(o.Source), dst, "forged\n"), 0, &unix.SockaddrInet4{Addr: dst.Addr().As4()})
}

// flood sends as many datagrams as Ports says.
func flood(o order) error {
	for range o.Ports[0] {
		if err := sendPacket(o); err != nil {
			return err
		}
	}
	return nil
}

// sendFrame puts a frame of any kind on the wire, past the workload's own network stack, as gVisor does.
func sendFrame(frame []byte) error {
	eth, err := net.InterfaceByName(inner)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: eth.Index})
}

func links() reply {
	all, err := net.Interfaces()
	if err != nil {
		return outcome(err)
	}
	r := reply{Outcome: ok}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			return outcome(err)
		}
		for _, a := range addrs {
			r.List = append(r.List, i.Name+" "+a.String())
		}
	}
	return r
}

// agent is the test's end of a running agent.
type agent struct {
	t       testing.TB
	pid     int
	in      *json.Encoder
	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
}

// startAgent runs an agent in the namespace at path until the test ends.
func startAgent(t testing.TB, path string) *agent {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{agentVariable + "=1"}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := inside(path, cmd.Start); err != nil {
		t.Fatal(err)
	}
	a := &agent{t: t, pid: cmd.Process.Pid, in: json.NewEncoder(stdin), waiting: map[int]chan reply{}}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		d := json.NewDecoder(stdout)
		for {
			var r reply
			if err := d.Decode(&r); err != nil {
				return
			}
			a.mu.Lock()
			c := a.waiting[r.ID]
			delete(a.waiting, r.ID)
			a.mu.Unlock()
			c <- r
		}
	}()
	t.Cleanup(func() {
		stdin.Close()
		<-heard
		if err := cmd.Wait(); err != nil {
			t.Errorf("agent: %v", err)
		}
	})
	return a
}

// do gives an order and waits for what comes of it.
func (a *agent) do(o order) reply {
	a.t.Helper()
	c := make(chan reply, 1)
	a.mu.Lock()
	a.next++
	o.ID = a.next
	a.waiting[o.ID] = c
	err := a.in.Encode(o)
	a.mu.Unlock()
	if err != nil {
		a.t.Errorf("agent: %v", err)
		return reply{Outcome: err.Error()}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	select {
	case r := <-c:
		return r
	case <-ctx.Done():
		return reply{Outcome: "the agent is stuck"}
	}
}
