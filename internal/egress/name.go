package egress

import (
	"strconv"
	"strings"
)

// canonical is the one form of a host's name: at least two labels of letters, digits and hyphens, in lower case, without
// the dot at the end. An address in any notation that some resolver takes for one is no name, as no top-level domain
// begins with a digit. Other scripts have their A-labels.
func canonical(name string) (string, error) {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return "", form("a name has 1 to 253 bytes")
	}
	labels, last := 0, ""
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return "", form("%.80q is not a name", name)
		}
		labels, last = labels+1, label
	}
	if labels < 2 || last[0] <= '9' {
		return "", form("%.80q is not a full name; addresses are not taken", name)
	}
	return strings.ToLower(name), nil
}

func validLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for i := range len(l) {
		c := l[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// nameAndPort reads "name" or "name:port". Without a port it is the default, and zero says that there is none.
func nameAndPort(s string, port uint16) (string, uint16, error) {
	host, digits, found := strings.Cut(s, ":")
	if found {
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != digits {
			return "", 0, form("%.80q has no valid port", s)
		}
		port = uint16(n)
	}
	if port == 0 {
		return "", 0, form("%.80q has no port", s)
	}
	name, err := canonical(host)
	return name, port, err
}
