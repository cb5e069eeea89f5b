package ldap

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	wire "github.com/go-ldap/ldap/v3"

	"bawn.dev/internal/uuid"
)

// binary says whether an attribute holds a GUID as Windows keeps it.
func binary(attribute string) bool { return strings.EqualFold(attribute, "objectGUID") }

// id is what names an entry as long as it is there. One that shows none cannot be told
// from one that went away: nothing can be said of such a directory.
func (d *Directory) id(e *wire.Entry) (string, error) {
	name := d.Attributes["id"]
	raw := e.GetEqualFoldRawAttributeValue(name)
	if binary(name) && len(raw) == 16 {
		return uuid.Format([16]byte(swapped(raw))), nil
	}
	if v := string(raw); !binary(name) && v != "" && len(v) <= 256 && text(v) {
		return v, nil
	}
	return "", fmt.Errorf("ldap: %q does not show its %s", e.DN, name)
}

// swapped exchanges the byte order of a GUID's first three parts.
func swapped(raw []byte) []byte {
	b := slices.Clone(raw)
	slices.Reverse(b[0:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return b
}

// named is the filter for the one person who has an id.
func (d *Directory) named(id string) (string, error) {
	name := d.Attributes["id"]
	if binary(name) {
		raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
		if err != nil || len(raw) != 16 {
			return "", fmt.Errorf("ldap: %q is no GUID", id)
		}
		id = string(swapped(raw))
	}
	return "(&" + d.UserFilter + "(" + name + "=" + wire.EscapeFilter(id) + "))", nil
}
