package fabric

import (
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// With multipath TCP a connection may go on from other addresses than the one that began it, and outlive that one's flows.
func TestListenersTakeOneAddress(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := ward("vpc-1")
	l.apply(v)
	file, err := l.Listen(t.Context(), v.ID, netip.MustParseAddrPort("10.50.0.200:443"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if p, err := unix.GetsockoptInt(int(file.Fd()), unix.SOL_SOCKET, unix.SO_PROTOCOL); err != nil || p != unix.IPPROTO_TCP {
		t.Errorf("a listener speaks protocol %d: %v", p, err)
	}
	if err := inside(l.path(kindVPC, v.ID), func() error {
		enabled, err := os.ReadFile("/proc/sys/net/mptcp/enabled")
		if err == nil && string(enabled) != "0\n" {
			t.Error("the namespace speaks multipath TCP")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
