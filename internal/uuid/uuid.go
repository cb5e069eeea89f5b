// Package uuid makes identifiers in the form of RFC 9562.
//
// It reads the system's random source and, where it is asked to, nothing else. An
// identifier names something; that it cannot be guessed protects nothing here.
package uuid

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// New is a random one (version 4).
func New() string {
	var b [16]byte
	rand.Read(b[:])
	return stamped(b, 4)
}

// At is one that sorts by its millisecond (version 7).
func At(t time.Time) string {
	var b [16]byte
	rand.Read(b[6:])
	ms := t.UnixMilli()
	binary.BigEndian.PutUint16(b[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(b[2:], uint32(ms))
	return stamped(b, 7)
}

// Of is what a text always gives (version 8).
func Of(text string) string {
	sum := sha256.Sum256([]byte(text))
	return stamped([16]byte(sum[:16]), 8)
}

// Format writes sixteen bytes as they are.
func Format(b [16]byte) string {
	var out [36]byte
	hex.Encode(out[:8], b[:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:], b[10:])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

func stamped(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	return Format(b)
}
