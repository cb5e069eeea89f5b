package s3

import (
	"encoding/binary"
	"hash"
	"hash/crc64"
)

// crcNVME is CRC-64/NVME, S3's own choice where a client chose none. The library makes
// the tables for many bytes at a time anew in each call, unless it knows the
// polynomial, and it does not know this one. Sixteen at a time keep the processor
// busier than eight: only half of the look-ups wait for those before.
type crcNVME uint64

const nvme = 0x9a6c9329ac4bc9b5

var nvmeTables = func() (t [16]crc64.Table) {
	t[0] = *crc64.MakeTable(nvme)
	for i := range 256 {
		crc := t[0][i]
		for j := 1; j < 16; j++ {
			crc = t[0][crc&0xff] ^ crc>>8
			t[j][i] = crc
		}
	}
	return t
}()

func newCRC64() hash.Hash { return new(crcNVME) }

// Write implements hash.Hash; so do the others.
func (c *crcNVME) Write(p []byte) (int, error) {
	n, crc, t := len(p), ^uint64(*c), &nvmeTables
	for ; len(p) >= 16; p = p[16:] {
		x, y := crc^binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])
		crc = t[15][x&0xff] ^ t[14][x>>8&0xff] ^ t[13][x>>16&0xff] ^ t[12][x>>24&0xff] ^
			t[11][x>>32&0xff] ^ t[10][x>>40&0xff] ^ t[9][x>>48&0xff] ^ t[8][x>>56] ^
			t[7][y&0xff] ^ t[6][y>>8&0xff] ^ t[5][y>>16&0xff] ^ t[4][y>>24&0xff] ^
			t[3][y>>32&0xff] ^ t[2][y>>40&0xff] ^ t[1][y>>48&0xff] ^ t[0][y>>56]
	}
	for _, b := range p {
		crc = t[0][byte(crc)^b] ^ crc>>8
	}
	*c = crcNVME(^crc)
	return n, nil
}

// Sum appends the checksum, big-endian.
func (c *crcNVME) Sum(b []byte) []byte { return binary.BigEndian.AppendUint64(b, uint64(*c)) }

// Reset begins anew.
func (c *crcNVME) Reset() { *c = 0 }

// Size is the checksum's length in bytes.
func (c *crcNVME) Size() int { return 8 }

// BlockSize is 1: any length is as good.
func (c *crcNVME) BlockSize() int { return 1 }
