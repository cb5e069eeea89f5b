package s3

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
)

// versionWidth is the length of a version's id: its place in the order of its key's
// versions, and then letters that nobody can guess.
const (
	versionWidth = 32
	placeWidth   = 13
)

// versionID names a version by its place, so that a listing goes on behind it even
// when it is gone.
func versionID(seq int64) string {
	place := binary.BigEndian.AppendUint64(nil, uint64(seq))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(place) + rand.Text()[:versionWidth-placeWidth]
}

// placeOf reads the place in an id that versionID made. Who makes up an id gets some
// place, and nothing by it.
func placeOf(version string) (seq int64, ok bool) {
	if len(version) != versionWidth {
		return 0, false
	}
	place, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(version[:placeWidth])
	if err != nil {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(place)), true
}

// checkVersion refuses what can be no version's id; empty is none.
func checkVersion(version string) error {
	if version == "" || version == nullVersion {
		return nil
	}
	plain := len(version) == versionWidth
	for i := range len(version) {
		ch := version[i]
		plain = plain && ('a' <= ch|0x20 && ch|0x20 <= 'z' || '0' <= ch && ch <= '9' || ch == '.' || ch == '_' || ch == '-')
	}
	if !plain {
		return badArgument("versionId", version, "Invalid version id specified")
	}
	return nil
}
