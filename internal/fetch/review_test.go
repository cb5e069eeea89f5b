package fetch

import (
	"net/netip"
	"slices"
	"testing"
)

// A machine with a public address is reachable by itself where its firewall lets
// nobody else in.
func TestOwnAddressesAreRefused(t *testing.T) {
	own, err := ownAddresses()
	if err != nil || !slices.Contains(own, netip.MustParseAddr("127.0.0.1")) {
		t.Fatalf("own addresses are %v, %v", own, err)
	}
	mine := netip.MustParseAddr("9.9.9.9")
	if !admitted(mine, nil) || admitted(mine, []netip.Addr{mine}) || admitted(netip.MustParseAddr("::ffff:9.9.9.9"), []netip.Addr{mine}) {
		t.Error("an address of this machine's own is admitted")
	}
}

func TestOldFormsOfPrivateAddresses(t *testing.T) {
	for _, addr := range []string{"::127.0.0.1", "::10.0.0.1", "fec0::1", "feff::1", "::ffff:192.168.1.1", "fe80::1%eth0"} {
		if admitted(netip.MustParseAddr(addr), nil) {
			t.Errorf("%s is admitted", addr)
		}
	}
}
