package s3

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"bawn.dev/internal/shape/s3"
)

// A polynomial is that of a CRC in its reflected form: the highest power is left out,
// the constant stands in the highest of its bits.
type polynomial struct {
	form uint64
	bits int
}

// polynomialOf answers none for what is no CRC.
func polynomialOf(name s3.ChecksumAlgorithm) (polynomial, bool) {
	switch name {
	case s3.ChecksumAlgorithmCrc32:
		return polynomial{crc32.IEEE, 32}, true
	case s3.ChecksumAlgorithmCrc32c:
		return polynomial{crc32.Castagnoli, 32}, true
	case s3.ChecksumAlgorithmCrc64nvme:
		return polynomial{nvme, 64}, true
	}
	return polynomial{}, false
}

// times multiplies two polynomials over GF(2), modulo p.
func (p polynomial) times(a, b uint64) (product uint64) {
	for bit := uint64(1) << (p.bits - 1); bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= p.form
		}
	}
	return product
}

// combine is the CRC of two strings one after the other, of the CRC of each and the
// length of the second in bytes: the first is shifted by that, which is multiplying it
// with x to the power of the number of bits.
func (p polynomial) combine(first, second uint64, length int64) uint64 {
	shift, square := uint64(1)<<(p.bits-1), uint64(1)<<(p.bits-1-8) // 1 and x^8
	for n := length; n > 0; n >>= 1 {
		if n&1 != 0 {
			shift = p.times(shift, square)
		}
		square = p.times(square, square)
	}
	return p.times(first, shift) ^ second
}

// crcNumber and crcText are a CRC as a number and in base64.
func (p polynomial) crcNumber(text string) (uint64, bool) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw)*8 != p.bits {
		return 0, false
	}
	var wide [8]byte
	copy(wide[8-len(raw):], raw)
	return binary.BigEndian.Uint64(wide[:]), true
}

func (p polynomial) crcText(n uint64) string {
	wide := binary.BigEndian.AppendUint64(nil, n)
	return base64.StdEncoding.EncodeToString(wide[8-p.bits/8:])
}
