package sts

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strconv"
)

const prefix = "ASIA"

// newKeyID makes an access key id as AWS does: in base32, a set bit, the account's
// number in 40 bits and 39 random ones. It is a name and no secret; should two
// sessions have one, the token of each still opens with its own secret only.
func newKeyID(account string) (string, error) {
	number, err := strconv.ParseUint(account, 10, 40)
	if err != nil || len(account) != 12 {
		return "", fmt.Errorf("sts: %q is no account", account)
	}
	var b [10]byte
	rand.Read(b[:])
	binary.BigEndian.PutUint64(b[:], 1<<63|number<<23|binary.BigEndian.Uint64(b[:])&(1<<23-1))
	return prefix + base32.StdEncoding.EncodeToString(b[:]), nil
}

// accountOf is the account that newKeyID put into a key id. Of an id that was made
// otherwise it answers some number.
func accountOf(accessKeyID string) string {
	if len(accessKeyID) != len(prefix)+16 || accessKeyID[:len(prefix)] != prefix {
		return ""
	}
	b, err := base32.StdEncoding.DecodeString(accessKeyID[len(prefix):])
	if err != nil || b[0]&0x80 == 0 {
		return ""
	}
	return fmt.Sprintf("%012d", binary.BigEndian.Uint64(b)>>23&(1<<40-1))
}
