package server_test

import (
	"database/sql"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// What a server recorded last before it was stopped, its end included, is signed and
// remembered: while nothing runs, nobody can take it away unseen.
func TestTheEndIsSealed(t *testing.T) {
	h := newHouse(t)
	p := h.serve()
	h.act("last")
	p.stop(syscall.SIGTERM)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(h.data, "bawn.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var recorded int
	if err := db.QueryRow("SELECT count(*) FROM trail_records").Scan(&recorded); err != nil {
		t.Fatal(err)
	}
	if head := strings.Split(h.read(filepath.Join(h.data, "record.head")), "\n"); head[1] != strconv.Itoa(recorded) {
		t.Errorf("of %d records %s are remembered", recorded, head[1])
	}
	outside(t, &victim{data: h.data}, "DELETE FROM trail_records WHERE seq = (SELECT max(seq) FROM trail_records)")
	if out := h.run(4, "fsck", "--data", h.data); !strings.Contains(out, "was deleted") {
		t.Error(out)
	}
}

// Nor what an administration command recorded while no server runs.
func TestCommandsAreSealed(t *testing.T) {
	h := newHouse(t)
	h.run(0, "scim", "list-tokens", "--data", h.data)
	outside(t, &victim{data: h.data}, "DELETE FROM trail_records WHERE seq = (SELECT max(seq) FROM trail_records)")
	if out := h.run(4, "fsck", "--data", h.data); !strings.Contains(out, "was deleted") {
		t.Error(out)
	}
}
