package server_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"bawn.dev/internal/config"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/sigv4"
)

// An object store of the comparison, by its client.
type objectStore struct {
	side
	c *client
}

// objectStores are Bawn and, if VERSITYGW names its binary, versitygw over a directory
// of the same disk: both over TLS, each with a P-256 certificate. versitygw seals
// nothing, keeps no record and does not wait for the disk.
func objectStores(b *testing.B) []*objectStore {
	b.Helper()
	binary, data := build(b), filepath.Join(b.TempDir(), "data")
	if out, err := exec.Command(binary, "init", "--data", data).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	p := spawn(b, binary, "serve", "--data", data, "--listen", "127.0.0.1:0")
	c := newClient(b, data, p.serving(b))
	stores := []*objectStore{{side{name: "bawn", pid: p.cmd.Process.Pid}, c}}
	if os.Getenv("VERSITYGW") != "" {
		stores = append(stores, startVersityTLS(b))
	}
	for _, s := range stores {
		ok(b)(s.c.object(b.Context(), http.MethodPut, "/bench", nil))
		s.address = strings.TrimPrefix(s.c.url, "https://")
		s.requests = s.c.objectRequests
	}
	return stores
}

func startVersityTLS(b *testing.B) *objectStore {
	b.Helper()
	address, dir, root := freeAddress(b), b.TempDir(), b.TempDir()
	roots := selfSigned(b, dir)
	p := spawn(b, os.Getenv("VERSITYGW"), "--access", "versity", "--secret", "versity-secret", "--port", address, "--region", config.DefaultRegion,
		"--quiet", "--cert", filepath.Join(dir, "cert.pem"), "--key", filepath.Join(dir, "key.pem"), "posix", root)
	for !answers(address) {
		if p.over() {
			b.Fatalf("versitygw ended: %v\n%s", p.result, p.said)
		}
	}
	c := &client{url: "https://" + address, http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}}
	c.who.AccessKeyID, c.who.Secret = "versity", "versity-secret"
	b.Cleanup(c.http.CloseIdleConnections)
	return &objectStore{side{name: "versitygw", pid: p.cmd.Process.Pid}, c}
}

const smallObject = 4 << 10

// objectRequests are for objects of 4 KiB, all of which are there.
func (c *client) objectRequests(b *testing.B, operation string) [][]byte {
	b.Helper()
	body := bytes.Repeat([]byte("0123456789abcdef"), smallObject/16)
	method := strings.ToUpper(operation)
	var all [][]byte
	for n := range loadShapes {
		path := fmt.Sprintf("/bench/small/%d", n)
		if method == http.MethodPut {
			all = append(all, raw(b, c.request(b, method, path, body)))
			continue
		}
		ok(b)(c.object(b.Context(), http.MethodPut, path, body))
		all = append(all, raw(b, c.request(b, method, path, nil)))
	}
	return all
}

// BenchmarkSmallObjects is 4 KiB from 64 connections. wrk does not understand answers
// to HEAD: those are read here.
func BenchmarkSmallObjects(b *testing.B) {
	if _, err := exec.LookPath("wrk"); err != nil {
		b.Skip("wrk, which makes the load, is not installed")
	}
	var sides []*side
	for _, s := range objectStores(b) {
		sides = append(sides, &s.side)
	}
	takeTurns(b, sides, "Put", "Get")
	sums := make([]figures, len(sides))
	for turn := range loadTurns + 1 {
		for i, s := range sides {
			requests := s.requests(b, "Head")
			before, began := processorOf(b, s.pid), time.Now()
			n := s.heads(b, requests)
			if turn > 0 {
				sums[i].add(n, time.Since(began), processorOf(b, s.pid)-before)
			}
		}
	}
	report(b, sides, sums, "Head")
}

// heads sends requests that have no body, nor have their answers, for as long as wrk
// would, and counts the answers. A server that ends a connection after an answer, as
// versitygw does here, gets another one.
func (s *side) heads(b *testing.B, requests [][]byte) float64 {
	b.Helper()
	var answers atomic.Int64
	var clients errgroup.Group
	end := time.Now().Add(loadSeconds * time.Second)
	for client := range loadClients {
		clients.Go(func() error {
			for n := client; time.Now().Before(end); {
				answered, err := s.headsOn(requests, n, end)
				answers.Add(int64(answered))
				if n += answered; err != nil || answered == 0 {
					return fmt.Errorf("%s, after %d answers: %w", s.name, n-client, err)
				}
			}
			return nil
		})
	}
	if err := clients.Wait(); err != nil {
		b.Fatal(err)
	}
	return float64(answers.Load())
}

// headsOn is heads on one connection, from one of the requests on.
func (s *side) headsOn(requests [][]byte, from int, end time.Time) (answered int, err error) {
	c, err := tls.Dial("tcp", s.address, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a bench of ourselves
	if err != nil {
		return 0, err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for answered == 0 || time.Now().Before(end) {
		if _, err := c.Write(requests[(from+answered)%len(requests)]); err != nil {
			return answered, nil //nolint:nilerr // ended after an answer, unless there was none
		}
		status, err := in.ReadString('\n')
		if err == io.EOF && status == "" {
			return answered, nil
		}
		if err != nil || !strings.Contains(status, " 200 ") {
			return answered, fmt.Errorf("%q: %w", status, err)
		}
		for line := status; strings.TrimSpace(line) != ""; {
			if line, err = in.ReadString('\n'); err != nil {
				return answered, err
			}
		}
		answered++
	}
	return answered, nil
}

const largeObject = 64 << 20

// BenchmarkLargeObjects is 64 MiB at a time, from a client that shares the processor.
// The stores take turns.
func BenchmarkLargeObjects(b *testing.B) {
	stores := objectStores(b)
	body := bytes.Repeat([]byte("0123456789abcdef"), largeObject/16)
	const turns = 8
	for _, method := range []string{http.MethodPut, http.MethodGet} {
		took, used := map[string]time.Duration{}, map[string]time.Duration{}
		for turn := range turns + 1 {
			for _, s := range stores {
				processor, began := processorOf(b, s.pid), time.Now()
				s.c.transfer(b, method, body)
				if turn > 0 { // the first is to warm up
					took[s.name] += time.Since(began)
					used[s.name] += processorOf(b, s.pid) - processor
				}
			}
		}
		for _, s := range stores {
			b.Run(method+"/"+s.name, func(b *testing.B) {
				b.ReportMetric(turns*largeObject/1e6/took[s.name].Seconds(), "MB/s")
				b.ReportMetric(float64(used[s.name].Milliseconds())/turns, "ms-of-processor/call")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// transfer sends the large object or reads it. Its hash is not signed, as the SDKs do
// over TLS.
func (c *client) transfer(b *testing.B, method string, body []byte) {
	b.Helper()
	var content io.Reader
	if method == http.MethodPut {
		content = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(b.Context(), method, c.url+"/bench/large", content)
	if err != nil {
		b.Fatal(err)
	}
	if err := sigv4.Sign(r, c.who, "s3", config.DefaultRegion, time.Now(), "UNSIGNED-PAYLOAD"); err != nil {
		b.Fatal(err)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || method == http.MethodGet && n != largeObject {
		b.Fatal(resp.Status, n, err)
	}
}

// BenchmarkListMillion lists 1,000 keys in the middle of a bucket of a million, whose
// rows are made beforehand.
func BenchmarkListMillion(b *testing.B) {
	s := servertest.Start(b)
	c := newClient(b, s.Config.Data, s.URL)
	ok(b)(c.object(b.Context(), http.MethodPut, "/million", nil))
	s.Stop()
	db, err := sql.Open("sqlite", s.Config.Path("bawn.db"))
	if err != nil {
		b.Fatal(err)
	}
	_, err = db.Exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < 999999)
		INSERT INTO s3_objects (bucket, key, etag, size, modified, ref, kms_key, data_key, algorithm, details, proof)
		SELECT 'million', CAST(printf('set/%03d/%07d.jpg', i / 5000, i) AS BLOB), hex(randomblob(16)), 4096, 1767225600000000,
			'', '', zeroblob(200), 'CRC64NVME', '', zeroblob(60) FROM n`)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	s.Restart(b)
	c = newClient(b, s.Config.Data, s.URL)
	path := "/million?list-type=2&start-after=" + url.QueryEscape("set/100/0500000.jpg")
	if n := len(names(b, ok(b)(c.object(b.Context(), http.MethodGet, path, nil)).body, "Key")); n != 1000 {
		b.Fatalf("%d keys", n)
	}
	b.ReportAllocs()
	for b.Loop() {
		ok(b)(c.object(b.Context(), http.MethodGet, path, nil))
	}
	s.Stop()
}
