package egress_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"bawn.dev/internal/egress"
)

// vector is bytes with their length before them.
func vector(lengthBytes int, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	length := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	return append(length[4-lengthBytes:], body...)
}

func extension(kind uint16, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, kind), vector(2, body)...)
}

// hostName is an entry of the list in a server_name extension.
func hostName(name string) []byte { return append([]byte{0}, vector(2, []byte(name))...) }

func sni(entries ...[]byte) []byte { return extension(0, vector(2, entries...)) }

// body is a ClientHello without the header of its message.
func body(extensions ...[]byte) []byte {
	return bytes.Join([][]byte{
		{3, 3}, bytes.Repeat([]byte{7}, 32), vector(1, make([]byte, 32)), vector(2, []byte{0x13, 1}), vector(1, []byte{0}), vector(2, extensions...),
	}, nil)
}

// records cuts a ClientHello's message into records of at most size bytes.
func records(size int, body []byte) []byte {
	message := append([]byte{1}, vector(3, body)...)
	var out []byte
	for len(message) > 0 {
		n := min(size, len(message))
		out = append(out, append([]byte{22, 3, 1}, vector(2, message[:n])...)...)
		message = message[n:]
	}
	return out
}

func hello(extensions ...[]byte) []byte { return records(1<<14, body(extensions...)) }

// realHello is what Go's client sends.
func realHello(t testing.TB, name string) []byte {
	t.Helper()
	var sent bytes.Buffer
	tls.Client(replay{Reader: strings.NewReader(""), Writer: &sent}, &tls.Config{ServerName: name}).Handshake()
	if sent.Len() == 0 {
		t.Fatal("no greeting was sent")
	}
	return sent.Bytes()
}

// replay is a connection on which everything was said.
type replay struct {
	net.Conn
	io.Reader
	io.Writer
}

func (r replay) Read(b []byte) (int, error)  { return r.Reader.Read(b) }
func (r replay) Write(b []byte) (int, error) { return r.Writer.Write(b) }
func (r replay) Close() error                { return nil }

func TestGreetings(t *testing.T) {
	good := map[string][]byte{
		"Go's":                       realHello(t, "pypi.example.org"),
		"a plain one":                hello(sni(hostName("pypi.example.org"))),
		"upper case":                 hello(sni(hostName("PyPI.example.ORG"))),
		"a dot at the end":           hello(sni(hostName("pypi.example.org."))),
		"records of one byte":        records(1, body(sni(hostName("pypi.example.org")))),
		"other extensions around it": hello(extension(43, []byte{2, 3, 4}), sni(hostName("pypi.example.org")), extension(21, make([]byte, 500))),
		"an encrypted one beside it": hello(sni(hostName("pypi.example.org")), extension(0xfe0d, make([]byte, 200))),
	}
	for what, raw := range good {
		stream := bytes.NewReader(append(bytes.Clone(raw), "more"...))
		name, read, err := egress.ReadHello(iotest.OneByteReader(stream))
		if err != nil || name != "pypi.example.org" || !bytes.Equal(read, raw) || stream.Len() != len("more") {
			t.Errorf("%s: %q, %v, %d bytes left", what, name, err, stream.Len())
		}
	}
	one := sni(hostName("pypi.example.org"))
	plain := hello(one)
	change := func(i int, b byte) []byte {
		c := bytes.Clone(plain)
		c[i] = b
		return c
	}
	bad := map[string][]byte{
		"nothing":                         nil,
		"HTTP":                            []byte("GET / HTTP/1.1\r\nHost: pypi.example.org\r\n\r\n"),
		"SSH":                             []byte("SSH-2.0-OpenSSH_9.2\r\n"),
		"SSL 2":                           append([]byte{0x80, 46, 1, 3, 1}, make([]byte, 43)...),
		"SSL 3":                           change(2, 0),
		"another version":                 change(1, 2),
		"a body of another version":       change(9, 2),
		"a ServerHello":                   change(5, 2),
		"no name":                         hello(extension(43, []byte{2, 3, 4})),
		"no extensions":                   records(1<<14, body()[:len(body())-2]),
		"no extensions in the list":       hello(),
		"an empty list of names":          hello(sni()),
		"an empty name":                   hello(sni(hostName(""))),
		"two names":                       hello(sni(hostName("pypi.example.org"), hostName("evil.example.org"))),
		"a name of another type first":    hello(sni(append([]byte{1}, vector(2, []byte("x"))...), hostName("pypi.example.org"))),
		"a name of another type":          hello(sni(append([]byte{1}, vector(2, []byte("pypi.example.org"))...))),
		"two extensions of names":         hello(one, sni(hostName("evil.example.org"))),
		"the same twice":                  hello(one, one),
		"another extension twice":         hello(one, extension(10, nil), extension(10, nil)),
		"an IPv4 address":                 hello(sni(hostName("203.0.113.7"))),
		"an IPv6 address":                 hello(sni(hostName("2001:db8::1"))),
		"a number":                        hello(sni(hostName("3405803783"))),
		"a hexadecimal address":           hello(sni(hostName("0xcb.0.0x71.0x7"))),
		"one label":                       hello(sni(hostName("localhost"))),
		"a NUL":                           hello(sni(hostName("pypi.example.org\x00.evil.example.org"))),
		"a space":                         hello(sni(hostName("pypi.example.org evil"))),
		"a script that is not an A-label": hello(sni(hostName("пример.example.org"))),
		"a port":                          hello(sni(hostName("pypi.example.org:443"))),
		"a long label":                    hello(sni(hostName(strings.Repeat("a", 64) + ".example.org"))),
		"a long name":                     hello(sni(hostName(strings.Repeat("a.", 127) + "org"))),
		"bytes behind the list":           hello(extension(0, append(vector(2, hostName("pypi.example.org")), 0))),
		"bytes behind the name":           hello(sni(append(hostName("pypi.example.org"), 0))),
		"bytes behind the extensions":     records(1<<14, append(body(one), 0)),
		"a second message in the record":  append([]byte{22, 3, 1}, vector(2, plain[5:], plain[5:])...),
		"an empty record":                 append([]byte{22, 3, 1, 0, 0}, plain...),
		"an alert between records":        append(records(9, body(one))[:14], 21, 3, 3, 0, 2, 1, 0),
		"a session of 33 bytes":           change(5+4+34, 33),
		"no cipher suites":                records(1<<14, bytes.Join([][]byte{{3, 3}, make([]byte, 32), {0}, {0, 0}, {1, 0}, vector(2, one)}, nil)),
		"an odd cipher suite":             records(1<<14, bytes.Join([][]byte{{3, 3}, make([]byte, 32), {0}, {0, 1, 1}, {1, 0}, vector(2, one)}, nil)),
		"17 KiB":                          hello(one, extension(21, make([]byte, 17<<10))),
		"16 KiB in records of one byte":   records(1, body(one, extension(21, make([]byte, 4<<10)))),
		"a promise of 16 MiB":             change(6, 0xff),
	}
	for n := range plain {
		bad["half of one: "+string(rune('a'+n%26))+strings.Repeat("'", n/26)] = plain[:n]
	}
	for what, raw := range bad {
		if name, _, err := egress.ReadHello(bytes.NewReader(raw)); err == nil || name != "" {
			t.Errorf("%s is taken for %q", what, name)
		}
	}
	if _, _, err := egress.ReadHello(bytes.NewReader(bad["two names"])); !errors.Is(err, egress.ErrForm) {
		t.Errorf("got %v", err)
	}
}

// Whatever greeting is taken, crypto/tls's server reads the same name in it, if it reads one at all; and it is forwarded
// as it came.
func FuzzGreeting(f *testing.F) {
	f.Add(realHello(f, "pypi.example.org"))
	f.Add(hello(sni(hostName("pypi.example.org"))))
	f.Add(records(1, body(sni(hostName("a.b")))))
	f.Add(hello(sni(hostName("a.b"), hostName("c.d"))))
	f.Add(hello(sni(hostName("a.b")), sni(hostName("c.d"))))
	f.Fuzz(func(t *testing.T, raw []byte) {
		name, read, err := egress.ReadHello(bytes.NewReader(raw))
		if err != nil {
			return
		}
		if !bytes.HasPrefix(raw, read) {
			t.Fatal("the records were changed")
		}
		if again, err := egress.Canonical(name); err != nil || again != name {
			t.Fatalf("%q is not canonical", name)
		}
		seen, got := serverSees(raw)
		if got && strings.TrimSuffix(strings.ToLower(seen), ".") != name {
			t.Fatalf("a server sees %q, the gateway %q", seen, name)
		}
	})
}

// serverSees is the name that Go's server finds in a greeting.
func serverSees(raw []byte) (name string, ok bool) {
	stop := errors.New("seen")
	server := tls.Server(replay{Reader: bytes.NewReader(raw), Writer: io.Discard}, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name, ok = h.ServerName, true
		return nil, stop
	}})
	server.Handshake()
	return name, ok
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"a.b": "a.b", "A.B.": "a.b", "xn--e1afmkfd.xn--p1ai": "xn--e1afmkfd.xn--p1ai", "1.2.3.4.example": "1.2.3.4.example",
		"r4---sn-x.example.com": "r4---sn-x.example.com",
		"":                      "", ".": "", "a": "", "a..b": "", ".a.b": "", "a.b..": "", "-a.b": "", "a-.b": "", "a_b.c": "", "*.a.b": "", "a.b:443": "",
		"1.2.3.4": "", "1.2.3.0x4": "", "127.1": "", "[::1]": "", "a.b@c.d": "", "a.b/c": "", "a.b\n": "", "a.b%00": "", "а.b": "",
	} {
		got, err := egress.Canonical(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}
