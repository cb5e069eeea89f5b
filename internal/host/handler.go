package host

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/fabric"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/spec"
)

// handler is every request that a host answers.
func handler(m Machine, j *Journal) http.Handler {
	mux := http.NewServeMux()
	answer := func(pattern string, do func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			out, err := do(r)
			if err != nil {
				fail(w, err)
				return
			}
			write(w, http.StatusOK, out)
		})
	}
	// about answers requests that name a workload.
	about := func(pattern string, do func(r *http.Request, id string) (any, error)) {
		answer(pattern, func(r *http.Request) (any, error) {
			id := r.PathValue("id")
			if !spec.ValidID(id) {
				return nil, ErrNotFound
			}
			return do(r, id)
		})
	}
	tell := func(pattern string, do func(context.Context, string) error) {
		about(pattern, func(r *http.Request, id string) (any, error) { return done, do(r.Context(), id) })
	}

	answer("GET /capabilities", func(*http.Request) (any, error) { return m.Capabilities(), nil })
	answer("GET /journal", func(r *http.Request) (any, error) { return deeds(j, r.URL.Query().Get("after")) })
	answer("GET /vpcs", func(*http.Request) (any, error) { return m.VPCs() })
	answer("PUT /vpcs/{id}", func(r *http.Request) (any, error) { return done, applyVPC(m, r) })
	answer("DELETE /vpcs/{id}", func(r *http.Request) (any, error) { return done, m.RemoveVPC(r.Context(), r.PathValue("id")) })
	answer("GET /transits", func(*http.Request) (any, error) { return m.Transits() })
	answer("PUT /transits/{id}", func(r *http.Request) (any, error) { return done, applyTransit(m, r) })
	answer("DELETE /transits/{id}", func(r *http.Request) (any, error) { return done, m.RemoveTransit(r.Context(), r.PathValue("id")) })
	mux.HandleFunc("GET /vpcs/{id}/flows", func(w http.ResponseWriter, r *http.Request) {
		stream(w, func(emit func(fabric.FlowRecord) error) error { return m.Flows(r.Context(), r.PathValue("id"), emit) })
	})
	mux.HandleFunc("GET /vpcs/{id}/queries", func(w http.ResponseWriter, r *http.Request) {
		stream(w, func(emit func(fabric.Query) error) error { return m.Queries(r.Context(), r.PathValue("id"), emit) })
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		stream(w, func(emit func(fabric.Event) error) error { return m.Events(r.Context(), emit) })
	})
	answer("GET /image", func(r *http.Request) (any, error) { return m.Image(r.URL.Query().Get("ref")) })

	answer("GET /workloads", func(*http.Request) (any, error) { return m.States() })
	about("GET /workloads/{id}", func(_ *http.Request, id string) (any, error) { return m.State(id) })
	about("PUT /workloads/{id}", func(r *http.Request, id string) (any, error) { return done, prepare(m, r, id) })
	tell("POST /workloads/{id}/start", m.Start)
	tell("POST /workloads/{id}/stop", m.Stop)
	tell("POST /workloads/{id}/lock", m.Lock)
	tell("DELETE /workloads/{id}", m.Remove)
	about("GET /workloads/{id}/logs", func(r *http.Request, id string) (any, error) { return logs(m, r, id) })
	mux.HandleFunc("PUT /workloads/{id}/file", func(w http.ResponseWriter, r *http.Request) { put(m, w, r) })
	mux.HandleFunc("GET /workloads/{id}/file", func(w http.ResponseWriter, r *http.Request) { readFile(m, w, r) })
	mux.HandleFunc("GET /workloads/{id}/archive", func(w http.ResponseWriter, r *http.Request) { archive(m, w, r) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fail(w, ErrNotFound) })
	return mux
}

func deeds(j *Journal, after string) (Deeds, error) {
	seq, err := strconv.ParseInt(after, 10, 64)
	if err != nil {
		return Deeds{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if j == nil {
		return Deeds{Deeds: []Deed{}}, nil
	}
	return j.After(seq)
}

// done is the answer that says no more.
var done = struct{}{}

func write(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"code":"Internal","message":"an answer could not be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body) // who hung up does not hear it
}

func fail(w http.ResponseWriter, err error) {
	f, status := told(err)
	write(w, status, f)
}

// take reads the whole of a bounded body.
func take(r *http.Request, max int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, max))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return body, nil
}

func applyVPC(m Machine, r *http.Request) error {
	body, err := take(r, netmodel.MaxSize)
	if err != nil {
		return err
	}
	v, err := netmodel.Parse(body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if v.ID != r.PathValue("id") {
		return fmt.Errorf("%w: the path names another VPC", ErrInvalid)
	}
	return m.ApplyVPC(r.Context(), v)
}

func applyTransit(m Machine, r *http.Request) error {
	body, err := take(r, netmodel.MaxSize)
	if err != nil {
		return err
	}
	g, err := netmodel.ParseTransit(body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if g.ID != r.PathValue("id") {
		return fmt.Errorf("%w: the path names another transit gateway", ErrInvalid)
	}
	return m.ApplyTransit(r.Context(), g)
}

func prepare(m Machine, r *http.Request, id string) error {
	body, err := take(r, maxOrder)
	if err != nil {
		return err
	}
	defer clear(body) // the key
	var o Order
	if err := json.Unmarshal(body, &o, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("%w: a malformed order", ErrInvalid) // the parser's text might quote it
	}
	defer clear(o.Key)
	if err := o.Spec.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if o.Spec.ID != id {
		return fmt.Errorf("%w: the path names another workload", ErrInvalid)
	}
	return m.Prepare(r.Context(), o)
}

func logs(m Machine, r *http.Request, id string) (any, error) {
	from, err := number(r, "from")
	if err != nil {
		return nil, err
	}
	max, err := number(r, "max")
	if err != nil {
		return nil, err
	}
	return m.Logs(r.Context(), id, from, int(min(max, MaxLines)))
}

// number is a parameter that is not negative.
func number(r *http.Request, name string) (int64, error) {
	n, err := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: %s: want a number", ErrInvalid, name)
	}
	return n, nil
}

// put answers a failure at once, and then reads on until the client has heard it:
// one who is cut off while he sends would not learn why.
func put(m Machine, w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	err := control.EnableFullDuplex()
	if err == nil && !spec.ValidID(r.PathValue("id")) {
		err = ErrNotFound
	}
	if err == nil {
		err = m.Put(r.Context(), r.PathValue("id"), r.URL.Query().Get("path"), r.Body)
	}
	if err == nil {
		write(w, http.StatusOK, done)
		return
	}
	fail(w, err)
	if control.Flush() == nil {
		io.Copy(io.Discard, r.Body) // ends when the client hangs up
	}
}

func readFile(m Machine, w http.ResponseWriter, r *http.Request) {
	max, err := number(r, "max")
	if err == nil && !spec.ValidID(r.PathValue("id")) {
		err = ErrNotFound
	}
	if err != nil {
		fail(w, err)
		return
	}
	content, err := m.ReadFile(r.Context(), r.PathValue("id"), r.URL.Query().Get("path"), min(max, MaxFile))
	if err != nil {
		fail(w, err)
		return
	}
	w.Write(content) // who hung up does not hear it
}

// archive streams. What fails before the first byte is an answer like any other;
// what fails later is told in the trailer.
func archive(m Machine, w http.ResponseWriter, r *http.Request) {
	if !spec.ValidID(r.PathValue("id")) {
		fail(w, ErrNotFound)
		return
	}
	out := &late{w: w}
	err := m.Archive(r.Context(), r.PathValue("id"), r.URL.Query().Get("dir"), out)
	out.end(err)
}

// stream answers with what read emits, a line each, as it comes.
func stream[T any](w http.ResponseWriter, read func(emit func(T) error) error) {
	out := &late{w: w}
	err := read(func(v T) error {
		line, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	})
	out.end(err)
}

// late writes the header with the first byte.
type late struct {
	w     http.ResponseWriter
	begun bool
}

func (l *late) begin() {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Trailer", streamError)
		l.w.WriteHeader(http.StatusOK)
	}
}

func (l *late) Write(p []byte) (int, error) {
	l.begin()
	return l.w.Write(p)
}

func (l *late) end(err error) {
	if err != nil && !l.begun {
		fail(l.w, err)
		return
	}
	l.begin()
	if err != nil {
		l.w.Header().Set(streamError, printable(err.Error()))
	}
}

// printable makes a text fit for a header.
func printable(s string) string {
	text := []byte(s[:min(len(s), 1000)])
	for i, c := range text {
		if c < ' ' || c > '~' {
			text[i] = '?'
		}
	}
	return string(text)
}
