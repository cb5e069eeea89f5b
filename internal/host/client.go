package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/fabric"
	"bawn.dev/internal/netmodel"
)

// Client is the server's side of the door. Its methods may be called concurrently;
// each fails with [ErrUnavailable] while no host runs, or when it dies before it has
// answered (what was asked for may then be done or not: ask again), and works again
// once one does. No state is kept between calls.
type Client struct {
	dir  string
	http *http.Client
}

// NewClient returns a client of the host that serves the data directory. It does
// no I/O.
func NewClient(data string) *Client {
	c := &Client{dir: filepath.Join(data, "run")}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx, c.dir, socketName, "unix")
		},
		DisableCompression: true,
		// A connection costs less than a request that was sent into one which a
		// host that was killed had left.
		DisableKeepAlives: true,
	}}
	return c
}

// Close lets go of what is open. Streams and listeners that were handed out are
// their receivers'.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Capabilities says what the host can enforce.
func (c *Client) Capabilities(ctx context.Context) (Capabilities, error) {
	return get[Capabilities](ctx, c, "/capabilities", nil)
}

// Deeds is what the host's journal has after a deed: some, and again what comes then.
func (c *Client) Deeds(ctx context.Context, after int64) (Deeds, error) {
	return get[Deeds](ctx, c, "/journal", url.Values{"after": {strconv.FormatInt(after, 10)}})
}

// ApplyVPC makes the machine match v, and goes on doing so when the host restarts.
// Applying what holds already costs little. Interfaces are in it before their
// workload is prepared.
func (c *Client) ApplyVPC(ctx context.Context, v *netmodel.VPC) error {
	body, err := v.Encode()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c.tell(ctx, http.MethodPut, "/vpcs/"+url.PathEscape(v.ID), nil, bytes.NewReader(body))
}

// RemoveVPC takes a VPC away. One that does not exist is no error.
func (c *Client) RemoveVPC(ctx context.Context, id string) error {
	return c.tell(ctx, http.MethodDelete, "/vpcs/"+url.PathEscape(id), nil, nil)
}

// VPCs returns the ids of all VPCs that were applied and not removed, sorted.
func (c *Client) VPCs(ctx context.Context) ([]string, error) {
	return get[[]string](ctx, c, "/vpcs", nil)
}

// ApplyTransit makes the machine match g, as ApplyVPC does for a VPC. Its links come
// when their VPCs have been applied too, in any order.
func (c *Client) ApplyTransit(ctx context.Context, g *netmodel.TransitGateway) error {
	body, err := g.Encode()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c.tell(ctx, http.MethodPut, "/transits/"+url.PathEscape(g.ID), nil, bytes.NewReader(body))
}

// RemoveTransit takes a transit gateway away. One that does not exist is no error.
func (c *Client) RemoveTransit(ctx context.Context, id string) error {
	return c.tell(ctx, http.MethodDelete, "/transits/"+url.PathEscape(id), nil, nil)
}

// Transits returns the ids of all transit gateways that were applied and not
// removed, sorted.
func (c *Client) Transits(ctx context.Context) ([]string, error) {
	return get[[]string](ctx, c, "/transits", nil)
}

// Flows calls emit with what flows in a VPC until ctx ends, emit fails or the VPC
// is removed (nil in the last case). One reader at a time.
func (c *Client) Flows(ctx context.Context, vpcID string, emit func(fabric.FlowRecord) error) error {
	return follow(ctx, c, "/vpcs/"+url.PathEscape(vpcID)+"/flows", emit)
}

// Queries calls emit with what the VPC's name server is asked until ctx ends, emit
// fails or the VPC is removed (nil in the last case). One reader at a time; names
// are what workloads chose.
func (c *Client) Queries(ctx context.Context, vpcID string, emit func(fabric.Query) error) error {
	return follow(ctx, c, "/vpcs/"+url.PathEscape(vpcID)+"/queries", emit)
}

// Events calls emit with what was found to be changed by others on the machine's
// networks, and was repaired or was not, until ctx ends or emit fails. What was found
// while nobody listened is told first. One reader at a time.
func (c *Client) Events(ctx context.Context, emit func(fabric.Event) error) error {
	return follow(ctx, c, "/events", emit)
}

// follow reads a stream of values.
func follow[T any](ctx context.Context, c *Client, path string, emit func(T) error) error {
	resp, err := c.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := jsontext.NewDecoder(body(ctx, resp))
	for {
		var v T
		if err := json.UnmarshalDecode(lines, &v, json.RejectUnknownMembers(true)); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return errors.Join(ctx.Err(), fmt.Errorf("host: a stream: %w", err))
		}
		if err := emit(v); err != nil {
			return err
		}
	}
}

// Image resolves a name among the images present on the host: one that was given to
// an image there, or any name that ends in a digest, or the digest alone.
func (c *Client) Image(ctx context.Context, ref string) (Image, error) {
	return get[Image](ctx, c, "/image", url.Values{"ref": {ref}})
}

// Prepare makes and opens the workload's volume under the key and joins it to its
// network: both or nothing. [ErrExists] when it was prepared before.
func (c *Client) Prepare(ctx context.Context, o Order) error {
	if err := o.Spec.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	body, err := json.Marshal(o, json.Deterministic(true))
	if err != nil {
		return err
	}
	defer clear(body)
	return c.tell(ctx, http.MethodPut, workload(o.Spec.ID), nil, bytes.NewReader(body))
}

// Put stages one file of a prepared workload, owned by its user. path is relative
// to the volume and clean; directories are made. The file appears whole or, when r
// or the host fails, not at all; an older one is replaced.
func (c *Client) Put(ctx context.Context, id, path string, r io.Reader) error {
	// Without NopCloser net/http would close a file that is the caller's.
	return c.tell(ctx, http.MethodPut, workload(id)+"/file", url.Values{"path": {path}}, io.NopCloser(r))
}

// Start runs a prepared workload, once; it returns when it runs. [ErrExists] when it
// was started before. It is not undone when ctx ends.
func (c *Client) Start(ctx context.Context, id string) error {
	return c.tell(ctx, http.MethodPost, workload(id)+"/start", nil, nil)
}

// Stop asks the workload to end as its specification says, and returns when that is
// under way, which it stays though the host restarts; State tells the end. Stopping
// what has ended is no error.
func (c *Client) Stop(ctx context.Context, id string) error {
	return c.tell(ctx, http.MethodPost, workload(id)+"/stop", nil, nil)
}

// State returns one workload's state.
func (c *Client) State(ctx context.Context, id string) (State, error) {
	return get[State](ctx, c, workload(id), nil)
}

// States returns the states of all workloads that are not removed, sorted by id.
func (c *Client) States(ctx context.Context) ([]State, error) {
	return get[[]State](ctx, c, "/workloads", nil)
}

// Logs returns at once the lines that are there from an offset on (0, or Next of
// an earlier answer), at most max of them and never more than [MaxLines].
func (c *Client) Logs(ctx context.Context, id string, from int64, max int) (Lines, error) {
	return get[Lines](ctx, c, workload(id)+"/logs", url.Values{
		"from": {strconv.FormatInt(from, 10)}, "max": {strconv.Itoa(max)},
	})
}

// Archive returns one directory of an exited workload's volume as tar.gz, with
// names relative to it: regular files and directories only. It ends with an error,
// not with io.EOF, when it is not whole. A directory that does not exist is
// [ErrNotFound].
func (c *Client) Archive(ctx context.Context, id, dir string) (io.ReadCloser, error) {
	resp, err := c.do(ctx, http.MethodGet, workload(id)+"/archive", url.Values{"dir": {dir}}, nil)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{body(ctx, resp), resp.Body}, nil
}

// ReadFile returns at most max bytes (and never more than [MaxFile]) from the
// beginning of a regular file of an exited workload's volume.
func (c *Client) ReadFile(ctx context.Context, id, path string, max int64) ([]byte, error) {
	resp, err := c.do(ctx, http.MethodGet, workload(id)+"/file", url.Values{"path": {path}, "max": {strconv.FormatInt(max, 10)}}, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(body(ctx, resp), min(max, MaxFile)))
}

// Lock kills the workload and takes its volume's key away, for good: nothing can be
// read any more. It may be repeated.
func (c *Client) Lock(ctx context.Context, id string) error {
	return c.tell(ctx, http.MethodPost, workload(id)+"/lock", nil, nil)
}

// Remove kills the workload and leaves nothing of it. One that does not exist is no
// error: Remove may be repeated until it succeeds.
func (c *Client) Remove(ctx context.Context, id string) error {
	return c.tell(ctx, http.MethodDelete, workload(id), nil, nil)
}

func workload(id string) string { return "/workloads/" + url.PathEscape(id) }

// do sends one request and returns a successful answer, whose body the caller
// closes.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, in io.Reader) (*http.Response, error) {
	target := "http://host" + path
	if query != nil {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, in)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the address says nothing
		}
		if ctx.Err() == nil && (errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)) {
			err = errors.Join(ErrUnavailable, err)
		}
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	var f failure
	if err := json.UnmarshalRead(io.LimitReader(resp.Body, maxAnswer), &f, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("host: answered %s", resp.Status)
	}
	return nil, f.err()
}

func (c *Client) tell(ctx context.Context, method, path string, query url.Values, in io.Reader) error {
	resp, err := c.do(ctx, method, path, query, in)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var out T
	resp, err := c.do(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	err = json.UnmarshalRead(io.LimitReader(resp.Body, maxAnswer), &out, json.RejectUnknownMembers(true))
	if err != nil {
		return out, errors.Join(ctx.Err(), fmt.Errorf("host: an answer: %w", err))
	}
	return out, nil
}

// body reads an answer's body to its end, and turns an end that the host's trailer
// calls a failure into one.
func body(ctx context.Context, resp *http.Response) io.Reader { return &ending{ctx, resp} }

type ending struct {
	ctx  context.Context
	resp *http.Response
}

func (s *ending) Read(p []byte) (int, error) {
	n, err := s.resp.Body.Read(p)
	if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	if why := s.resp.Trailer.Get(streamError); why != "" {
		return n, errors.New(why)
	}
	return n, err
}

// Listen opens a TCP listener inside a VPC's namespace, on an address and port of
// one of its endpoints or of the credentials endpoint. Remote addresses are those
// of interfaces and cannot be forged. The listener is the caller's, and outlives
// the host; that of a VPC which was removed hears nothing more.
func (c *Client) Listen(ctx context.Context, vpcID string, addr netip.AddrPort) (net.Listener, error) {
	file, err := c.receive(ctx, ask{VPC: vpcID, Address: addr})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return net.FileListener(file)
}

// Dial connects by TCP, inside a VPC, from the address of one of its dialers to one
// of its interfaces, whose groups decide whether it hears of it. The connection is
// the caller's, and outlives the host.
func (c *Client) Dial(ctx context.Context, vpcID string, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	file, err := c.receive(ctx, ask{VPC: vpcID, Address: to, From: from})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return net.FileConn(file)
}
