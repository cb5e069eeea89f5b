package policy

import (
	"encoding/base64"
	"maps"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
)

// FuzzBind binds whatever policy Parse takes: bindings survive their column, the
// bound policy has the same statements, and readers see names only of those who
// bear them.
func FuzzBind(f *testing.F) {
	f.Add(statements(allowTo(aws(alice), get), allowTo(aws(roleARN, session, home), "s3:PutObject")))
	f.Add(`{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":["` + trainID + `:job-1","111122223333"],"Service":"x.amazonaws.com"},"Action":"s3:*","Resource":"*"}}`)
	f.Add(`{"Statement":[{"Effect":"Allow","Principal":{"AWS":"\u0061rn:aws:iam::111122223333:user/\u0061lice"},"Action":"s3:*","Resource":"*"}]}`)
	bearer := func(principal string) (string, error) {
		if strings.Contains(principal, "nobody") {
			return "", ErrNoBearer
		}
		if strings.Contains(principal, "user/") {
			return aliceID, nil
		}
		return trainID, nil
	}
	f.Fuzz(func(t *testing.T, text string) {
		before, err := Parse([]byte(text), Resource)
		if err != nil {
			return
		}
		b, err := Bind(text, bearer)
		if err != nil {
			return // names nobody, or a session that cannot be
		}
		again, err := ReadBindings(b.Text())
		if err != nil || !maps.Equal(again, b) {
			t.Fatalf("%v became %v: %v", b, again, err)
		}
		bound, err := b.Parse(text, Resource)
		if err != nil || bound.Len() != before.Len() {
			t.Fatalf("%q bound with %v: %v", text, b, err)
		}
		for _, p := range bound.Principals() {
			if _, names := binds(p); names && !uniqueID(p) {
				t.Fatalf("%q is bound, and means %s still", text, p)
			}
		}
		// An id is its own bearer's only if the bearer says so; a policy with ids is left alone.
		if shown, err := b.Shown(text, func(p string) (string, error) { return b[p], nil }); err != nil || shown != text {
			t.Fatalf("%q is shown as %q: %v", text, shown, err)
		}
		shown, err := b.Shown(text, func(string) (string, error) { return "", ErrNoBearer })
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse([]byte(shown), Resource)
		if err != nil || !slices.Equal(p.Principals(), bound.Principals()) {
			t.Fatalf("%q is shown as %q when all are gone: %v", text, shown, err)
		}
	})
}

// FuzzValues compares the readers of typed values, a policy's and a request's, with
// other ones: they take the same values, and order them alike.
func FuzzValues(f *testing.F) {
	for _, v := range []string{"10", "-0.50", "9007199254740993", "1e3", "2026-11-22T10:00:00.25+01:00", "2026-11-22", "1795341600", "2026-02-29T10:00Z",
		"192.0.2.0/24", "::ffff:192.0.2.1", "2001:db8::/32", "fe80::1%eth0", "AAH/", "TRUE", ""} {
		f.Add(v, v)
		f.Add(v, "10")
		f.Add("192.0.2.0/24", v)
	}
	f.Fuzz(func(t *testing.T, want, have string) {
		number := func(s string) (*big.Rat, bool) {
			if len(s) > 64 || !naiveNumber.MatchString(s) {
				return nil, false
			}
			return new(big.Rat).SetString(s)
		}
		a, isA := parseDecimal(have)
		b, isB := parseDecimal(want)
		x, isX := number(have)
		y, isY := number(want)
		if isA != isX || isB != isY || isA && isB && a.compare(b) != x.Cmp(y) {
			t.Errorf("numbers %q and %q: %v, %v", have, want, isA, isB)
		}
		d, isD := parseDate(have)
		e, isE := parseDate(want)
		u, isU := naiveDate(have)
		v, isV := naiveDate(want)
		if isD != isU || isE != isV || isD && isE && d.Compare(e) != u.Compare(v) {
			t.Errorf("dates %q and %q: %v, %v", have, want, isD, isE)
		}
		var addresses addressMatcher
		if addresses.add(want) == "" {
			_, block, err := net.ParseCIDR(want)
			if ip := net.ParseIP(want); ip != nil {
				block, err = &net.IPNet{IP: ip, Mask: net.CIDRMask(128, 128)}, nil
				if four := ip.To4(); four != nil {
					block = &net.IPNet{IP: four, Mask: net.CIDRMask(32, 32)}
				}
			}
			host, _, _ := strings.Cut(have, "%")
			is, known := addresses.match(nil, have)
			if err != nil || is && !block.Contains(net.ParseIP(host)) || !is && known && block.Contains(net.ParseIP(host)) {
				t.Errorf("address %q in %q: %v, %v; %v", have, want, is, known, err)
			}
		}
		var bytes binaryMatcher
		if problem, raw := bytes.add(want), base64.StdEncoding.EncodeToString([]byte(have)); problem == "" {
			if is, _ := bytes.match(nil, have); is != (raw == want) {
				t.Errorf("bytes %q are %q: %v", have, want, is)
			}
		}
		var truths boolMatcher
		if problem := truths.add(want); problem == "" {
			is, known := truths.match(nil, have)
			if one := strings.ToLower(have); is != (one == strings.ToLower(want)) || known != (one == "true" || one == "false") {
				t.Errorf("%q is %q: %v, %v", have, want, is, known)
			}
		}
	})
}
