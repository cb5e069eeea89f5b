package server_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/store/pgtest"
	"bawn.dev/internal/witness"
)

// Two servers over one database show the heads of one record to the same pin and witness:
// that one of them was faster is no other history.
func TestCopiesShareTheirMemories(t *testing.T) {
	b := servertest.StartOn(t, pgtest.Start(t).Database(t))
	b.Stop()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cosigner, err := ledger.NewCosigner("witness.test/1", key)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewServer(witness.New(t.TempDir(), cosigner, []ledger.Verifier{b.Trail().Public()}, time.Now))
	defer w.Close()
	pin := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pin, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.Config.Pins, b.Config.Witnesses = []string{pin}, []string{w.URL + "#" + cosigner.Public()}
	other := *b
	other.Config.Data = filepath.Join(t.TempDir(), "data")
	if out, err := exec.Command("cp", "-a", b.Config.Data, other.Config.Data).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	both := []*servertest.Bawn{b, &other}
	for _, s := range both {
		s.Restart(t)
		defer s.Stop() // an error of Serve fails the test
	}
	clients := []*client{newClient(t, b.Config.Data, b.URL), newClient(t, other.Config.Data, other.URL)}
	for round := range 3 {
		target := int64(0)
		for range 20 {
			for _, c := range clients {
				ok(t)(c.identity(t.Context()))
			}
		}
		for i, s := range both {
			for {
				out, err := s.RecordMemories(t.Context(), server.RememberedRequest{Operator: "test"})
				if err != nil {
					t.Fatalf("round %d: %v\n%s", round, err, s.Log)
				}
				if target == 0 {
					target = out.Size
				}
				reached := 0
				for _, m := range out.Memories {
					if m.Trouble != "" {
						t.Fatalf("round %d, server %d: %+v", round, i, m)
					}
					if m.Size >= target {
						reached++
					}
				}
				if reached == 3 {
					break
				}
				runtime.Gosched()
			}
		}
	}
	if log := b.Log.String(); strings.Contains(log, "not remembered") {
		t.Error(log)
	}
}
