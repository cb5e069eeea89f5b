package kms

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
)

// errKeyWrap tells nothing of what was wrong.
var errKeyWrap = errors.New("kms: wrapped key material does not unwrap")

// unwrapPadded undoes AES key wrap with padding: RFC 5649 and NIST SP 800-38F (KWP).
// Every check is made before the answer depends on any of them.
func unwrapPadded(kek, wrapped []byte) ([]byte, error) {
	n := len(wrapped)/8 - 1
	if len(wrapped)%8 != 0 || n < 1 || len(wrapped) > maxCiphertext {
		return nil, errKeyWrap
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, errKeyWrap
	}
	var b [aes.BlockSize]byte
	defer clear(b[:])
	out := make([]byte, 8*n)
	if n == 1 {
		block.Decrypt(b[:], wrapped)
		copy(out, b[8:])
	} else {
		copy(b[:8], wrapped)
		copy(out, wrapped[8:])
		for t := 6 * n; t > 0; t-- {
			r := out[(t-1)%n*8:][:8]
			binary.BigEndian.PutUint64(b[:], binary.BigEndian.Uint64(b[:])^uint64(t))
			copy(b[8:], r)
			block.Decrypt(b[:], b[:])
			copy(r, b[8:])
		}
	}
	// The first half-block: a constant, and how long the material is.
	size := int(binary.BigEndian.Uint32(b[4:]))
	good := subtle.ConstantTimeCompare(b[:4], []byte{0xA6, 0x59, 0x59, 0xA6})
	good &= subtle.ConstantTimeLessOrEq(8*n-7, size) & subtle.ConstantTimeLessOrEq(size, 8*n)
	for i := 8*n - 7; i < 8*n; i++ {
		// Bytes after the material are zero.
		good &= subtle.ConstantTimeLessOrEq(i+1, size) | subtle.ConstantTimeByteEq(out[i], 0)
	}
	if good != 1 {
		clear(out)
		return nil, errKeyWrap
	}
	return out[:size], nil
}
