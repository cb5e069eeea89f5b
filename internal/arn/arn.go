// Package arn names resources: it parses, prints and matches Amazon Resource
// Names.
//
// It trusts nothing. An attacker who controls a name can make Parse fail and can
// choose text that patterns are compared with; he cannot make a character of a
// name act as a wildcard, shift text from one part of a name into another, or
// make a comparison take more than (pattern length × name length) steps.
package arn

import (
	"errors"
	"strings"
)

// MaxLength is the longest name that Parse accepts, in bytes: S3 allows keys of
// 1,024 bytes, and AWS names of roles and policies end at 2,048.
const MaxLength = 2048

// ErrInvalid says that a string is not an Amazon Resource Name.
var ErrInvalid = errors.New("arn: not of the form arn:partition:service:region:account:resource")

// An ARN is a name in its parts, after AWS's "Amazon Resource Names" reference.
// Region and Account are empty where the service leaves them so; Resource may
// hold colons and slashes.
type ARN struct {
	Partition string
	Service   string
	Region    string
	Account   string
	Resource  string
}

// Parse splits a name. It fails with ErrInvalid unless s has six parts, begins
// with "arn", and names a partition, a service and a resource, is at most
// MaxLength bytes long and free of control characters.
func Parse(s string) (ARN, error) {
	if len(s) > MaxLength {
		return ARN{}, ErrInvalid
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return ARN{}, ErrInvalid
		}
	}
	p, ok := Split(s)
	if !ok || p[0] != "arn" || p[1] == "" || p[2] == "" || p[5] == "" {
		return ARN{}, ErrInvalid
	}
	return ARN{Partition: p[1], Service: p[2], Region: p[3], Account: p[4], Resource: p[5]}, nil
}

// String prints the name. The zero ARN prints as the empty string.
func (a ARN) String() string {
	if a == (ARN{}) {
		return ""
	}
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// Split cuts s at its first five colons, and says whether it has that many. It
// does not judge the parts.
func Split(s string) (parts [6]string, ok bool) {
	for i := range 5 {
		parts[i], s, ok = strings.Cut(s, ":")
		if !ok {
			return [6]string{}, false
		}
	}
	parts[5] = s
	return parts, true
}
