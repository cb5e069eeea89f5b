package blob

import (
	"encoding/binary"
	"hash/crc32"
	"time"
)

// An entry of a segment is a header and the content, padded to 8 bytes:
//
//	0   3  "BWN"
//	3   1  'L' live, 'D' deleted: the one byte that ever changes
//	4   4  length of the content, big-endian as all numbers
//	8  16  id
//	24  8  time of the commit, seconds since 1970
//	32  4  CRC-32C of the content
//	36  4  CRC-32C of the header up to here, without the state
const (
	headerSize = 40
	stateAt    = 3
	stateLive  = 'L'
	stateDead  = 'D'
)

type header struct {
	live    bool
	length  int64
	id      entryID
	time    time.Time
	content uint32
	damaged bool // what follows is not what the header says; only scan looks
}

func castagnoli(b ...[]byte) (sum uint32) {
	table := crc32.MakeTable(crc32.Castagnoli) // made once by the library
	for _, part := range b {
		sum = crc32.Update(sum, table, part)
	}
	return sum
}

// put writes the header of the content into b.
func (h header) put(b []byte, content []byte) {
	copy(b, "BWN")
	b[stateAt] = stateLive
	binary.BigEndian.PutUint32(b[4:], uint32(len(content)))
	copy(b[8:], h.id[:])
	binary.BigEndian.PutUint64(b[24:], uint64(h.time.Unix()))
	binary.BigEndian.PutUint32(b[32:], castagnoli(content))
	binary.BigEndian.PutUint32(b[36:], castagnoli(b[:stateAt], b[stateAt+1:36]))
}

// parseHeader reports false for anything that put did not write.
func parseHeader(b []byte) (h header, ok bool) {
	if len(b) < headerSize || string(b[:stateAt]) != "BWN" ||
		binary.BigEndian.Uint32(b[36:]) != castagnoli(b[:stateAt], b[stateAt+1:36]) {
		return h, false
	}
	h = header{
		live:    b[stateAt] == stateLive,
		length:  int64(binary.BigEndian.Uint32(b[4:])),
		id:      entryID(b[8:24]),
		time:    time.Unix(int64(binary.BigEndian.Uint64(b[24:])), 0),
		content: binary.BigEndian.Uint32(b[32:]),
	}
	return h, h.length <= MaxSmall && (h.live || b[stateAt] == stateDead)
}

// padded is the space that an entry takes.
func padded(length int64) int64 { return (headerSize + length + 7) &^ 7 }
