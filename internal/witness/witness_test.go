package witness_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/witness"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// A log of n leaves, of which one may be another's.
type log struct {
	nodes []ledger.Hash
	roots []ledger.Hash
}

func newLog(n, forged int) *log {
	var tree ledger.Range
	l := &log{roots: []ledger.Hash{tree.Root()}}
	for i := range n {
		record := fmt.Sprint(i)
		if i == forged {
			record = "forged"
		}
		l.nodes = append(l.nodes, tree.Add(ledger.LeafHash([]byte(record)))...)
		l.roots = append(l.roots, tree.Root())
	}
	return l
}

func (l *log) ReadHashes(indexes []int64) ([]ledger.Hash, error) {
	all := make([]ledger.Hash, len(indexes))
	for i, index := range indexes {
		all[i] = l.nodes[index]
	}
	return all, nil
}

func signerOf(t *testing.T, name string) ledger.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	s, err := ledger.NewSigner(name, key)
	must(t, err)
	return s
}

// ask is the request to extend from one size to another.
func (l *log) ask(t *testing.T, s ledger.Signer, old, size int64) ledger.Extension {
	t.Helper()
	signed, err := s.Sign(ledger.Checkpoint{Origin: s.Origin(), Size: size, Root: l.roots[size]})
	must(t, err)
	e := ledger.Extension{Old: old, Signed: signed}
	if old > 0 && old < size {
		e.Hashes, err = ledger.ProveConsistency(size, old, l)
		must(t, err)
	}
	return e
}

func TestWitness(t *testing.T) {
	signer := signerOf(t, "bawn.test/log")
	key, err := signer.Verifier()
	must(t, err)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	cosigner, err := ledger.NewCosigner("witness.test/1", private)
	must(t, err)
	verifier, err := ledger.ParseWitness(cosigner.Public())
	must(t, err)
	dir := t.TempDir()
	var server *httptest.Server
	start := func() {
		server = httptest.NewServer(witness.New(dir, cosigner, []ledger.Verifier{key}, func() time.Time { return noon }))
		t.Cleanup(server.Close)
	}
	start()
	post := func(e ledger.Extension) (int, string) {
		t.Helper()
		resp, err := http.Post(server.URL+"/add-checkpoint", "text/plain", strings.NewReader(string(e.Text())))
		must(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp.StatusCode, string(body)
	}
	signs := func(e ledger.Extension) {
		t.Helper()
		status, line := post(e)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, line)
		}
		if at, err := verifier.Seen(append(e.Signed, line...)); err != nil || !at.Equal(noon) {
			t.Errorf("seen at %v, %v", at, err)
		}
	}
	refuses := func(what string, e ledger.Extension, want int, body string) {
		t.Helper()
		if status, got := post(e); status != want || body != "" && got != body {
			t.Errorf("%s: %d %q, want %d", what, status, got, want)
		}
	}
	honest, forged := newLog(20, -1), newLog(20, 3)
	signs(honest.ask(t, signer, 0, 5))
	signs(honest.ask(t, signer, 5, 5))
	signs(honest.ask(t, signer, 5, 12))
	refuses("from nothing, again", honest.ask(t, signer, 0, 15), http.StatusConflict, "12\n")
	refuses("a step back", honest.ask(t, signer, 5, 8), http.StatusConflict, "12\n")
	refuses("another history", forged.ask(t, signer, 12, 15), http.StatusUnprocessableEntity, "")
	refuses("another head of that size", forged.ask(t, signer, 12, 12), http.StatusConflict, "12\n")
	refuses("a larger old size", ledger.Extension{Old: 13, Signed: honest.ask(t, signer, 12, 12).Signed}, http.StatusBadRequest, "")
	refuses("another log", honest.ask(t, signerOf(t, "bawn.test/other"), 12, 15), http.StatusNotFound, "")
	refuses("another's key", honest.ask(t, signerOf(t, "bawn.test/log"), 12, 15), http.StatusForbidden, "")
	refuses("nonsense", ledger.Extension{Old: 12, Signed: []byte("x")}, http.StatusNotFound, "")
	start() // it remembers
	refuses("another history, after a restart", forged.ask(t, signer, 0, 15), http.StatusConflict, "12\n")
	signs(honest.ask(t, signer, 12, 20))
}
