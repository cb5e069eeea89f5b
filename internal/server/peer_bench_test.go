package server_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/config"
	"bawn.dev/internal/sigv4"
)

// BenchmarkKeys is a KMS beside OpenBao's transit engine: the same generator (wrk), the
// same 64 connections over TLS, the same 256 bytes under an AES-256 key with one pair of
// associated data, one after the other, in turns. OpenBao has its file audit device on,
// file storage, and writes its audit through the page cache; Bawn verifies a signature,
// evaluates policies, and answers after its record's fsync.
//
// BAO names OpenBao's binary; without it, or without wrk, that side is left out.
func BenchmarkKeys(b *testing.B) {
	if _, err := exec.LookPath("wrk"); err != nil {
		b.Skip("wrk, which makes the load, is not installed")
	}
	sides := []*side{startBawn(b)}
	if bao := os.Getenv("BAO"); bao != "" {
		sides = append(sides, startBao(b, bao))
	}
	takeTurns(b, sides, "Encrypt", "Decrypt", "GenerateDataKey")
}

// takeTurns measures operations on both sides.
func takeTurns(b *testing.B, sides []*side, operations ...string) {
	b.Helper()
	for _, operation := range operations {
		// In short turns, so that whatever else the machine does is in the way of both.
		scripts := make([]string, len(sides))
		sums := make([]figures, len(sides))
		for i, s := range sides {
			scripts[i] = s.script(b, operation)
			s.run(b, scripts[i])
		}
		for range loadTurns {
			for i, s := range sides {
				before := processorOf(b, s.pid)
				n, elapsed := s.run(b, scripts[i])
				sums[i].add(n, elapsed, processorOf(b, s.pid)-before)
			}
		}
		report(b, sides, sums, operation)
	}
}

func report(b *testing.B, sides []*side, sums []figures, operation string) {
	b.Helper()
	for i, s := range sides {
		b.Run(operation+"/"+s.name, func(b *testing.B) {
			b.ReportMetric(sums[i].answers/sums[i].elapsed.Seconds(), "calls/s")
			b.ReportMetric(float64(sums[i].processor.Microseconds())/sums[i].answers, "µs-of-processor/call")
			b.ReportMetric(0, "ns/op") // the load runs for its own time
		})
	}
}

// A side is a running service and how to ask it.
type side struct {
	name    string
	pid     int
	address string
	// requests are some hundred different ones of an operation, as they go over the wire.
	requests func(b *testing.B, operation string) [][]byte
}

const (
	loadTurns   = 4
	loadSeconds = 3 // each
	loadClients = 64
	loadShapes  = 256 // different requests
)

// figures are what several turns came to.
type figures struct {
	answers            float64
	elapsed, processor time.Duration // of the processor, the server's alone
}

func (f *figures) add(answers float64, elapsed, processor time.Duration) {
	f.answers, f.elapsed, f.processor = f.answers+answers, f.elapsed+elapsed, f.processor+processor
}

var (
	wrkTotal   = regexp.MustCompile(`(\d+) requests in ([\d.]+)(m?s|m)`)
	wrkFailure = regexp.MustCompile(`Non-2xx or 3xx responses|Socket errors`)
)

// script writes an operation's requests for wrk.
func (s *side) script(b *testing.B, operation string) (path string) {
	b.Helper()
	var script strings.Builder
	script.WriteString("local requests = {\n")
	for _, r := range s.requests(b, operation) {
		script.WriteString(luaString(r) + ",\n")
	}
	script.WriteString("}\nlocal next = 0\nfunction request()\n  next = next % #requests + 1\n  return requests[next]\nend\n")
	path = filepath.Join(b.TempDir(), "load.lua")
	if err := os.WriteFile(path, []byte(script.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// run asks for a while from all clients at once. One answer that is no success ends
// the benchmark.
func (s *side) run(b *testing.B, script string) (answers float64, elapsed time.Duration) {
	b.Helper()
	out, err := exec.Command("wrk", "-t", "2", "-c", strconv.Itoa(loadClients), "-d", fmt.Sprintf("%ds", loadSeconds), "-s", script, "https://"+s.address).CombinedOutput()
	m := wrkTotal.FindSubmatch(out)
	if err != nil || m == nil || wrkFailure.Match(out) {
		b.Fatalf("%v\n%s", err, out)
	}
	answers, _ = strconv.ParseFloat(string(m[1]), 64)
	if elapsed, err = time.ParseDuration(string(m[2]) + string(m[3])); err != nil {
		b.Fatal(err)
	}
	return answers, elapsed
}

// luaString writes bytes as Lua reads them.
func luaString(text []byte) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, c := range text {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			fmt.Fprintf(&out, `\%03d`, c)
			continue
		}
		out.WriteByte(c)
	}
	return out.String() + `"`
}

// processorOf is what another process has used of the processor, to the clock's tick.
func processorOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		b.Fatalf("%s", stat)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// raw is a request as it goes over the wire.
func raw(b *testing.B, r *http.Request) []byte {
	b.Helper()
	r.Header.Set("User-Agent", "bench")
	out, err := httputil.DumpRequestOut(r, true)
	if err != nil {
		b.Fatal(err)
	}
	return bytes.Replace(out, []byte("Accept-Encoding: gzip\r\n"), nil, 1)
}

func startBawn(b *testing.B) *side {
	b.Helper()
	binary, data := build(b), filepath.Join(b.TempDir(), "data")
	if out, err := exec.Command(binary, "init", "--data", data).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	p := spawn(b, binary, "serve", "--data", data, "--listen", "127.0.0.1:0")
	c := newClient(b, data, p.serving(b))
	return &side{name: "bawn", pid: p.cmd.Process.Pid, address: strings.TrimPrefix(c.url, "https://"), requests: c.keyRequests(b)}
}

// keyRequests makes a key, and signs requests for its use.
func (c *client) keyRequests(b *testing.B) func(b *testing.B, operation string) [][]byte {
	var made struct{ KeyMetadata struct{ KeyId string } }
	if err := json.Unmarshal(ok(b)(c.kms(b.Context(), "CreateKey", "{}")).body, &made); err != nil {
		b.Fatal(err)
	}
	key := made.KeyMetadata.KeyId
	return func(b *testing.B, operation string) [][]byte {
		var all [][]byte
		for range loadShapes {
			in := map[string]any{"KeyId": key, "EncryptionContext": map[string]string{"purpose": "bench"}}
			switch operation {
			case "Encrypt":
				in["Plaintext"] = plaintext()
			case "Decrypt":
				in["Plaintext"] = plaintext()
				var sealed struct{ CiphertextBlob string }
				if err := json.Unmarshal(ok(b)(c.kms(b.Context(), "Encrypt", encoded(b, in))).body, &sealed); err != nil {
					b.Fatal(err)
				}
				delete(in, "Plaintext")
				in["CiphertextBlob"] = sealed.CiphertextBlob
			case "GenerateDataKey":
				in["KeySpec"] = "AES_256"
			}
			body := encoded(b, in)
			r, err := http.NewRequest(http.MethodPost, c.url+"/", strings.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-amz-json-1.1")
			r.Header.Set("X-Amz-Target", "TrentService."+operation)
			sum := sha256.Sum256([]byte(body))
			if err := sigv4.Sign(r, c.who, "kms", config.DefaultRegion, time.Now(), hex.EncodeToString(sum[:])); err != nil {
				b.Fatal(err)
			}
			all = append(all, raw(b, r))
		}
		return all
	}
}

// plaintext is 256 random bytes in base64.
func plaintext() string {
	text := make([]byte, 256)
	rand.Read(text)
	return base64.StdEncoding.EncodeToString(text)
}

func encoded(b *testing.B, v any) string {
	b.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	return string(out)
}

const baoConfig = `
storage "file" { path = "%[1]s/data" }
listener "tcp" {
  address = "%[2]s"
  tls_cert_file = "%[1]s/cert.pem"
  tls_key_file = "%[1]s/key.pem"
}
audit "file" "file" {
  options { file_path = "%[1]s/audit.log" }
}
disable_mlock = true
`

// startBao runs OpenBao with a transit key.
func startBao(b *testing.B, binary string) *side {
	b.Helper()
	dir, address := b.TempDir(), freeAddress(b)
	certificate := selfSigned(b, dir)
	if err := os.WriteFile(filepath.Join(dir, "bao.hcl"), fmt.Appendf(nil, baoConfig, dir, address), 0o600); err != nil {
		b.Fatal(err)
	}
	p := spawn(b, binary, "server", "-config="+filepath.Join(dir, "bao.hcl"))
	c := &baoClient{url: "https://" + address + "/v1/", http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: certificate}}}}
	for {
		resp, err := c.http.Get(c.url + "sys/health")
		if err == nil {
			resp.Body.Close()
			break
		}
		if p.over() {
			b.Fatalf("OpenBao ended: %v\n%s", p.result, p.said)
		}
	}
	var root struct {
		Keys  []string `json:"keys"`
		Token string   `json:"root_token"`
	}
	c.ask(b, http.MethodPut, "sys/init", map[string]any{"secret_shares": 1, "secret_threshold": 1}, &root)
	c.ask(b, http.MethodPut, "sys/unseal", map[string]any{"key": root.Keys[0]}, nil)
	c.token = root.Token
	for c.status(b, "sys/health") != http.StatusOK { // it becomes active soon after
	}
	c.ask(b, http.MethodPost, "sys/mounts/transit", map[string]any{"type": "transit"}, nil)
	c.ask(b, http.MethodPost, "transit/keys/bench", map[string]any{"type": "aes256-gcm96"}, nil)
	return &side{name: "openbao", pid: p.cmd.Process.Pid, address: address, requests: c.requests}
}

type baoClient struct {
	http       *http.Client
	url, token string
}

func (c *baoClient) requests(b *testing.B, operation string) [][]byte {
	path := map[string]string{"Encrypt": "transit/encrypt/bench", "Decrypt": "transit/decrypt/bench", "GenerateDataKey": "transit/datakey/plaintext/bench"}[operation]
	data := base64.StdEncoding.EncodeToString([]byte("purpose=bench"))
	var all [][]byte
	for range loadShapes {
		in := map[string]any{"associated_data": data}
		switch operation {
		case "Encrypt":
			in["plaintext"] = plaintext()
		case "Decrypt":
			in["plaintext"] = plaintext()
			var sealed struct {
				Data struct {
					Ciphertext string `json:"ciphertext"`
				} `json:"data"`
			}
			c.ask(b, http.MethodPost, "transit/encrypt/bench", in, &sealed)
			delete(in, "plaintext")
			in["ciphertext"] = sealed.Data.Ciphertext
		case "GenerateDataKey":
			in = map[string]any{"bits": 256}
		}
		all = append(all, raw(b, c.request(b, http.MethodPost, path, in)))
	}
	return all
}

func (c *baoClient) request(b *testing.B, method, path string, in any) *http.Request {
	b.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, c.url+path, strings.NewReader(encoded(b, in)))
	if err != nil {
		b.Fatal(err)
	}
	if c.token != "" {
		r.Header.Set("X-Vault-Token", c.token)
	}
	return r
}

func (c *baoClient) ask(b *testing.B, method, path string, in, out any) {
	b.Helper()
	resp, err := c.http.Do(c.request(b, method, path, in))
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		b.Fatalf("%s: %v %s", path, err, text)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			b.Fatal(err)
		}
	}
}

func (c *baoClient) status(b *testing.B, path string) int {
	b.Helper()
	resp, err := c.http.Get(c.url + path)
	if err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func freeAddress(b testing.TB) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// answers says whether something listens there.
func answers(address string) bool {
	c, err := net.Dial("tcp", address)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// selfSigned makes a certificate for 127.0.0.1, as Bawn's own are: P-256.
func selfSigned(b *testing.B, dir string) *x509.CertPool {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		b.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		b.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range map[string][]byte{"cert.pem": certificate, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return pool
}
