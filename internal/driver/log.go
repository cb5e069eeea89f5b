package driver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of what a workload may write. A line is as long as CloudWatch Logs
// lets an event be; a longer one is cut into several. A log that is full ends
// with [LogFull], and what follows is read and dropped, so that a workload
// which floods its log neither blocks nor fills its volume.
const (
	MaxLine = 256<<10 - 26
	MaxLog  = 1 << 30
)

// LogFull is the text of the last line of a log that reached its bound.
const LogFull = "[bawn] the log is full; what follows is dropped"

// Stream is where a line came from.
type Stream byte

const (
	Stdout Stream = 'o'
	Stderr Stream = 'e'
	// Keeper lines were not written by the workload but about its log.
	Keeper Stream = 'k'
)

// Line is one line that a workload wrote, without its newline. Text is valid
// UTF-8; other bytes were replaced.
type Line struct {
	Time   time.Time
	Stream Stream
	Text   string
	// Next is the offset at which the following line begins.
	Next int64
}

// A log is a file of frames, each one line:
//
//	<unix nanoseconds> <stream> <text>\n
//
// Text holds no newline, so a frame cannot be forged from within one.

// LogWriter turns the two streams of a workload into frames of one log.
type LogWriter struct {
	mu   sync.Mutex
	w    io.Writer
	max  int64
	size int64
	full bool
}

// NewLogWriter appends frames to w, which holds size bytes, up to max bytes
// altogether.
func NewLogWriter(w io.Writer, size, max int64) *LogWriter {
	return &LogWriter{w: w, max: max, size: size}
}

// Copy reads r to its end and frames every line of it. A failing write does not
// stop it: a workload must not block because its log cannot be kept. The first
// such failure is returned at the end.
func (l *LogWriter) Copy(s Stream, r io.Reader) error {
	in := bufio.NewReaderSize(r, MaxLine)
	var failed error
	for {
		text, err := in.ReadSlice('\n')
		if len(text) > 0 {
			if werr := l.frame(s, bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))); failed == nil {
				failed = werr
			}
		}
		switch {
		case err == nil || errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return failed
		default:
			return errors.Join(failed, err)
		}
	}
}

func (l *LogWriter) frame(s Stream, text []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full {
		return nil
	}
	if l.size+int64(len(text))+64 > l.max {
		l.full = true
		s, text = Keeper, []byte(LogFull)
	}
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	frame := strconv.AppendInt(make([]byte, 0, len(text)+32), time.Now().UnixNano(), 10)
	frame = append(append(append(frame, ' ', byte(s), ' '), text...), '\n')
	n, err := l.w.Write(frame)
	l.size += int64(n)
	return err
}

// pollLog is how often a reader looks for more. A log is followed by one
// reader, and this is well below what a person notices.
const pollLog = 20 * time.Millisecond

// ReadFrames yields the frames of a log from an offset on. While ended is open
// it waits for more; once ended is closed it stops at the end.
func ReadFrames(ctx context.Context, log io.ReaderAt, from int64, ended <-chan struct{}) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		if err := follow(ctx, log, from, ended, yield); err != nil {
			yield(Line{}, err)
		}
	}
}

func follow(ctx context.Context, log io.ReaderAt, from int64, ended <-chan struct{}, yield func(Line, error) bool) error {
	if from < 0 {
		return errors.New("driver: a negative offset")
	}
	tick := time.NewTicker(pollLog)
	defer tick.Stop()
	for {
		// Asked before reading: what was written before the end is then read.
		over := false
		select {
		case <-ended:
			over = true
		default:
		}
		next, more, err := readAvailable(ctx, log, from, yield)
		if err != nil || !more {
			return err
		}
		from = next
		if over {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
		case <-tick.C:
		}
	}
}

// readAvailable yields the whole frames that are there now. A frame without its
// newline is still being written: it is read again later, from its beginning.
func readAvailable(ctx context.Context, log io.ReaderAt, from int64, yield func(Line, error) bool) (next int64, more bool, err error) {
	in := bufio.NewReaderSize(io.NewSectionReader(log, from, math.MaxInt64-from), 64<<10)
	for {
		if err := ctx.Err(); err != nil {
			return from, false, err
		}
		frame, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return from, true, nil
		}
		if err != nil {
			return from, false, err
		}
		line, err := parseFrame(frame)
		if err != nil {
			return from, false, err
		}
		from += int64(len(frame))
		line.Next = from
		if !yield(line, nil) {
			return from, false, nil
		}
	}
}

// errFrame keeps the text out: a log's content is the customer's.
var errFrame = errors.New("driver: the log is damaged")

func parseFrame(frame string) (Line, error) {
	nanos, rest, ok := strings.Cut(strings.TrimSuffix(frame, "\n"), " ")
	at, err := strconv.ParseInt(nanos, 10, 64)
	if !ok || err != nil || len(rest) < 2 || rest[1] != ' ' {
		return Line{}, errFrame
	}
	s := Stream(rest[0])
	if s != Stdout && s != Stderr && s != Keeper {
		return Line{}, errFrame
	}
	return Line{Time: time.Unix(0, at), Stream: s, Text: rest[2:]}, nil
}
