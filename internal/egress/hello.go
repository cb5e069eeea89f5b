package egress

import (
	"encoding/binary"
	"io"
)

// maxHello bounds a greeting, its records' headers included. Those of today, with post-quantum keys, have 2 KiB.
const maxHello = 16 << 10

// Numbers of TLS: RFC 8446, 5.1 and 4; RFC 6066, 3.
const (
	recordHandshake   = 22
	recordHeader      = 5
	maxRecord         = 1 << 14
	clientHello       = 1
	handshakeHeader   = 4
	extensionName     = 0
	nameIsHost        = 0
	randomAndVersion  = 2 + 32
	maxSession        = 32
	maxExtensionTypes = 1 << 16
)

// readHello reads the records of one ClientHello and not a byte more. It returns them, to be sent on as they are, and the
// canonical server name in them.
func readHello(r io.Reader) (name string, raw []byte, err error) {
	raw = make([]byte, 0, 2048)
	var message []byte
	for {
		start := len(raw)
		if raw, err = readMore(r, raw, recordHeader); err != nil {
			return "", nil, err
		}
		h := raw[start:]
		size := int(binary.BigEndian.Uint16(h[3:]))
		if h[0] != recordHandshake || h[1] != 3 || h[2] < 1 || h[2] > 3 {
			return "", nil, form("no TLS greeting")
		}
		if size == 0 || size > maxRecord || len(raw)+size > maxHello {
			return "", nil, form("a TLS greeting in records of a wrong size")
		}
		if raw, err = readMore(r, raw, size); err != nil {
			return "", nil, err
		}
		message = append(message, raw[start+recordHeader:]...)
		if message[0] != clientHello {
			return "", nil, form("the TLS greeting is no ClientHello")
		}
		if len(message) < handshakeHeader {
			continue
		}
		want := handshakeHeader + int(message[1])<<16 + int(message[2])<<8 + int(message[3])
		if want > maxHello || len(message) > want {
			return "", nil, form("the TLS greeting has a wrong length")
		}
		if len(message) == want {
			name, err = serverName(message[handshakeHeader:])
			return name, raw, err
		}
	}
}

// readMore reads exactly n bytes more.
func readMore(r io.Reader, b []byte, n int) ([]byte, error) {
	old := len(b)
	b = append(b, make([]byte, n)...)
	_, err := io.ReadFull(r, b[old:])
	return b, err
}

// serverName finds the one host name in the body of a ClientHello. Whatever another parser could read in another way is
// refused: a field that does not end where it says, an extension or a name that comes twice.
func serverName(hello []byte) (string, error) {
	in := field(hello)
	var session, suites, compressions, extensions field
	if _, ok := in.cut(randomAndVersion); !ok || hello[0] != 3 || hello[1] < 1 ||
		!in.vector(1, &session) || len(session) > maxSession ||
		!in.vector(2, &suites) || len(suites) == 0 || len(suites)%2 != 0 ||
		!in.vector(1, &compressions) || len(compressions) == 0 ||
		!in.vector(2, &extensions) || len(in) != 0 {
		return "", form("the TLS greeting is malformed, or names no server")
	}
	var seen [maxExtensionTypes / 64]uint64
	name := ""
	for len(extensions) > 0 {
		kind, ok := extensions.cut(2)
		var body field
		if !ok || !extensions.vector(2, &body) {
			return "", form("the TLS greeting has a malformed extension")
		}
		t := binary.BigEndian.Uint16(kind)
		if seen[t/64]&(1<<(t%64)) != 0 {
			return "", form("the TLS greeting has an extension twice")
		}
		seen[t/64] |= 1 << (t % 64)
		if t != extensionName {
			continue
		}
		var list, host field
		if !body.vector(2, &list) || len(body) != 0 || len(list) == 0 || list[0] != nameIsHost {
			return "", form("the TLS greeting has a malformed server name")
		}
		list = list[1:]
		if !list.vector(2, &host) || len(list) != 0 {
			return "", form("the TLS greeting has not exactly one server name")
		}
		var err error
		if name, err = canonical(string(host)); err != nil {
			return "", err
		}
	}
	if name == "" {
		return "", form("the TLS greeting names no server")
	}
	return name, nil
}

// A field is what of a message is not yet parsed.
type field []byte

// cut takes the first n bytes off.
func (f *field) cut(n int) (field, bool) {
	if len(*f) < n {
		return nil, false
	}
	head := (*f)[:n]
	*f = (*f)[n:]
	return head, true
}

// vector takes a length of so many bytes off, and as many bytes as it says.
func (f *field) vector(lengthBytes int, into *field) bool {
	length, ok := f.cut(lengthBytes)
	if !ok {
		return false
	}
	n := 0
	for _, b := range length {
		n = n<<8 | int(b)
	}
	*into, ok = f.cut(n)
	return ok
}
