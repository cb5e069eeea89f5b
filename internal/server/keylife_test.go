package server_test

import (
	"os/exec"
	"strings"
	"testing"

	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
)

// What became due while the server was down is done when it is up, without a call.
func TestKeysAreTended(t *testing.T) {
	b := servertest.Start(t)
	ids := strings.Fields(b.Python(t, `
k = client("kms")
doomed, rotating = (k.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
k.schedule_key_deletion(KeyId=doomed, PendingWindowInDays=7)
k.enable_key_rotation(KeyId=rotating, RotationPeriodInDays=90)
print(doomed, rotating)
`))
	b.Stop()
	out, err := exec.Command("python3", "-c", `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE kms_keys SET deletion = deletion - 8 * 86400 * 1000000 WHERE deletion > 0")
db.execute("UPDATE kms_keys SET rotates = rotates - 91 * 86400 * 1000000 WHERE id = ?", (sys.argv[2],))
db.commit()
db.close()
`, b.Config.Path("bawn.db"), ids[1]).CombinedOutput()
	if err != nil {
		t.Fatalf("%s", out)
	}
	b.Restart(t)
	b.Python(t, `
import time
k = client("kms")
end = time.time() + 60
def eventually(what):
    while not what():
        assert time.time() < end
        time.sleep(0.1)
def gone():
    try:
        return k.describe_key(KeyId=sys.argv[1]) is None
    except k.exceptions.NotFoundException:
        return True
eventually(gone)
eventually(lambda: [r["RotationType"] for r in k.list_key_rotations(KeyId=sys.argv[2])["Rotations"]] == ["AUTOMATIC"])
`, ids...)
	for event, id := range map[string]string{"DeleteKey": ids[0], "RotateKey": ids[1]} {
		page, err := b.Trail().Find(t.Context(), trail.Query{Account: b.Config.AccountID, EventName: event})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Entries) != 1 || !strings.HasSuffix(page.Entries[0].Record.Resources[0].ARN, id) {
			t.Errorf("%s: the record has %d of them", event, len(page.Entries))
		}
	}
}
