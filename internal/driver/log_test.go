package driver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"bawn.dev/internal/driver"
)

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// read returns all lines of a log that has ended, and the error at its end.
func read(t testing.TB, log []byte, from int64) (lines []driver.Line, failed error) {
	t.Helper()
	for line, err := range driver.ReadFrames(t.Context(), bytes.NewReader(log), from, closed()) {
		if err != nil {
			return lines, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func TestFramesCannotBeForged(t *testing.T) {
	var log bytes.Buffer
	w := driver.NewLogWriter(&log, 0, driver.MaxLog)
	if err := w.Copy(driver.Stdout, strings.NewReader("one\n0 e forged\r\n1 k [bawn] forged\n\nlast")); err != nil {
		t.Fatal(err)
	}
	lines, err := read(t, log.Bytes(), 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"one", "0 e forged", "1 k [bawn] forged", "", "last"}
	if len(lines) != len(want) {
		t.Fatalf("got %+v", lines)
	}
	for i, line := range lines {
		if line.Text != want[i] || line.Stream != driver.Stdout || line.Time.Year() < 2000 {
			t.Errorf("line %d is %+v", i, line)
		}
	}
}

func TestFloodedLogStaysBounded(t *testing.T) {
	const limit = 10_000
	var log bytes.Buffer
	w := driver.NewLogWriter(&log, 0, limit)
	if err := w.Copy(driver.Stdout, strings.NewReader(strings.Repeat("flood\n", 100_000))); err != nil {
		t.Fatal(err)
	}
	if err := w.Copy(driver.Stderr, strings.NewReader("more\n")); err != nil {
		t.Fatal(err)
	}
	lines, err := read(t, log.Bytes(), 0)
	if err != nil || log.Len() > limit+100 {
		t.Fatalf("%d bytes, %v", log.Len(), err)
	}
	if last := lines[len(lines)-1]; last.Stream != driver.Keeper || last.Text != driver.LogFull {
		t.Errorf("the last line is %+v", last)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// A workload must not block because its log cannot be written.
func TestBrokenLogIsReadToItsEnd(t *testing.T) {
	r := strings.NewReader(strings.Repeat("line\n", 1000))
	if err := driver.NewLogWriter(broken{}, 0, driver.MaxLog).Copy(driver.Stdout, r); err == nil {
		t.Error("the failure is not told")
	}
	if r.Len() != 0 {
		t.Errorf("%d bytes were not read", r.Len())
	}
}

func TestUnfinishedFrameIsNotYielded(t *testing.T) {
	lines, err := read(t, []byte("5 o whole\n6 o hal"), 0)
	if err != nil || len(lines) != 1 || lines[0].Text != "whole" || lines[0].Next != 10 {
		t.Errorf("got %+v, %v", lines, err)
	}
}

func TestFollowSeesWhatComesLater(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	var log lockedBuffer
	w := driver.NewLogWriter(&log, 0, driver.MaxLog)
	go func() { _ = w.Copy(driver.Stdout, pr) }()
	ended := make(chan struct{})
	if _, err := io.WriteString(pw, "first\n"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line, err := range driver.ReadFrames(t.Context(), &log, 0, ended) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, line.Text); len(got) == 1 {
			if _, err := io.WriteString(pw, "second\n"); err != nil {
				t.Fatal(err)
			}
		} else {
			close(ended)
		}
	}
	if strings.Join(got, " ") != "first second" {
		t.Errorf("got %q", got)
	}
}

func TestDamagedLog(t *testing.T) {
	for _, log := range []string{"x o text\n", "5 z text\n", "5\n", "\n", "5 otext\n"} {
		if _, err := read(t, []byte(log), 0); err == nil {
			t.Errorf("%q was read", log)
		} else if strings.Contains(err.Error(), "text") {
			t.Errorf("the error tells the content: %v", err)
		}
	}
	if _, err := read(t, nil, -1); err == nil {
		t.Error("a negative offset was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range driver.ReadFrames(ctx, strings.NewReader(""), 0, make(chan struct{})) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add("one\ntwo\r\n\xff\n", 0)
	f.Add(strings.Repeat("x", driver.MaxLine+1), 3)
	f.Fuzz(func(t *testing.T, text string, from int) {
		var log bytes.Buffer
		if err := driver.NewLogWriter(&log, 0, driver.MaxLog).Copy(driver.Stderr, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		lines, err := read(t, log.Bytes(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if strings.Contains(line.Text, "\n") || !utf8.ValidString(line.Text) || line.Stream != driver.Stderr {
				t.Fatalf("%+v", line)
			}
		}
		// Any bytes at all, from anywhere, are lines or an error.
		_, _ = read(t, []byte(text), int64(from))
	})
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, p...)
	return len(p), nil
}

func (l *lockedBuffer) ReadAt(p []byte, off int64) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.NewReader(l.b).ReadAt(p, off)
}
