package locked

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is freed is zero before anybody else can get it, and pieces never overlap.
func TestPieces(t *testing.T) {
	a := New()
	dice := rand.New(rand.NewPCG(1, 2))
	type held struct {
		piece []byte
		mark  byte
	}
	var all []held
	for i := range 20_000 {
		if len(all) > 200 || len(all) > 0 && dice.IntN(3) == 0 {
			n := dice.IntN(len(all))
			h := all[n]
			if !bytes.Equal(h.piece, bytes.Repeat([]byte{h.mark}, len(h.piece))) {
				t.Fatal("a piece was written through another")
			}
			a.Free(h.piece)
			if !bytes.Equal(h.piece, make([]byte, len(h.piece))) {
				t.Fatal("a freed piece is not zero")
			}
			all[n] = all[len(all)-1]
			all = all[:len(all)-1]
			continue
		}
		size := dice.IntN(MaxSize + 1)
		p := a.Alloc(size)
		if len(p) != size || !bytes.Equal(p, make([]byte, size)) {
			t.Fatalf("%d bytes: %d, not all zero", size, len(p))
		}
		mark := byte(i)
		for i := range p {
			p[i] = mark
		}
		all = append(all, held{p, mark})
	}
	if s := a.Status(); s.Locked+s.Unlocked > 4<<20 {
		t.Errorf("200 pieces cost %d bytes", s.Locked+s.Unlocked)
	}
}

// The pages of an arena are locked where the limit allows, and in no core dump.
func TestPagesAreLockedAndNotDumped(t *testing.T) {
	a := New()
	p := a.Copy([]byte("0123456789abcdef0123456789abcdef"))
	flags := flagsOf(t, p)
	if !strings.Contains(flags, " dd") {
		t.Errorf("the pages may be dumped: %s", flags)
	}
	s := a.Status()
	if s.Locked > 0 != strings.Contains(flags, " lo") {
		t.Errorf("status %+v, flags %s", s, flags)
	}
	if s.Locked == 0 {
		var limit unix.Rlimit
		unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit)
		if limit.Cur >= 4*regionSize || s.Err == nil {
			t.Errorf("not locked within a limit of %d bytes: %v", limit.Cur, s.Err)
		}
	}
}

// A read beyond a region ends the process instead of answering what lies there.
func TestGuards(t *testing.T) {
	a := New()
	inside := a.regions[0]
	page := unix.Getpagesize()
	for _, at := range []int{0, len(inside) - page} {
		if f := permissionsOf(t, inside[at:at+1]); !strings.HasPrefix(f, "---") {
			t.Errorf("the guard page is %s", f)
		}
	}
}

func flagsOf(t *testing.T, p []byte) string {
	t.Helper()
	_, rest := mapping(t, p)
	for line := range strings.Lines(rest) {
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok {
			return strings.TrimSpace(" "+flags) + " "
		}
	}
	t.Fatal("no flags")
	return ""
}

func permissionsOf(t *testing.T, p []byte) string {
	t.Helper()
	head, _ := mapping(t, p)
	return strings.Fields(head)[1]
}

// mapping is what the kernel says of the mapping that p lies in.
func mapping(t *testing.T, p []byte) (head, rest string) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	at := uintptr(unsafe.Pointer(unsafe.SliceData(p)))
	lines := strings.SplitAfter(string(text), "\n")
	for i, line := range lines {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 && from <= at && at < to {
			return line, strings.Join(lines[i+1:min(len(lines), i+40)], "")
		}
	}
	t.Fatal("no mapping")
	return "", ""
}
