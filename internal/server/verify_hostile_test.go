package server_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What somebody put into the database is not sealed, and named; without it everything
// goes on.
func TestWhatNobodyRecordedIsNotSealed(t *testing.T) {
	h := newHouse(t)
	h.run(0, "fsck", "--data", h.data)
	outside(t, &victim{data: h.data},
		`INSERT INTO trail_records (time, account, event) VALUES (1, '123456789012', CAST('{"a":1}' || char(10) || '{"b":2}' AS BLOB))`,
		`INSERT INTO trail_records (time, account, event) VALUES (1, '123456789012', CAST('"quoted"' AS BLOB))`,
		`INSERT INTO trail_records (time, account, event) VALUES (1, '123456789012', CAST('' AS BLOB))`,
		`INSERT INTO trail_records (time, account, event) VALUES (1, '123456789012', CAST('{"long":"' || hex(zeroblob(600000)) || '"}' AS BLOB))`)
	if out := h.run(4, "fsck", "--data", h.data); strings.Count(out, "was not written by a server of this log") != 4 {
		t.Error(out)
	}
	h.run(4, "serve", "--data", h.data, "--listen", "127.0.0.1:0")
	outside(t, &victim{data: h.data}, "DELETE FROM trail_records WHERE mac IS NULL")
	key := strings.TrimSpace(h.run(0, "verify", "key", "--data", h.data))
	copied := filepath.Join(h.dir, "copied")
	h.run(0, "verify", "export", "--data", h.data, copied)
	h.run(0, "verify", "log", copied, "--key", key)
	h.run(0, "fsck", "--data", h.data)
}

// Numbers that nobody would store are a finding, not the end of the program.
func TestNumbersOfWhoeverOwnsTheDatabase(t *testing.T) {
	h := newHouse(t)
	for range 3 {
		h.run(0, "verify", "export", "--data", h.data, filepath.Join(h.dir, "first"))
	}
	whole := h.copy(h.data)
	for _, attack := range []string{
		"UPDATE trail_leaves SET leaf = -9223372036854775808 WHERE leaf = 0",
		"UPDATE trail_leaves SET leaf = 9223372036854775807 WHERE leaf = (SELECT max(leaf) FROM trail_leaves)",
		"UPDATE trail_leaves SET seq = 9223372036854775807 WHERE leaf = 0",
		"UPDATE trail_hashes SET idx = idx - 9223372036854775807",
		"UPDATE trail_hashes SET idx = 9223372036854775807 WHERE idx = 0",
		"UPDATE trail_checkpoints SET size = 9223372036854775807 WHERE size = (SELECT max(size) FROM trail_checkpoints)",
		"UPDATE trail_checkpoints SET size = -9223372036854775808 WHERE size = (SELECT min(size) FROM trail_checkpoints)",
		"UPDATE trail_records SET seq = 9223372036854775807 WHERE seq = 1",
		"UPDATE trail_records SET seq = -9223372036854775808 WHERE seq = 1",
	} {
		t.Run(attack, func(t *testing.T) {
			h.put(whole)
			outside(t, &victim{data: h.data}, attack)
			for _, command := range [][]string{
				{"fsck", "--data", h.data}, {"verify", "export", "--data", h.data, filepath.Join(t.TempDir(), "copy")},
			} {
				out, err := exec.Command(h.binary, command...).CombinedOutput()
				if bytes.Contains(out, []byte("panic")) || err == nil && command[0] == "fsck" {
					t.Errorf("bawn %s: %v\n%s", command, err, out)
				}
			}
		})
	}
}
