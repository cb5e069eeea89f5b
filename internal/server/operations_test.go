package server_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
)

var update = flag.Bool("update", false, "write docs/operations.md anew")

// The manual is what the registry says today.
func TestOperationsManual(t *testing.T) {
	const path = "../../docs/operations.md"
	b := servertest.Start(t)
	want := server.OperationsManual(b.Door().Entries())
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
	for _, name := range []string{"`PermissionsBoundary`", "`DryRun`", "`GrantFullControl`"} { // known at AWS, refused here
		if !strings.Contains(want, name) {
			t.Errorf("the manual does not say that %s is refused", name)
		}
	}
}
