package s3

import (
	"bytes"
	"net/url"
	"testing"
)

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=5-", "bytes=-5", "bytes=-0", "bytes=5-4", "bytes=0-1,3-4", "bytes=+1-2", "bytes=99999999999999999999-", "bytes=", "bytes=-", "items=0-1", ""} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		p, err := parseRange(header, size)
		if p != nil && (err != nil || p.start < 0 || p.length < 1 || p.start+p.length > size || p.start+p.length < 0) {
			t.Fatalf("%q of %d: %+v, %v", header, size, p, err)
		}
	})
}

// FuzzBehind checks the bound that skipping common prefixes rests on.
func FuzzBehind(f *testing.F) {
	f.Add([]byte("a/"), []byte("a/b"))
	f.Add([]byte(""), []byte("\U0010ffff"))
	f.Add([]byte("\xf4\x8f\xbf\xbf"), []byte("\xf4\x8f\xbf\xbf\x00"))
	f.Fuzz(func(t *testing.T, prefix, key []byte) {
		if bytes.IndexByte(prefix, 0xff) >= 0 || bytes.IndexByte(key, 0xff) >= 0 {
			return
		}
		within := bytes.Compare(key, prefix) >= 0 && bytes.Compare(key, behind(prefix)) < 0
		if within != bytes.HasPrefix(key, prefix) {
			t.Fatalf("%x and %x: %v", prefix, key, within)
		}
	})
}

func FuzzURLEncode(f *testing.F) {
	f.Add("a b+c/%ü\x00*~")
	f.Fuzz(func(t *testing.T, s string) {
		if back, err := url.PathUnescape(urlEncode(s)); err != nil || back != s {
			t.Fatalf("%q comes back as %q, %v", s, back, err)
		}
	})
}

func FuzzCheckScope(f *testing.F) {
	f.Add(`{"Statement":[{"Action":"s3:*","Resource":["arn:aws:s3:::data","arn:aws:s3:::data/*"]}]}`)
	f.Add(`{"Statement":{"Action":["s3:GetObject"],"Resource":"arn:aws:s3:::other/*"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		_ = checkScope(text, "data") // must not panic
	})
}
