package host

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"
)

// passDescriptors answers requests for listeners and connections, one each, until
// the socket is closed.
func (s *Server) passDescriptors(ctx context.Context) {
	door := &guarded{s.descriptors, s.config.User, s.config.Log}
	for {
		c, err := door.accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.config.Log.Error("accepting on the socket of descriptors", "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond): // out of descriptors, perhaps
			}
			continue
		}
		go func() {
			defer c.Close()
			if err := s.pass(ctx, c); err != nil {
				s.config.Log.Warn("passing a descriptor", "error", err)
			}
		}()
	}
}

// dialTime bounds how long a connection is tried.
const dialTime = 8 * time.Second

// pass opens one listener, or connection, and sends it. Our copy is closed in any
// case.
func (s *Server) pass(ctx context.Context, c *net.UnixConn) error {
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	text := make([]byte, maxAsk)
	n, err := c.Read(text)
	if err != nil {
		return err
	}
	var a ask
	if err := json.Unmarshal(text[:n], &a, json.RejectUnknownMembers(true)); err != nil {
		return refuse(c, errors.Join(ErrInvalid, err))
	}
	file, err := s.open(ctx, a)
	if err != nil {
		return refuse(c, err)
	}
	defer file.Close()
	answer, err := json.Marshal(failure{})
	if err != nil {
		return err
	}
	_, _, err = c.WriteMsgUnix(answer, unix.UnixRights(int(file.Fd())), nil)
	return err
}

func (s *Server) open(ctx context.Context, a ask) (*os.File, error) {
	if !a.From.IsValid() {
		return s.config.Machine.Listen(ctx, a.VPC, a.Address)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	return s.config.Machine.Dial(ctx, a.VPC, a.From, a.Address)
}

func refuse(c *net.UnixConn, err error) error {
	f, _ := told(err)
	f.Message = f.Message[:min(len(f.Message), maxAsk/8)] // six bytes each in JSON's widest escapes
	answer, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_, err = c.Write(answer)
	return err
}
