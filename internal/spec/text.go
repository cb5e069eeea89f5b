package spec

import (
	"crypto/rand"
	"strings"
)

// NewID returns a fresh id for a workload: 130 random bits in base32. It
// panics, as crypto/rand does, when the system gives no randomness.
func NewID() string { return strings.ToLower(rand.Text()) }

// ValidID reports whether id has the form that [NewID] gives. Whoever turns an
// id into a path checks it first.
func ValidID(id string) bool { return validID(id) }

func validID(id string) bool { return isAll(id, idLength, "abcdefghijklmnopqrstuvwxyz234567") }

func validDigest(d string) bool {
	hex, ok := strings.CutPrefix(d, "sha256:")
	return ok && isAll(hex, 64, "0123456789abcdef")
}

// ValidDigest reports whether d is "sha256:" and 64 lower-case hexadecimal
// digits.
func ValidDigest(d string) bool { return validDigest(d) }

func validResource(id, prefix string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	return ok && len(rest) <= 64 && isAll(rest, len(rest), "0123456789abcdefghijklmnopqrstuvwxyz") && rest != ""
}

// isAll reports whether s has n bytes, all of them in alphabet.
func isAll(s string, n int, alphabet string) bool {
	return len(s) == n && strings.Trim(s, alphabet) == ""
}

func validEnvName(name string) bool {
	if name == "" || len(name) > 512 || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	for _, c := range []byte(name) {
		if c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// validName accepts host names as RFC 1123 has them, in lower case: they are
// written into /etc/hosts, where a space or a newline would forge a line.
func validName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}
