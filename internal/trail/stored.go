package trail

import (
	_ "embed"
	"sync"

	"github.com/klauspost/compress/s2"
)

// An event is stored compressed, against a text of what events have in common: a byte
// that says so, then a block of S2. One that compression does not shorten, and those of
// earlier releases, are stored as they are, and begin with '{'.
const byDictionary1 = 1

// What is stored is read with it: once released it is never edited, a better one gets
// another number.
//
//go:embed dictionary1.txt
var text1 []byte

var dictionary1 = s2.MakeDict(text1, nil)

// scratch lends room for an event and for what it is compressed to.
var scratch = sync.Pool{New: func() any { return new([2][]byte) }}

// compressed is how an event is stored; room is for the work.
func compressed(event []byte, room *[]byte) []byte {
	if n := s2.MaxEncodedLen(len(event)); cap(*room) < n {
		*room = make([]byte, n)
	}
	block := dictionary1.Encode((*room)[:0], event)
	if len(block) >= len(event) {
		return append([]byte(nil), event...)
	}
	return append(append(make([]byte, 0, 1+len(block)), byDictionary1), block...)
}

// expanded is the event that is stored so. What nobody stored stands for itself: it is
// no leaf's event, and whoever looks says so.
func expanded(stored []byte) []byte {
	if len(stored) == 0 || stored[0] != byDictionary1 {
		return stored
	}
	if n, err := s2.DecodedLen(stored[1:]); err != nil || n > maxEvent {
		return stored
	}
	event, err := dictionary1.Decode(nil, stored[1:])
	if err != nil {
		return stored
	}
	return event
}

// Expand is the event in the column event of trail_records: for whoever reads the
// database without its server.
func Expand(stored []byte) []byte { return expanded(stored) }
