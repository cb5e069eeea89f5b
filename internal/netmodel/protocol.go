package netmodel

import (
	"fmt"
	"strconv"
)

// Protocol is an IP protocol number. The zero value is refused.
type Protocol int16

// The protocols whose ports rules look at, and EC2's "-1".
const (
	AllProtocols Protocol = -1
	ICMP         Protocol = 1
	TCP          Protocol = 6
	UDP          Protocol = 17
)

// ParseProtocol reads EC2's IpProtocol: "tcp", "udp", "icmp", "-1" or a number from 1 to 255. ICMPv6 is refused, as the
// networks here carry IPv4 only.
func ParseProtocol(s string) (Protocol, error) {
	switch s {
	case "tcp":
		return TCP, nil
	case "udp":
		return UDP, nil
	case "icmp":
		return ICMP, nil
	case "-1":
		return AllProtocols, nil
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if p := Protocol(n); err == nil && p.valid() && strconv.FormatUint(n, 10) == s {
		return p, nil
	}
	return 0, fmt.Errorf("netmodel: %.20q is not a protocol", s)
}

// String is the inverse of [ParseProtocol].
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case ICMP:
		return "icmp"
	}
	return strconv.Itoa(int(p))
}

const icmpv6 = 58

func (p Protocol) valid() bool {
	return p == AllProtocols || p >= 1 && p <= 255 && p != icmpv6
}

func (p Protocol) hasPorts() bool { return p == TCP || p == UDP }
