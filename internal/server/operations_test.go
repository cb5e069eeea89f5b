package server_test

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
)

var update = flag.Bool("update", false, "write docs/operations.md anew")

// demands are those of an example of each operation.
func demands(t *testing.T, b *servertest.Bawn) map[string][]api.Demand {
	t.Helper()
	ctx := context.Background()
	claim := nobody(t, b)
	claim.AccessKeyID = "AKIA" + strings.Repeat("X", 16) // some operations are for long-term keys
	call, err := b.Door().Begin(ctx, claim, "")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]api.Demand{}
	for _, e := range b.Door().Entries() {
		if all[e.Name], err = b.Door().Demands(ctx, call, e.Name, example(t, e)); err != nil && !e.Open { // an open operation demands nothing of nobody
			t.Errorf("%s: %v", e.Name, err)
		}
	}
	return all
}

// The manual is what the registry says today.
func TestOperationsManual(t *testing.T) {
	const path = "../../docs/operations.md"
	b := servertest.Start(t)
	want := server.OperationsManual(b.Door().Entries(), demands(t, b), catalogue.New())
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale: run this test with -update", path)
	}
	for _, e := range b.Door().Entries() {
		if !strings.Contains(want, "| "+e.Model.Name+" | `"+e.Service.Prefix) {
			t.Errorf("%s is not in the manual", e.Name)
		}
		if e.Undeniable != "" && !strings.Contains(want, "**Undeniable**") {
			t.Errorf("%s is undeniable, and the manual does not say so", e.Name)
		}
	}
	for _, name := range []string{"`AddPrivateKey`", "`AllocationId`", "`GrantFullControl`"} { // known at AWS, refused here
		if !strings.Contains(want, name) {
			t.Errorf("the manual does not say that %s is refused", name)
		}
	}
}
