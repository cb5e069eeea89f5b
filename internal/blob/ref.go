package blob

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Ref names a stored blob. It is text that fits a database column:
//
//	f.<id>                              a file
//	s.<segment>.<offset>.<length>.<id>  an entry in a segment
//	o.<id>.<length>                     an object of a bucket elsewhere
//
// with random ids of 128 bits. Its zero value names nothing.
type Ref string

// ErrRef says that a Ref is malformed.
var ErrRef = errors.New("blob: malformed reference")

// place is a parsed Ref.
type place struct {
	file    string // id of a file, or
	object  string // id of an object, or
	segment string
	offset  int64 // of the entry's header
	length  int64 // of the content
	id      entryID
}

type entryID [16]byte

var idText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func newID() (id entryID) {
	rand.Read(id[:])
	return id
}

func (id entryID) String() string { return idText.EncodeToString(id[:]) }

func parseID(s string) (id entryID, ok bool) {
	b, err := idText.DecodeString(s)
	if err != nil || len(b) != len(id) || idText.EncodeToString(b) != s {
		return id, false
	}
	return entryID(b), true
}

func (r Ref) parse() (place, error) {
	if len(r) > 128 {
		return place{}, ErrRef
	}
	parts := strings.Split(string(r), ".")
	switch {
	case parts[0] == "f" && len(parts) == 2:
		if _, ok := parseID(parts[1]); ok {
			return place{file: parts[1]}, nil
		}
	case parts[0] == "s" && len(parts) == 5:
		_, ok1 := parseID(parts[1])
		offset, ok2 := parseNumber(parts[2])
		length, ok3 := parseNumber(parts[3])
		id, ok4 := parseID(parts[4])
		if ok1 && ok2 && ok3 && ok4 && length <= MaxSmall && offset < maxSegment {
			return place{segment: parts[1], offset: offset, length: length, id: id}, nil
		}
	case parts[0] == "o" && len(parts) == 3:
		_, ok1 := parseID(parts[1])
		length, ok2 := parseNumber(parts[2])
		if ok1 && ok2 {
			return place{object: parts[1], length: length}, nil
		}
	}
	return place{}, ErrRef
}

// parseNumber takes only the form that a Ref is printed in.
func parseNumber(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == s
}

func (p place) ref() Ref {
	if p.file != "" {
		return Ref("f." + p.file)
	}
	if p.object != "" {
		return Ref(fmt.Sprintf("o.%s.%d", p.object, p.length))
	}
	return Ref(fmt.Sprintf("s.%s.%d.%d.%s", p.segment, p.offset, p.length, p.id))
}
