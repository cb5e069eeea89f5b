package apitest

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// Forms are the ways in which a marker could stand in a file: raw, in hex, and
// in base64 at each of the three alignments.
func Forms(marker string) []string {
	forms := []string{marker, hex.EncodeToString([]byte(marker)), strings.ToUpper(hex.EncodeToString([]byte(marker)))}
	for shift := range 3 {
		// What stands before and after the marker is unknown: keep only the letters that it alone decides.
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + marker))
		first := (shift*8 + 5) / 6
		last := (shift + len(marker)) * 8 / 6
		forms = append(forms, encoded[first:last])
	}
	return forms
}
