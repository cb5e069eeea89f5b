package metadata_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/metadata"
	"bawn.dev/internal/netlimit"
)

const vpc = "vpc-1"

// world knows two workloads in one VPC, and one in another with the first one's
// address.
type world struct {
	tokens map[string]string            // by workload
	places map[string]map[string]string // by VPC and address
	denied map[string]bool
	life   time.Duration
	broken error
}

func newWorld() *world {
	places := map[string]map[string]string{
		vpc:     {"10.0.0.10": "mine", "10.0.0.11": "other"},
		"vpc-2": {"10.0.0.10": "far"},
	}
	w := &world{places: places, tokens: map[string]string{}, denied: map[string]bool{}, life: 15 * time.Minute}
	for _, id := range []string{"mine", "other", "far"} {
		w.tokens[id] = metadata.NewToken()
	}
	return w
}

func (w *world) At(_ context.Context, vpcID string, a netip.Addr) (metadata.Workload, error) {
	id, ok := w.places[vpcID][a.String()]
	if !ok {
		return metadata.Workload{}, metadata.ErrUnknown
	}
	return metadata.Workload{ID: id, Token: metadata.Hash(w.tokens[id])}, nil
}

func (w *world) Mint(_ context.Context, id string) (metadata.Credentials, error) {
	if w.denied[id] {
		return metadata.Credentials{}, metadata.ErrDenied
	}
	return metadata.Credentials{
		RoleARN: "arn:aws:iam::123456789012:role/" + id, AccessKeyID: "ASIA" + id, SecretAccessKey: "secret-of-" + id,
		Token: "session-of-" + id, Expiration: time.Now().Add(w.life),
	}, w.broken
}

type rig struct {
	*world
	handler http.Handler
	log     bytes.Buffer
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{world: newWorld()}
	h, err := metadata.New(metadata.Config{VPC: vpc, Directory: r, Minter: r, Log: slog.New(slog.NewTextHandler(&r.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	r.handler = h
	return r
}

// get asks from an address, after the request was changed.
func (r *rig) get(from, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.RequestURI, req.Host, req.RemoteAddr = target, "169.254.170.2", from+":40000"
	for _, c := range change {
		c(req)
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	return w
}

func (r *rig) path(id string) string { return metadata.Path(r.tokens[id]) }

func TestOwnCredentials(t *testing.T) {
	r := newRig(t)
	w := r.get("10.0.0.10", r.path("mine"))
	var got map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d, %v", w.Code, err)
	}
	expires, err := time.Parse(time.RFC3339, got["Expiration"])
	if err != nil || time.Until(expires) > 15*time.Minute || time.Until(expires) < 14*time.Minute {
		t.Errorf("expires %v, %v", got["Expiration"], err)
	}
	delete(got, "Expiration")
	want := map[string]string{
		"RoleArn": "arn:aws:iam::123456789012:role/mine", "AccessKeyId": "ASIAmine",
		"SecretAccessKey": "secret-of-mine", "Token": "session-of-mine",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v", got)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Error("it may be cached")
	}
}

// Every attack gets the same refusal, and nothing of anybody's.
func TestAttacks(t *testing.T) {
	r := newRig(t)
	header := func(name, value string) func(*http.Request) {
		return func(q *http.Request) { q.Header.Set(name, value) }
	}
	mine := r.path("mine")
	token := r.tokens["mine"]
	attacks := []struct {
		name, from, target string
		change             func(*http.Request)
	}{
		{"another's token from this address", "10.0.0.10", r.path("other"), nil},
		{"this token from another's address", "10.0.0.11", mine, nil},
		{"the token of the same address in another VPC", "10.0.0.10", r.path("far"), nil},
		{"an address that nobody has", "10.0.0.99", mine, nil},
		{"an address in X-Forwarded-For", "10.0.0.99", mine, header("X-Forwarded-For", "10.0.0.10")},
		{"an address in Forwarded", "10.0.0.99", mine, header("Forwarded", "for=10.0.0.10")},
		{"an address in X-Real-IP", "10.0.0.99", mine, header("X-Real-IP", "10.0.0.10")},
		{"through a proxy of the workload", "10.0.0.10", mine, header("X-Forwarded-For", "203.0.113.7")},
		{"through a proxy that says so", "10.0.0.10", mine, header("Via", "1.1 proxy")},
		{"under a name that leads here", "10.0.0.10", mine, func(q *http.Request) { q.Host = "evil.example" }},
		{"under the metadata address", "10.0.0.10", mine, func(q *http.Request) { q.Host = "169.254.169.254" }},
		{"without a host", "10.0.0.10", mine, func(q *http.Request) { q.Host = "" }},
		{"POST", "10.0.0.10", mine, func(q *http.Request) { q.Method = http.MethodPost }},
		{"PUT", "10.0.0.10", mine, func(q *http.Request) { q.Method = http.MethodPut }},
		{"HEAD", "10.0.0.10", mine, func(q *http.Request) { q.Method = http.MethodHead }},
		{"OPTIONS", "10.0.0.10", mine, func(q *http.Request) { q.Method = http.MethodOptions }},
		{"TRACE", "10.0.0.10", mine, func(q *http.Request) { q.Method = "TRACE" }},
		{"a body", "10.0.0.10", mine, func(q *http.Request) { q.ContentLength = 4 }},
		{"a body of unknown length", "10.0.0.10", mine, func(q *http.Request) { q.ContentLength = -1 }},
		{"no token", "10.0.0.10", metadata.Prefix, nil},
		{"the root", "10.0.0.10", "/", nil},
		{"part of the token", "10.0.0.10", mine[:len(mine)-1], nil},
		{"more than the token", "10.0.0.10", mine + "a", nil},
		{"a slash behind it", "10.0.0.10", mine + "/", nil},
		{"a query", "10.0.0.10", mine + "?a=b", nil},
		{"upper case", "10.0.0.10", metadata.Prefix + strings.ToUpper(token), nil},
		{"dots", "10.0.0.10", "/v2/x/../credentials/" + token, nil},
		{"two slashes", "10.0.0.10", "//v2/credentials/" + token, nil},
		{"an escaped slash", "10.0.0.10", "/v2%2fcredentials/" + token, nil},
		{"an escaped letter", "10.0.0.10", fmt.Sprintf("%s%%%02x%s", metadata.Prefix, token[0], token[1:]), nil},
		{"an absolute target", "10.0.0.10", "http://169.254.170.2" + mine, nil},
		{"another version", "10.0.0.10", "/v3/credentials/" + token, nil},
		{"a very long token", "10.0.0.10", metadata.Prefix + strings.Repeat("a", 4096), nil},
	}
	refusal := ""
	for _, a := range attacks {
		changes := []func(*http.Request){}
		if a.change != nil {
			changes = append(changes, a.change)
		}
		w := r.get(a.from, a.target, changes...)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", a.name, w.Code)
		}
		if refusal == "" {
			refusal = w.Body.String()
		}
		if w.Body.String() != refusal {
			t.Errorf("%s is told apart: %s", a.name, w.Body)
		}
	}
	if w := r.get("not an address", mine); w.Code != http.StatusForbidden {
		t.Errorf("no address: %d", w.Code)
	}
}

func TestMinterDecides(t *testing.T) {
	r := newRig(t)
	ask := func() int { return r.get("10.0.0.10", r.path("mine")).Code }
	r.denied["mine"] = true
	if got := ask(); got != http.StatusForbidden {
		t.Errorf("denied: %d", got)
	}
	r.denied["mine"] = false
	if got := ask(); got != http.StatusOK {
		t.Errorf("allowed again: %d", got)
	}
	for _, life := range []time.Duration{-time.Second, 0, time.Hour + time.Minute} {
		r.life = life
		if w := r.get("10.0.0.10", r.path("mine")); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("credentials that live %v: %d %s", life, w.Code, w.Body)
		}
	}
	r.life, r.broken = time.Minute, errors.New("the store is gone")
	if w := r.get("10.0.0.10", r.path("mine")); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "store") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if log := r.log.String(); !strings.Contains(log, "the store is gone") || strings.Contains(log, r.tokens["mine"]) || strings.Contains(log, "secret-of") {
		t.Errorf("the log: %s", log)
	}
}

// Who guesses is slowed down, and slows nobody else.
func TestRate(t *testing.T) {
	r := newRig(t)
	limited := false
	for range 1000 {
		limited = limited || r.get("10.0.0.11", metadata.Prefix+"guess").Code == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("a thousand guesses were answered")
	}
	if w := r.get("10.0.0.10", r.path("mine")); w.Code != http.StatusOK {
		t.Errorf("another workload: %d", w.Code)
	}
}

// Over a real connection: the server reads no more than it must, and what a parser
// might make of a strange request is refused.
func TestRawRequests(t *testing.T) {
	r := newRig(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.places[vpc]["127.0.0.1"] = "mine"
	h, err := metadata.New(metadata.Config{VPC: vpc, Directory: r, Minter: r, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := metadata.Server(h)
	go server.Serve(l)
	defer server.Close()
	for request, want := range map[string]int{
		"GET " + r.path("mine") + " HTTP/1.1\r\nHost: 169.254.170.2\r\n\r\n":                                              200,
		"GET " + r.path("other") + " HTTP/1.1\r\nHost: 169.254.170.2\r\n\r\n":                                             404,
		"GET http://169.254.170.2" + r.path("mine") + " HTTP/1.1\r\nHost: 169.254.170.2\r\n\r\n":                          404,
		"GET " + r.path("mine") + " HTTP/1.1\r\nHost: 169.254.170.2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":       404,
		"GET " + r.path("mine") + " HTTP/1.1\r\nHost: 169.254.170.2\r\nX-Pad: " + strings.Repeat("a", 1<<17) + "\r\n\r\n": 431,
		"CONNECT 169.254.170.2:80 HTTP/1.1\r\nHost: 169.254.170.2\r\n\r\n":                                                404,
	} {
		if got := raw(t, l.Addr().String(), request); got != want {
			t.Errorf("%.60q: %d, want %d", request, got, want)
		}
	}
}

func raw(t *testing.T, addr, request string) int {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go io.WriteString(c, request)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// A workload that hoards connections gets no more than its share, and gets them
// back when it lets go.
func TestHoarding(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := netlimit.Listen(inner, metadata.Connections)
	defer l.Close()
	served := make(chan net.Conn, 1000)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(served)
				return
			}
			io.WriteString(c, "!")
			served <- c
		}
	}()
	dial := func() (welcome bool) {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		n, _ := c.Read(make([]byte, 1)) // a byte, or the end
		return n == 1
	}
	welcome := 0
	for range 100 {
		if dial() {
			welcome++
		}
	}
	if welcome != 32 {
		t.Errorf("%d of 100 connections were served", welcome)
	}
	(<-served).Close()
	if !dial() || dial() {
		t.Error("one that was closed made room for not exactly one")
	}
	l.Close()
	for c := range served {
		c.Close()
	}
}

// anywhere has the same workload at every address.
type anywhere struct{ *world }

func (a anywhere) At(context.Context, string, netip.Addr) (metadata.Workload, error) {
	return metadata.Workload{ID: "mine", Token: metadata.Hash(a.tokens["mine"])}, nil
}

func BenchmarkCredentials(b *testing.B) {
	b.ReportAllocs()
	w := newWorld()
	h, err := metadata.New(metadata.Config{VPC: vpc, Directory: anywhere{w}, Minter: w, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.RequestURI, req.Host = metadata.Path(w.tokens["mine"]), "169.254.170.2"
	for i := 0; b.Loop(); i++ {
		req.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", i>>8&0x3f, i&0xff)
		h.ServeHTTP(httptest.NewRecorder(), req)
	}
}

// Of all requests from an address one alone has an answer.
func FuzzRequests(f *testing.F) {
	for _, s := range [][4]string{
		{"GET", "/v2/credentials/x", "169.254.170.2", ""}, {"GET", "/v2/credentials/", "169.254.170.2:80", "10.0.0.10"},
		{"POST", "/", "", ""}, {"GET", "/v2/credentials/%61", "169.254.170.2", ""},
	} {
		f.Add(s[0], s[1], s[2], s[3])
	}
	f.Fuzz(func(t *testing.T, method, target, name, forwarded string) {
		r := newRig(t)
		w := r.get("10.0.0.10", target, func(q *http.Request) {
			q.Method, q.Host = method, name
			q.Header.Set("X-Forwarded-For", forwarded)
		})
		if w.Code != http.StatusNotFound && target != r.path("mine") {
			t.Errorf("%s %q: %d", method, target, w.Code)
		}
	})
}
