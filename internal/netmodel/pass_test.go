package netmodel

import (
	"net/netip"
	"slices"
	"testing"
)

func TestPass(t *testing.T) {
	v := hospital()
	for _, c := range []struct {
		name     string
		from, to string
		p        Protocol
		port     uint16
		allowed  bool
		gate     Gate
	}{
		{"trainer to database", "10.50.0.10", "10.50.0.11", TCP, 5432, true, GateIngress},
		{"across subnets", "10.50.1.10", "10.50.0.11", TCP, 5432, true, GateIngress},
		{"other port", "10.50.0.10", "10.50.0.11", TCP, 5433, false, GateEgress},
		{"other protocol", "10.50.0.10", "10.50.0.11", UDP, 5432, false, GateEgress},
		{"back again", "10.50.0.11", "10.50.0.10", TCP, 5432, false, GateIngress},
		{"peers in one group", "10.50.0.10", "10.50.1.10", TCP, 5432, false, GateEgress},
		{"no groups, out", "10.50.0.12", "10.50.0.11", TCP, 5432, false, GateEgress},
		{"no groups, in", "10.50.0.11", "10.50.0.12", TCP, 80, false, GateIngress},
		{"KMS", "10.50.0.10", "10.50.0.200", TCP, 443, true, GateIngress},
		{"KMS by the other subnet's address", "10.50.0.10", "10.50.1.200", TCP, 443, true, GateIngress},
		{"KMS, group not admitted", "10.50.0.11", "10.50.0.200", TCP, 443, false, GateIngress},
		{"KMS, port not served", "10.50.0.11", "10.50.0.200", TCP, 22, false, GateIngress},
		{"S3 with a route", "10.50.0.10", "169.254.171.1", TCP, 443, true, GateIngress},
		{"S3 without a route", "10.50.1.10", "169.254.171.1", TCP, 443, false, GateRoute},
		{"S3, egress not allowed", "10.50.0.12", "169.254.171.1", TCP, 443, false, GateEgress},
		{"outside", "10.50.0.11", "203.0.113.5", TCP, 443, false, GateRoute},
		{"nobody's address in the range", "10.50.0.11", "10.50.0.99", TCP, 443, false, GateRoute},
		{"the router", "10.50.0.11", "169.254.1.1", TCP, 443, false, GateRoute},
		{"metadata", "10.50.0.11", "169.254.169.254", TCP, 80, false, GateIngress},
		{"credentials", "10.50.0.12", "169.254.170.2", TCP, 80, true, GateIngress},
		{"credentials, other port", "10.50.0.11", "169.254.170.2", TCP, 81, false, GateIngress},
		{"names", "10.50.0.12", "10.50.0.2", UDP, 53, true, GateIngress},
		{"names, fixed address", "10.50.0.12", "169.254.169.253", TCP, 53, true, GateIngress},
		{"forged source", "10.50.0.99", "10.50.0.11", TCP, 5432, false, GateSource},
		{"endpoints do not call", "10.50.0.200", "10.50.0.11", TCP, 5432, false, GateSource},
		{"no protocol", "10.50.0.10", "10.50.0.11", 0, 5432, false, GateSource},
		{"every protocol is none", "10.50.0.10", "10.50.0.11", AllProtocols, 5432, false, GateSource},
	} {
		got := v.Pass(addr(c.from), addr(c.to), c.p, c.port)
		if got.Allowed != c.allowed || got.Gate != c.gate || got.Why == "" {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestZeroVerdictRefuses(t *testing.T) {
	if (Verdict{}).Allowed || (&VPC{}).Pass(netip.Addr{}, netip.Addr{}, TCP, 443).Allowed {
		t.Error("nothing allows something")
	}
}

func TestResolve(t *testing.T) {
	v := hospital()
	for _, c := range []struct {
		from, name string
		want       []string
	}{
		{"10.50.0.10", "s3.us-east-1.amazonaws.com", []string{"169.254.171.1"}},
		{"10.50.0.10", "Bucket.S3.us-east-1.amazonaws.com.", []string{"169.254.171.1"}},
		{"10.50.0.10", "dotted.bucket.s3.us-east-1.amazonaws.com", nil},
		{"10.50.0.10", ".s3.us-east-1.amazonaws.com", nil},
		{"10.50.1.10", "s3.us-east-1.amazonaws.com", nil},
		{"10.50.0.10", "kms.us-east-1.amazonaws.com", []string{"10.50.0.200", "10.50.1.200"}},
		{"10.50.1.10", "kms.us-east-1.amazonaws.com", []string{"10.50.1.200", "10.50.0.200"}},
		{"10.50.0.10", "example.com", nil},
		{"10.50.0.10", "", nil},
		{"10.50.0.99", "kms.us-east-1.amazonaws.com", nil},
	} {
		got, ok := v.Resolve(addr(c.from), c.name)
		var want []netip.Addr
		for _, s := range c.want {
			want = append(want, addr(s))
		}
		if !slices.Equal(got, want) || ok != (want != nil) {
			t.Errorf("%s asks for %q: %v %v, want %v", c.from, c.name, got, ok, want)
		}
	}
}

func BenchmarkPass(b *testing.B) {
	v := hospital()
	from, to := addr("10.50.0.10"), addr("10.50.0.11")
	b.ReportAllocs()
	for b.Loop() {
		if !v.Pass(from, to, TCP, 5432).Allowed {
			b.Fatal("refused")
		}
	}
}
