package egress

import (
	"errors"
	"io"
	"net"
	"sync"
)

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// pipe moves bytes both ways until both ends are done, or one fails. An end that is done sending may still receive.
// The reader is the client's side, with what of it was read before; the guard is nil for what is not TLS.
func (f *flow) pipe(client io.Reader, g *guard) {
	far := f.outside()
	var up sync.WaitGroup
	up.Go(func() {
		var err error
		if g != nil {
			err = g.asks(far, client)
		}
		if errors.Is(err, ErrFronting) {
			f.cut(err)
		}
		if err != nil || move(far, client) != nil || closeWrite(f.out) != nil {
			f.end()
		}
	})
	var err error
	if g != nil {
		err = g.answered(f.client, far)
	}
	if err != nil || move(f.client, far) != nil || closeWrite(f.client) != nil {
		f.end()
	}
	up.Wait()
}

// end closes both sides, so that neither direction waits for the other.
func (f *flow) end() {
	f.out.Close()
	f.client.Close()
}

func move(to io.Writer, from io.Reader) error {
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	// Neither end may bring its own way of copying: it would bring its own buffer, or go past the count.
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, buf[:])
	return err
}

// closeWrite tells a peer that no more comes. An error says that this cannot be told without closing.
func closeWrite(c net.Conn) error {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}
