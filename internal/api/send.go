package api

import (
	"context"
	"io"
	"net/http"
	"reflect"

	"bawn.dev/internal/uuid"
)

// longStream is the size in bytes from which a stream's end is worth a record of
// its own. A shorter one gets it only when it broke off.
const longStream = 1 << 20

// send answers a call that succeeded. Its record is durable by now. How a long
// stream ended is a second record with the same request id.
func (d *Door) send(ctx context.Context, w http.ResponseWriter, c *Call, out any) {
	c.release() // whoever reads slowly must not hold the snapshot
	body := streamOf(out)
	if body == nil {
		if err := c.match.Encode(w, c.RequestID, out); err != nil {
			d.Log.Debug("the caller went away", "request", c.RequestID, "err", err)
		}
		return
	}
	count := &counter{ReadCloser: *body}
	*body = count
	err := c.match.Encode(w, c.RequestID, out)
	count.Close()
	if err == nil && count.err == nil && count.n < longStream {
		return
	}
	end := c.event(nil, nil)
	end.EventTime = d.Now()
	end.EventID = uuid.At(end.EventTime)
	end.AdditionalEventData = object(map[string]any{"stream": "end", "bytesTransferredOut": count.n})
	if count.err != nil { // what was stored is not what is there now
		end.ErrorCode, end.ErrorMessage = "IntegrityFailure", "the stored bytes failed their check"
		d.Log.Error("a stream broke off", "request", c.RequestID, "err", count.err)
	} else if err != nil {
		end.ErrorCode, end.ErrorMessage = "ClientDisconnected", "the caller went away"
	}
	if err := d.Trail.Write(ctx, end); err != nil {
		d.Log.Error("the end of a stream was not recorded", "request", c.RequestID, "err", err)
	}
	if count.err != nil || err != nil {
		panic(http.ErrAbortHandler) // the peer must not take what it got for the whole
	}
}

// streamOf finds the one stream that an output may have.
func streamOf(out any) *io.ReadCloser {
	v := reflect.ValueOf(out)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return nil
	}
	f := v.Elem().FieldByName("Body")
	if !f.IsValid() || f.IsZero() {
		return nil
	}
	body, ok := f.Addr().Interface().(*io.ReadCloser)
	if !ok {
		return nil
	}
	return body
}

// discard closes the stream of an output that will not be sent.
func discard(out any) {
	if body := streamOf(out); body != nil {
		(*body).Close()
	}
}

// counter counts what was read and keeps the source's own failure apart from the
// peer's.
type counter struct {
	io.ReadCloser
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}
