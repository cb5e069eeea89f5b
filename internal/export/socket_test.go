package export_test

import (
	"bufio"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestSocket(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		for name, test := range map[string]func(*rig, string){
			"Reads":             reads,
			"ReadsNothing":      readsNothing,
			"GoesAwayMidLine":   goesAwayMidLine,
			"GoesAwayUnread":    goesAwayUnread,
			"ComesLate":         comesLate,
			"SaysMuch":          saysMuch,
			"StopsWhileItWaits": stopsWhileItWaits,
		} {
			t.Run(name, func(t *testing.T) { test(newRig(t, open(t)), filepath.Join(t.TempDir(), "s")) })
		}
	})
}

func listen(t testing.TB, path string) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func accept(t testing.TB, l *net.UnixListener) (*net.UnixConn, *bufio.Reader) {
	t.Helper()
	c, err := l.AcceptUnix()
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c, bufio.NewReader(c)
}

// lines reads so many.
func lines(t testing.TB, from *bufio.Reader, n int) string {
	t.Helper()
	var b strings.Builder
	for range n {
		line, err := from.ReadString('\n')
		must(t, err)
		b.WriteString(line)
	}
	return b.String()
}

func reads(r *rig, path string) {
	l := listen(r, path)
	r.act(20)
	e, stop := r.running("unix:" + path)
	_, in := accept(r, l)
	got := lines(r, in, 20)
	r.act(700)
	got += lines(r, in, 700)
	r.settled(e)
	stop()
	same(r, got, r.all())
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		r.Errorf("and %q, %v", rest, err)
	}
}

// A reader that reads nothing stops its export and nothing else: what happens is recorded,
// memory does not grow with it, and all comes once it reads.
func readsNothing(r *rig, path string) {
	l := listen(r, path)
	e, stop := r.running("unix:" + path)
	r.act(1)
	_, in := accept(r, l)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	r.act(2000) // more than the kernel takes
	before := heap()
	r.act(8000)
	if grown := int64(heap()) - int64(before); grown > 6<<20 {
		r.Errorf("the memory in use grew by %d bytes", grown)
	}
	if s := r.status(e); s.Behind < 9000 {
		r.Errorf("nothing was read, and it is at %+v", s)
	}
	same(r, lines(r, in, 10001), r.all())
	r.settled(e)
	stop()
}

// A reader that ends in the middle of a line gets it, or the next reader does, whole.
func goesAwayMidLine(r *rig, path string) {
	l := listen(r, path)
	r.act(400)
	want := strings.SplitAfter(r.all(), "\n")
	e, stop := r.running("unix:" + path)
	var got []string
	for _, n := range []int{10, 0, 100} {
		c, in := accept(r, l)
		got = append(got, strings.SplitAfter(lines(r, in, n), "\n")[:n]...)
		if _, err := in.Peek(7); err != nil {
			r.Error(err)
		}
		must(r, c.Close())
	}
	_, in := accept(r, l)
	last := strings.SplitAfter(lines(r, in, 1), "\n")[0]
	at := slices.Index(want, last)
	got = append(got, last)
	got = append(got, strings.SplitAfter(lines(r, in, len(want)-2-at), "\n")...)
	r.settled(e)
	stop()
	// Every line came, each new one after all that are before it.
	next := 0
	for _, line := range got {
		if line == "" {
			continue
		}
		at := slices.Index(want, line)
		if at < 0 || at > next {
			r.Fatalf("line %d came after line %d: %q", at, next-1, line)
		}
		next = max(next, at+1)
	}
	if next != 400 {
		r.Errorf("%d lines came", next)
	}
}

// What a reader had in the kernel and never read was not handed on.
func goesAwayUnread(r *rig, path string) {
	l := listen(r, path)
	r.act(5)
	e, stop := r.running("unix:" + path)
	c, in := accept(r, l)
	if _, err := in.Peek(1); err != nil { // they are all there
		r.Error(err)
	}
	must(r, c.Close())
	_, in = accept(r, l)
	same(r, lines(r, in, 5), r.all())
	r.settled(e)
	stop()
}

func comesLate(r *rig, path string) {
	e, stop := r.running("unix:" + path)
	r.act(5)
	for r.status(e).Trouble == "" {
	}
	if s := r.status(e); s.Behind != 5 {
		r.Errorf("%+v", s)
	}
	_, in := accept(r, listen(r, path))
	same(r, lines(r, in, 5), r.all())
	r.settled(e)
	stop()
}

// What a reader says is not read.
func saysMuch(r *rig, path string) {
	l := listen(r, path)
	r.act(5)
	e, stop := r.running("unix:" + path)
	c, in := accept(r, l)
	go c.Write(make([]byte, 1<<20)) //nolint:errcheck // it never ends
	same(r, lines(r, in, 5), r.all())
	r.settled(e)
	r.act(5)
	lines(r, in, 5)
	r.settled(e)
	stop()
}

// A server that ends does not wait for a reader.
func stopsWhileItWaits(r *rig, path string) {
	l := listen(r, path)
	r.act(3000)
	e, stop := r.running("unix:" + path)
	_, in := accept(r, l)
	lines(r, in, 1)
	stop()
	if s := r.status(e); s.Seq > 256 {
		r.Errorf("%+v", s)
	}
	e, stop = r.running("unix:" + path)
	_, in = accept(r, l)
	same(r, lines(r, in, 3000), r.all())
	r.settled(e)
	stop()
}
