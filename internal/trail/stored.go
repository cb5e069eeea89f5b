package trail

import (
	_ "embed"
	"encoding/binary"
	"math/bits"
	"sync"
)

// An event is stored as what it has in common with others and with itself: copies out
// of a text that events are like, and of the event so far, between bytes that are new.
// That takes a third of the room, and of the processor what the database saves.
//
// The first byte says which text. Then follow pieces. Each begins with a number, twice
// its length: even, and new bytes follow; odd, and the place to copy from follows, as
// its distance from where the copy before ended. Places count through the text and then
// the event; a copy is of one of both. Numbers are as encoding/binary's varints.
//
// An event that this does not shorten, and those of earlier releases, are stored as they
// are, and begin with '{'.
const byText1 = 1

// What is stored is read with it: once released it is never edited, a better one gets
// another number.
//
//go:embed text1.txt
var text1 []byte

const (
	textBits  = 13
	eventBits = 10
	compared  = 8 // bytes that are read at once; six of them are looked up
	maxPlace  = 2 * maxEvent
)

func hashed(v uint64, size int) uint64 { return v << 16 * 227718039650203 >> (64 - size) }

// text1Places are where in the text six bytes were last.
var text1Places = sync.OnceValue(func() (places *[1 << textBits]uint16) {
	places = new([1 << textBits]uint16)
	for i := 0; i+compared <= len(text1); i++ {
		places[hashed(binary.LittleEndian.Uint64(text1[i:]), textBits)] = uint16(i)
	}
	return places
})

// room is for the work on one event.
type room struct {
	event, stored []byte
	places        [1 << eventBits]uint32
}

var rooms = sync.Pool{New: func() any { return new(room) }}

// compressed is how an event is stored.
func (w *room) compressed(event []byte) []byte {
	clear(w.places[:])
	texts := text1Places()
	out := append(w.stored[:0], byText1)
	done, last := 0, 0 // what is written, and where the last copy ended
	for i := 0; i+compared <= len(event); {
		v := binary.LittleEndian.Uint64(event[i:])
		from := int(texts[hashed(v, textBits)])
		size := common(text1[from:], event[i:])
		slot := &w.places[hashed(v, eventBits)]
		if n := common(event[*slot:i], event[i:]); n > size {
			from, size = len(text1)+int(*slot), n
		}
		*slot = uint32(i)
		if size < 4 {
			i += 1 + (i-done)>>5
			continue
		}
		if i > done {
			out = append(binary.AppendUvarint(out, uint64(i-done)<<1), event[done:i]...)
		}
		out = binary.AppendVarint(binary.AppendUvarint(out, uint64(size)<<1|1), int64(from-last))
		i += size
		done, last = i, from+size
	}
	if done < len(event) {
		out = append(binary.AppendUvarint(out, uint64(len(event)-done)<<1), event[done:]...)
	}
	w.stored = out
	if len(out) >= len(event) {
		out = event
	}
	return append([]byte(nil), out...)
}

// common is how many bytes two begin with alike.
func common(a, b []byte) (n int) {
	for n+compared <= len(a) && n+compared <= len(b) {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
		n += compared
	}
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// expanded is the event that is stored so. What nobody stored stands for itself: it is
// no leaf's event, and whoever looks says so.
func expanded(stored []byte) []byte {
	if len(stored) == 0 || stored[0] != byText1 {
		return stored
	}
	event := make([]byte, 0, min(4*len(stored), maxEvent))
	for rest, last := stored[1:], 0; len(rest) > 0; {
		head, n := binary.Uvarint(rest)
		size := int(head >> 1)
		if n <= 0 || head > maxEvent<<1|1 || len(event)+size > maxEvent {
			return stored
		}
		rest = rest[n:]
		if head&1 == 0 {
			if size > len(rest) {
				return stored
			}
			event, rest = append(event, rest[:size]...), rest[size:]
			continue
		}
		distance, n := binary.Varint(rest)
		if n <= 0 || distance < -maxPlace || distance > maxPlace {
			return stored
		}
		rest = rest[n:]
		from, source := last+int(distance), text1
		last = from + size
		if from >= len(text1) {
			from, source = from-len(text1), event
		}
		if from < 0 || from+size > len(source) {
			return stored
		}
		event = append(event, source[from:from+size]...)
	}
	return event
}

// Expand is the event in the column event of trail_records: for whoever reads the
// database without its server.
func Expand(stored []byte) []byte { return expanded(stored) }
