package verify_test

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bawn.dev/internal/verify"
)

const (
	trailPlace = "logs/AWSLogs/123456789012/"
	print      = "0123456789abcdef0123456789abcdef"
)

// A bucket is what a trail of several hours wrote, with the signature of the last digest.
type bucket struct {
	dir     string
	keys    verify.Keys
	digests []string
	logs    []string
	newest  string
}

func zipped(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(text)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func (b *bucket) put(t testing.TB, key string, text []byte) {
	t.Helper()
	path := filepath.Join(b.dir, key)
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, zipped(t, text), 0o600))
}

func hexSum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func newBucket(t testing.TB, hours int) *bucket {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	list, err := json.Marshal(map[string]any{"PublicKeyList": []any{map[string]any{
		"Value":             base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&key.PublicKey)),
		"Fingerprint":       print,
		"ValidityStartTime": "2026-01-01T00:00:00Z",
	}}})
	must(t, err)
	b := &bucket{dir: t.TempDir()}
	b.keys, err = verify.ParseKeys(list)
	must(t, err)
	var object, sum, signature any
	for hour := range hours {
		begin := time.Date(2026, 11, 26, hour, 0, 0, 0, time.UTC)
		end := begin.Add(time.Hour)
		var logs []any
		for i := range 2 {
			text := fmt.Appendf(nil, `{"Records":[{"hour":%d,"i":%d}]}`, hour, i)
			name := fmt.Sprintf("%sCloudTrail/us-east-1/2026/11/26/123456789012_CloudTrail_us-east-1_%s_abcdefgh%08d.json.gz",
				trailPlace, begin.Add(time.Duration(i)*20*time.Minute).Format("20060102T1504Z"), i)
			b.put(t, name, text)
			b.logs = append(b.logs, name)
			logs = append(logs, map[string]any{"s3Bucket": "trails", "s3Object": name, "hashValue": hexSum(text), "hashAlgorithm": "SHA-256"})
		}
		name := fmt.Sprintf("%sCloudTrail-Digest/us-east-1/2026/11/26/123456789012_CloudTrail-Digest_us-east-1_main_us-east-1_%s.json.gz",
			trailPlace, end.Format("20060102T150405Z"))
		text, err := json.Marshal(map[string]any{
			"awsAccountId": "123456789012", "digestStartTime": begin.Format(time.RFC3339), "digestEndTime": end.Format(time.RFC3339),
			"digestS3Bucket": "trails", "digestS3Object": name, "digestPublicKeyFingerprint": print,
			"digestSignatureAlgorithm": "SHA256withRSA", "newestEventTime": nil, "oldestEventTime": nil,
			"previousDigestS3Bucket": "trails", "previousDigestS3Object": object, "previousDigestHashValue": sum,
			"previousDigestHashAlgorithm": "SHA-256", "previousDigestSignature": signature, "logFiles": logs,
		})
		must(t, err)
		previous := "null"
		if signature != nil {
			previous = signature.(string)
		}
		said := sha256.Sum256([]byte(end.Format(time.RFC3339) + "\ntrails/" + name + "\n" + hexSum(text) + "\n" + previous))
		raw, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, said[:])
		must(t, err)
		b.put(t, name, text)
		b.digests = append(b.digests, name)
		object, sum, signature, b.newest = name, hexSum(text), hex.EncodeToString(raw), hex.EncodeToString(raw)
	}
	return b
}

func (b *bucket) check() *verify.Report {
	return verify.Trail{Files: os.DirFS(b.dir), Keys: b.keys, Newest: b.newest}.Check()
}

func TestTrail(t *testing.T) {
	b := newBucket(t, 3)
	r := b.check()
	wantProblems(t, r)
	if r.Checked != 3+6 {
		t.Errorf("checked %d", r.Checked)
	}
	signature := b.newest
	b.newest = ""
	wantProblems(t, b.check(), b.digests[2]+": its signature is not here")
	must(t, os.WriteFile(filepath.Join(b.dir, b.digests[2]+".signature"), []byte(signature+"\n"), 0o600))
	wantProblems(t, b.check())
	b.put(t, trailPlace+"CloudTrail/us-east-1/2026/11/26/123456789012_CloudTrail_us-east-1_20261126T0310Z_abcdefgh99999999.json.gz", []byte("{}"))
	r = b.check()
	wantProblems(t, r)
	if len(r.Notes) != 1 {
		t.Errorf("notes %q", r.Notes)
	}
}

func TestChangedTrail(t *testing.T) {
	path := func(b *bucket, key string) string { return filepath.Join(b.dir, key) }
	move := func(t *testing.T, b *bucket, from, to string) { must(t, os.Rename(path(b, from), path(b, to))) }
	exchange := func(t *testing.T, b *bucket, x, y string) {
		move(t, b, x, "x")
		move(t, b, y, x)
		move(t, b, "x", y)
	}
	for name, c := range map[string]struct {
		attack func(*testing.T, *bucket)
		want   []string
	}{
		"a log": {func(t *testing.T, b *bucket) { b.put(t, b.logs[2], []byte(`{"Records":[]}`)) }, []string{"T0100Z_abcdefgh00000000.json.gz: the log file was changed"}},
		"a log's archive": {func(t *testing.T, b *bucket) { must(t, os.WriteFile(path(b, b.logs[2]), []byte("x"), 0o600)) },
			[]string{"T0100Z_abcdefgh00000000.json.gz: the log file was changed"}},
		"a log gone":     {func(t *testing.T, b *bucket) { must(t, os.Remove(path(b, b.logs[2]))) }, []string{"the log file is missing"}},
		"a log moved":    {func(t *testing.T, b *bucket) { move(t, b, b.logs[2], b.logs[2]+".old") }, []string{"the log file is missing"}},
		"logs exchanged": {func(t *testing.T, b *bucket) { exchange(t, b, b.logs[0], b.logs[2]) }, []string{"the log file was changed", "the log file was changed"}},
		"a log more": {func(t *testing.T, b *bucket) {
			b.put(t, trailPlace+"CloudTrail/us-east-1/2026/11/26/123456789012_CloudTrail_us-east-1_20261126T0110Z_abcdefgh99999999.json.gz", []byte("{}"))
		}, []string{"the log file was inserted"}},
		"a digest": {func(t *testing.T, b *bucket) { b.edit(t, b.digests[1], "trails", "thefts") },
			[]string{"T020000Z.json.gz: the digest was changed: ", "T020000Z.json.gz: the digest was changed: its signature does not hold"}},
		"the newest digest": {func(t *testing.T, b *bucket) { b.edit(t, b.digests[2], "trails", "thefts") },
			[]string{"T030000Z.json.gz: the digest was changed: its signature does not hold"}},
		"the oldest digest gone":  {func(t *testing.T, b *bucket) { must(t, os.Remove(path(b, b.digests[0]))) }, []string{"T010000Z.json.gz: the digest is missing"}},
		"a digest gone":           {func(t *testing.T, b *bucket) { must(t, os.Remove(path(b, b.digests[1]))) }, []string{"T020000Z.json.gz: the digest is missing"}},
		"the newest digest gone":  {func(t *testing.T, b *bucket) { must(t, os.Remove(path(b, b.digests[2]))) }, []string{"T020000Z.json.gz: the digest was changed: its signature does not hold"}},
		"digests exchanged":       {func(t *testing.T, b *bucket) { exchange(t, b, b.digests[0], b.digests[1]) }, []string{"T020000Z.json.gz: the digest was moved", "T010000Z.json.gz: the digest was moved"}},
		"another's key":           {func(t *testing.T, b *bucket) { b.keys = newBucket(t, 1).keys }, []string{"signature does not hold", "signature does not hold", "signature does not hold"}},
		"a key that is not given": {func(t *testing.T, b *bucket) { b.keys = verify.Keys{} }, []string{"not among those given", "not among those given", "not among those given"}},
		"nothing":                 {func(t *testing.T, b *bucket) { must(t, os.RemoveAll(path(b, "logs"))) }, []string{"there is no digest file"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBucket(t, 3)
			c.attack(t, b)
			wantProblems(t, b.check(), c.want...)
		})
	}
}

// edit changes the text of a file.
func (b *bucket) edit(t *testing.T, key, old, new string) {
	t.Helper()
	b.put(t, key, bytes.Replace(b.get(t, key), []byte(old), []byte(new), 1))
}

func (b *bucket) get(t testing.TB, key string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, key))
	must(t, err)
	z, err := gzip.NewReader(bytes.NewReader(data))
	must(t, err)
	text, err := io.ReadAll(z)
	must(t, err)
	return text
}
