package sigv4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// documented is an upload of the S3 API Reference's chunked examples: 65 KiB of 'a' in chunks of 64 KiB.
type documented struct {
	payload, headers, seed string
	extra                  [][2]string
	chunks                 [3]string
	end                    string
}

var (
	documentedChunks = documented{
		payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
		headers: "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
		seed:    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
		chunks: [3]string{"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
			"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
			"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"},
		end: "\r\n",
	}
	documentedTrailer = documented{
		payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
		headers: "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
		seed:    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
		extra:   [][2]string{{"x-amz-trailer", "x-amz-checksum-crc32c"}},
		chunks: [3]string{"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
			"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
			"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"},
		end: "x-amz-checksum-crc32c:sOO8/Q==\r\n" +
			"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
	}
)

func (d documented) body() []byte {
	return fmt.Appendf(nil, "10000;chunk-signature=%s\r\n%s\r\n400;chunk-signature=%s\r\n%s\r\n0;chunk-signature=%s\r\n%s",
		d.chunks[0], strings.Repeat("a", 65536), d.chunks[1], strings.Repeat("a", 1024), d.chunks[2], d.end)
}

// read verifies the request and decodes body in its place.
func (d documented) read(t testing.TB, body io.Reader) ([]byte, http.Header, error) {
	t.Helper()
	const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	r := wire(t, "PUT", "s3.amazonaws.com", "/examplebucket/chunkObject.txt", append([][2]string{
		{"x-amz-date", "20130524T000000Z"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}, {"Content-Encoding", "aws-chunked"},
		{"x-amz-decoded-content-length", "66560"}, {"x-amz-content-sha256", d.payload},
		{"Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" +
			d.headers + ",Signature=" + d.seed},
	}, d.extra...), make([]byte, 66824))
	r.Body = io.NopCloser(body)
	s, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(r, secret, at(t, "20130524T000000Z"), ""); err != nil {
		t.Fatal(err)
	}
	b, err := s.Body(r, SigningKey(secret, s.Date, s.Region, s.Service), BodyOptions{MaxBytes: 66560})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	data, err := io.ReadAll(b)
	return data, b.Trailer(), err
}

func TestDocumentedChunks(t *testing.T) {
	want := bytes.Repeat([]byte{'a'}, 66560)
	for _, d := range []documented{documentedChunks, documentedTrailer} {
		for name, split := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "data with EOF": iotest.DataErrReader} {
			got, trailer, err := d.read(t, split(bytes.NewReader(d.body())))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, %s: %d bytes, %v", d.payload, name, len(got), err)
			}
			if len(d.extra) > 0 && (len(trailer) != 1 || trailer.Get("X-Amz-Checksum-Crc32c") != "sOO8/Q==") {
				t.Errorf("%s: trailer %v", name, trailer)
			}
		}
	}
}

// TestChunksMutated changes, drops and doubles bytes all over the body: none may pass.
func TestChunksMutated(t *testing.T) {
	for _, d := range []documented{documentedChunks, documentedTrailer} {
		body := d.body()
		// A further leading zero in a size leaves the meaning, and so the signature.
		lastSize := bytes.Index(body, []byte("\r\n0;")) + 2
		for i := 0; i < len(body); i++ {
			if body[i] == 'a' && i+500 < len(body) && body[i+500] == 'a' {
				i += 499 // the insides of chunks are all alike
			}
			flipped := bytes.Clone(body)
			flipped[i] ^= 1
			for what, m := range map[string][]byte{
				"flipped": flipped,
				"dropped": append(bytes.Clone(body[:i]), body[i+1:]...),
				"doubled": append(bytes.Clone(body[:i+1]), body[i:]...),
				"cut":     body[:i],
			} {
				_, trailer, err := d.read(t, bytes.NewReader(m))
				if _, typed := err.(*Error); !typed && !(what == "doubled" && i == lastSize) {
					t.Fatalf("%s: byte %d (%q) %s: %v", d.payload, i, body[i], what, err)
				}
				if err != nil && trailer != nil {
					t.Fatal("trailing headers are visible after an error")
				}
			}
		}
		for _, m := range [][]byte{append(bytes.Clone(body), 'x'), append(bytes.Clone(body), '\r', '\n'), append(bytes.Clone(body), body...)} {
			if _, _, err := d.read(t, bytes.NewReader(m)); !errorIs(err, MalformedChunk) {
				t.Errorf("bytes after the end: %v", err)
			}
		}
	}
}

func TestChunksReordered(t *testing.T) {
	d := documentedChunks
	d.chunks[0], d.chunks[1] = d.chunks[1], d.chunks[0]
	if _, _, err := d.read(t, bytes.NewReader(d.body())); !errorIs(err, Mismatch) {
		t.Errorf("exchanged chunk signatures: %v", err)
	}
	body := documentedChunks.body()
	cut := bytes.Index(body, []byte("400;"))
	if _, _, err := documentedChunks.read(t, bytes.NewReader(append(bytes.Clone(body[:cut]), "0;chunk-signature="+documentedChunks.chunks[2]+"\r\n\r\n"...))); !errorIs(err, IncompleteBody) {
		t.Errorf("a dropped chunk: %v", err)
	}
}

// TestTrailerSignatureStripped: the trailing headers of a signed body cannot be replaced by dropping their signature.
func TestTrailerSignatureStripped(t *testing.T) {
	d := documentedTrailer
	for _, d.end = range []string{
		"x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n",
		"x-amz-checksum-crc32c:AAAAAA==\r\n\r\n",
		"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:\r\n\r\n",
		documentedTrailer.end[:len(documentedTrailer.end)-2] + "x-amz-checksum-crc32c:AAAAAA==\r\n\r\n",
	} {
		if _, trailer, err := d.read(t, bytes.NewReader(d.body())); err == nil || trailer != nil {
			t.Errorf("accepted %q", d.end)
		}
	}
}

// unsigned sends a body as STREAMING-UNSIGNED-PAYLOAD-TRAILER.
func unsigned(t testing.TB, body string, length int, trailer string, max int64) (string, http.Header, error) {
	t.Helper()
	r, err := http.NewRequest("PUT", "https://s3.example.com/b/k", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(length))
	if trailer != "" {
		r.Header.Set("X-Amz-Trailer", trailer)
	}
	s := signed(t, r, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	b, err := s.Body(r, nil, BodyOptions{MaxBytes: max, AllowUnsigned: true})
	if err != nil {
		return "", nil, err
	}
	data, err := io.ReadAll(b)
	return string(data), b.Trailer(), err
}

var (
	testCredential = Credential{AccessKeyID: "AKIDEXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	testNow        = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
)

// signed signs and verifies a request to S3.
func signed(t testing.TB, r *http.Request, payload string) *Signature {
	t.Helper()
	if err := Sign(r, testCredential, "s3", "eu-west-1", testNow, payload); err != nil {
		t.Fatal(err)
	}
	s, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(r, testCredential.Secret, testNow, ""); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestUnsignedChunks(t *testing.T) {
	big := strings.Repeat("b", minChunk)
	const crc = "x-amz-checksum-crc32"
	for _, c := range []struct {
		name, body string
		length     int
		trailer    string
		reason     Reason // 0: accepted
	}{
		{"one chunk", "5\r\nhello\r\n0\r\n" + crc + ":NhCmhg==\r\n\r\n", 5, crc, 0},
		{"blanks and case in the trailer", "5\r\nhello\r\n0\r\nX-Amz-Checksum-CRC32:  NhCmhg== \r\n\r\n", 5, crc, 0},
		{"empty", "0\r\n\r\n", 0, "", 0},
		{"two chunks", "2000\r\n" + big + "\r\n5\r\nhello\r\n0\r\n\r\n", minChunk + 5, "", 0},
		{"small chunk first", "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n", 10, "", MalformedChunk},
		{"declared trailer missing", "5\r\nhello\r\n0\r\n\r\n", 5, crc, MalformedTrailer},
		{"undeclared trailer", "5\r\nhello\r\n0\r\n" + crc + ":x\r\n\r\n", 5, "", MalformedTrailer},
		{"trailer twice", "5\r\nhello\r\n0\r\n" + crc + ":x\r\n" + crc + ":x\r\n\r\n", 5, crc, MalformedTrailer},
		{"trailer without colon", "0\r\nx\r\n\r\n", 0, crc, MalformedTrailer},
		{"control byte in a trailer", "0\r\n" + crc + ":a\x00b\r\n\r\n", 0, crc, MalformedTrailer},
		{"declared Host", "0\r\nhost:x\r\n\r\n", 0, "host", MalformedTrailer},
		{"declared twice", "0\r\n" + crc + ":x\r\n\r\n", 0, crc + "," + crc, MalformedTrailer},
		{"declared signature", "0\r\n\r\n", 0, "x-amz-trailer-signature", MalformedTrailer},
		{"longer than stated", "5\r\nhello\r\n0\r\n\r\n", 4, "", IncompleteBody},
		{"shorter than stated", "5\r\nhello\r\n0\r\n\r\n", 6, "", IncompleteBody},
		{"no end", "5\r\nhello\r\n", 5, "", IncompleteBody},
		{"no last line", "5\r\nhello\r\n0\r\n", 5, "", IncompleteBody},
		{"cut in a chunk", "5\r\nhel", 5, "", IncompleteBody},
		{"bytes after the end", "5\r\nhello\r\n0\r\n\r\n0\r\n\r\n", 5, "", MalformedChunk},
		{"extension", "5;chunk-signature=x\r\nhello\r\n0\r\n\r\n", 5, "", MalformedChunk},
		{"bare line feed", "5\nhello\r\n0\r\n\r\n", 5, "", MalformedChunk},
		{"chunk longer than its size", "4\r\nhello\r\n0\r\n\r\n", 4, "", MalformedChunk},
		{"negative size", "-5\r\nhello\r\n0\r\n\r\n", 5, "", MalformedChunk},
		{"huge size", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", 5, "", MalformedChunk},
		{"overflowing size", "10000000000000005\r\nhello\r\n0\r\n\r\n", 5, "", MalformedChunk},
		{"prefix 0x", "0x5\r\nhello\r\n0\r\n\r\n", 5, "", MalformedChunk},
		{"blank before a size", " 5\r\nhello\r\n0\r\n\r\n", 5, "", MalformedChunk},
		{"endless chunk line", strings.Repeat("0", 100_000), 5, "", MalformedChunk},
		{"endless trailer", "0\r\n" + crc + ":" + strings.Repeat("x", 100_000), 0, crc, MalformedChunk},
		{"over the caller's limit", "4000\r\n", 16_385, "", BodyTooLarge},
	} {
		got, trailer, err := unsigned(t, c.body, c.length, c.trailer, 16_384)
		switch {
		case c.reason != 0 && !errorIs(err, c.reason):
			t.Errorf("%s: %v", c.name, err)
		case c.reason == 0 && (err != nil || len(got) != c.length):
			t.Errorf("%s: %d bytes, %v", c.name, len(got), err)
		case c.reason == 0 && c.trailer != "" && trailer.Get(crc) != "NhCmhg==":
			t.Errorf("%s: trailer %v", c.name, trailer)
		}
	}
}

func TestStreamRoundTrip(t *testing.T) {
	for _, kind := range []PayloadKind{PayloadChunks, PayloadChunksTrailer, PayloadUnsignedTrailer} {
		for _, size := range []int64{0, 1, minChunk, 3*minChunk + 5} {
			plain := bytes.Repeat([]byte("0123456789"), int(size))[:size]
			r, err := http.NewRequest("PUT", "https://s3.example.com/b/k", nil)
			if err != nil {
				t.Fatal(err)
			}
			st := Stream{Payload: kind, Size: size, ChunkSize: minChunk}
			if kind != PayloadChunks {
				st.Trailers, st.Trailer = []string{"x-amz-checksum-b", "x-amz-checksum-a"}, func(n string) string { return n + "=" }
			}
			if err := SignStream(r, testCredential, "s3", "eu-west-1", testNow, bytes.NewReader(plain), st); err != nil {
				t.Fatal(err)
			}
			s, err := Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			key := SigningKey(testCredential.Secret, s.Date, s.Region, s.Service)
			if err := s.VerifyWithKey(r, key, testNow, ""); err != nil {
				t.Fatal(err)
			}
			_, err = s.Body(r, key, BodyOptions{MaxBytes: size})
			if kind == PayloadUnsignedTrailer && !errorIs(err, PayloadNotAllowed) {
				t.Errorf("unsigned chunks without leave: %v", err)
			}
			b, err := s.Body(r, key, BodyOptions{MaxBytes: size, AllowUnsigned: kind == PayloadUnsignedTrailer})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(b)
			if err != nil || !bytes.Equal(got, plain) || b.Size() != size {
				t.Errorf("%v, %d bytes: read %d, %v", kind, size, len(got), err)
			}
			if len(b.Trailer()) != len(st.Trailers) {
				t.Errorf("%v: trailer %v", kind, b.Trailer())
			}
		}
	}
}

// TestExactReadIsChecked: who reads Size bytes and does not wait for io.EOF is not deceived either.
func TestExactReadIsChecked(t *testing.T) {
	data := []byte("hello")
	for payload, wire := range map[string]string{
		"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824": "hellp",
		payloadNames[PayloadUnsignedTrailer]:                               "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:x\r\n\r\n",
		payloadNames[PayloadChunks]:                                        "5;chunk-signature=" + EmptyHash + "\r\nhello\r\n",
	} {
		r, err := http.NewRequest("PUT", "https://s3.example.com/b/k", strings.NewReader(wire))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Decoded-Content-Length", "5")
		s := signed(t, r, payload)
		key := SigningKey(testCredential.Secret, s.Date, s.Region, s.Service)
		b, err := s.Body(r, key, BodyOptions{MaxBytes: 5, AllowUnsigned: true})
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.ReadFull(b, data)
		if _, typed := err.(*Error); !typed || n == len(data) {
			t.Errorf("%s: read %d bytes, %v", payload, n, err)
		}
	}
}

// TestBodySourceErrors: an error of the connection is the caller's to see, and stays.
func TestBodySourceErrors(t *testing.T) {
	broken := errors.New("connection reset")
	for _, payload := range []string{UnsignedPayload, EmptyHash} {
		r, err := http.NewRequest("PUT", "https://s3.example.com/b/k", iotest.ErrReader(broken))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = -1
		s := signed(t, r, payload)
		b, err := s.Body(r, nil, BodyOptions{MaxBytes: 10, AllowUnsigned: true})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := b.Read(make([]byte, 1)); err != broken {
				t.Errorf("%s: %v", payload, err)
			}
		}
	}
}

func FuzzChunks(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"), false)
	f.Add([]byte("0\r\nx-amz-checksum-crc32:x\r\n\r\n"), false)
	f.Add(documentedTrailer.body()[65600:], true)
	f.Add([]byte("5;chunk-signature="+EmptyHash+"\r\nhello\r\n0;chunk-signature="+EmptyHash+"\r\n\r\n"), true)
	key := SigningKey(testCredential.Secret, "20260304", "eu-west-1", "s3")
	f.Fuzz(func(t *testing.T, body []byte, sign bool) {
		s := &Signature{Date: "20260304", Region: "eu-west-1", Service: "s3", Time: testNow, signature: EmptyHash, Payload: PayloadUnsignedTrailer}
		if sign {
			s.Payload = PayloadChunksTrailer
		}
		c := s.newChunkReader(bytes.NewReader(body), key, 5, []string{"x-amz-checksum-crc32"})
		data, err := io.ReadAll(c)
		if len(data) > 5 {
			t.Fatalf("%d bytes decoded, 5 stated", len(data))
		}
		if err != nil {
			if _, ok := err.(*Error); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if sign {
			t.Fatal("accepted without a signature made with the key")
		}
		if len(data) != 5 || c.trailer.Get("X-Amz-Checksum-Crc32") == "" && !bytes.Contains(body, []byte(":")) {
			t.Fatalf("accepted %q", body)
		}
	})
}
