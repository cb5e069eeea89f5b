package server_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/store/pgtest"
)

// The same flow on PostgreSQL: no service knows which database it runs on.
func TestFrontDoorOnPostgres(t *testing.T) {
	b := servertest.StartOn(t, pgtest.Start(t).Database(t))
	user := strings.TrimSpace(b.Python(t, script(t, "frontdoor.py"), b.Token(t, "ada@example.org", nil), b.Token(t, "ada@example.org", nil)))
	if _, err := os.Stat(b.Config.Path("bawn.db")); !os.IsNotExist(err) {
		t.Errorf("there is an embedded database too: %v", err)
	}
	apitest.NoPlaintext(t, b.Config.Data, "MARKER-plaintext-of-the-data-set")
	b.Restart(t)
	if _, err := b.Rekey(context.Background(), server.RekeyRequest{Operator: "test", To: "file"}); err != nil {
		t.Error(err)
	}
	b.Restart(t)
	page, err := b.Audit(context.Background(), server.AuditRequest{Operator: "test", Person: user})
	if err != nil || len(page.Lines) < 5 {
		t.Errorf("%+v on her behalf, %v", page, err)
	}
	report, err := b.Check(context.Background(), server.CheckRequest{Operator: "test"})
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}
