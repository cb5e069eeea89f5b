package egress

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync/atomic"
)

// A guard holds a TLS client to the name of its first greeting. A server of TLS 1.3 may ask for a second one (RFC 8446,
// 4.1.4), and some choose whom to be by that: so until the server has answered in another way, each of the client's
// handshake records must be a greeting for the same name.
type guard struct {
	name   string
	lifted atomic.Bool
}

// retry is the random number of a ServerHello that asks for a second greeting.
const retry = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

// Parts of a ServerHello's record: RFC 8446, 5.1, 4 and 4.1.3.
const (
	serverHello     = 2
	helloWithRandom = handshakeHeader + randomAndVersion
	maxCiphertext   = maxRecord + 2048 // of TLS 1.2, which is the larger
)

// answered forwards the beginning of what the server says, and lifts the guard if it settles the matter.
func (g *guard) answered(to io.Writer, from io.Reader) error {
	b := make([]byte, recordHeader+helloWithRandom)
	n, err := io.ReadFull(from, b[:recordHeader])
	handshake := err == nil && b[0] == recordHandshake
	if handshake && int(binary.BigEndian.Uint16(b[3:])) >= helloWithRandom {
		var m int
		m, err = io.ReadFull(from, b[recordHeader:])
		n += m
		body := b[recordHeader:n]
		if err == nil && body[0] == serverHello && !bytes.HasSuffix(body, []byte(retry)) {
			g.lifted.Store(true)
		}
	}
	if !handshake {
		g.lifted.Store(true) // an alert, or no TLS: no greeting is answered to this
	}
	_, writeErr := to.Write(b[:n])
	if writeErr != nil {
		return writeErr
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil // whoever copies the rest sees the end
	}
	return err
}

// asks forwards the client's records until the guard is lifted or a second greeting has passed it.
func (g *guard) asks(to io.Writer, from io.Reader) error {
	b := make([]byte, recordHeader, 512)
	for {
		b = b[:recordHeader]
		if _, err := io.ReadFull(from, b); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if g.lifted.Load() {
			_, err := to.Write(b)
			return err
		}
		if b[0] == recordHandshake {
			name, raw, err := readHello(io.MultiReader(bytes.NewReader(b), from))
			if err != nil || name != g.name {
				return ErrFronting
			}
			_, err = to.Write(raw)
			return err
		}
		size := int(binary.BigEndian.Uint16(b[3:]))
		if size > maxCiphertext {
			return ErrFronting
		}
		var err error
		if b, err = readMore(from, b, size); err != nil {
			return err
		}
		if _, err = to.Write(b); err != nil {
			return err
		}
	}
}
