package api

import (
	"fmt"
	"testing"
	"time"
)

func count(l *limiter, n int, source func(i int) string) (allowed int) {
	now := time.Unix(1_800_000_000, 0)
	for i := range n {
		if l.allow(source(i), now) {
			allowed++
		}
	}
	return allowed
}

// Whoever has a network of IPv6 has 2^64 addresses, and is one sender.
func TestManyAddressesOfOneNetworkAreOneSource(t *testing.T) {
	if got := count(&limiter{}, 10_000, func(i int) string { return fmt.Sprintf("2001:db8::%x", i) }); got != refusalBurst {
		t.Errorf("%d refusals recorded at once, not %d", got, refusalBurst)
	}
}

func TestManySourcesTogetherAreBounded(t *testing.T) {
	if got := count(&limiter{}, 10_000, func(i int) string { return fmt.Sprintf("192.0.%d.%d", i/256, i%256) }); got != allRefusalsBurst {
		t.Errorf("%d refusals recorded at once, not %d", got, allRefusalsBurst)
	}
}

func TestOneSourceDoesNotSilenceAnother(t *testing.T) {
	l := &limiter{}
	count(l, 10_000, func(int) string { return "192.0.2.1" })
	if got := count(l, 1, func(int) string { return "192.0.2.2" }); got != 1 {
		t.Error("the second source was refused for the first one's refusals")
	}
}
