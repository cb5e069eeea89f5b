package s3

import (
	"encoding/base64"
	"math/rand/v2"
	"testing"
)

// The checksum of the whole, made from those of its pieces, is the one that reading it
// all gives.
func TestCombinedChecksums(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	whole := make([]byte, 200_000)
	for i := range whole {
		whole[i] = byte(r.Uint32())
	}
	crcs := 0
	for _, a := range algorithms {
		p, ok := polynomialOf(a.name)
		if !ok {
			continue
		}
		crcs++
		sum := func(b []byte) string {
			h := a.new()
			h.Write(b)
			return base64.StdEncoding.EncodeToString(h.Sum(nil))
		}
		for range 50 {
			var crc uint64
			for rest := whole; len(rest) > 0; {
				n := min(len(rest), r.IntN(60_000))
				next, ok := p.crcNumber(sum(rest[:n]))
				if !ok {
					t.Fatalf("%s is not read", sum(rest[:n]))
				}
				crc = p.combine(crc, next, int64(n))
				rest = rest[n:]
			}
			if got := p.crcText(crc); got != sum(whole) {
				t.Fatalf("%s: %s, not %s", a.name, got, sum(whole))
			}
		}
		for _, bad := range []string{"", "AAAA", "AAAAAAAAAAAAAAAA", "%%%%"} {
			if _, ok := p.crcNumber(bad); ok {
				t.Errorf("%s: %q was read", a.name, bad)
			}
		}
	}
	if crcs != 3 {
		t.Errorf("%d algorithms", crcs)
	}
}

func FuzzCopySource(f *testing.F) {
	for _, seed := range []string{"data/k", "/data/k?versionId=x", "data/%zz", "a%2Fb", "arn:aws:s3:::data/k", "?versionId=", "//", "data/a+b%2B?x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		src, err := parseSource(header, "", conditions{})
		if err == nil && (src.bucket == "" || src.key == "") {
			t.Errorf("%q: %+v", header, src)
		}
	})
}
