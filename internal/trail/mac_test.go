package trail_test

import (
	"errors"
	"strings"
	"testing"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
	"bawn.dev/internal/trail"
)

// Somebody who can write the database adds a record, or changes one, before it is
// sealed: it is never sealed, nothing after it is, and the check says which.
func TestOnlyServersRecord(t *testing.T) {
	const copied = "INSERT INTO trail_records (time, account, event, mac) SELECT "
	for name, attack := range map[string]string{
		"a row without a code":         copied + "time, account, event, NULL FROM trail_records WHERE seq = 3",
		"a row with an empty code":     copied + "time, account, event, CAST('' AS BLOB) FROM trail_records WHERE seq = 3",
		"another's code":               copied + "time, account, event, (SELECT mac FROM trail_records WHERE seq = 4) FROM trail_records WHERE seq = 3",
		"a record under another time":  copied + "time - 1, account, event, mac FROM trail_records WHERE seq = 3",
		"a record of another account":  copied + "time, '210987654321', event, mac FROM trail_records WHERE seq = 3",
		"an event in another's place":  "UPDATE trail_records SET event = (SELECT event FROM trail_records WHERE seq = 3) WHERE seq = 7",
		"an event cut off":             "UPDATE trail_records SET event = substr(event, 1, 20) WHERE seq = 7",
		"a record that waits is moved": "UPDATE trail_records SET account = '210987654321' WHERE seq = 7",
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.SQLite(t)
			tr, err := trail.New(s, newSigner(t), trail.Options{})
			must(t, err)
			for i := range 5 {
				must(t, tr.Write(t.Context(), minute(i)))
			}
			must(t, tr.Seal(t.Context()))
			for i := range 3 {
				must(t, tr.Write(t.Context(), minute(10+i)))
			}
			must(t, tr.Verify(t.Context()))
			before, err := tr.Checkpoint(t.Context())
			must(t, err)
			must(t, s.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(attack)
				return err
			}))
			foreign := int64(9)
			if strings.HasPrefix(attack, "UPDATE") {
				foreign = 7
			}
			var found *trail.Foreign
			if err := tr.Seal(t.Context()); !errors.As(err, &found) || found.Seq != foreign {
				t.Errorf("sealing says %v", err)
			}
			if after, err := tr.Checkpoint(t.Context()); err != nil || string(after) != string(before) {
				t.Errorf("something was signed: %s, %v", after, err)
			}
			var wrong *trail.Tampered
			if err := tr.Verify(t.Context()); !errors.As(err, &wrong) || wrong.Seq != foreign || !strings.Contains(err.Error(), "was not written by a server of this log") {
				t.Errorf("checking says %v", err)
			}
			if _, err := tr.Find(t.Context(), trail.Query{Account: "123456789012"}); !errors.As(err, &found) {
				t.Errorf("a question is answered: %v", err)
			}
			must(t, s.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec("DELETE FROM trail_records WHERE seq = ?", foreign)
				return err
			}))
			must(t, tr.Seal(t.Context()))
			must(t, tr.Verify(t.Context()))
		})
	}
}

// Another log's servers have another key.
func TestOnlyServersOfTheLogRecord(t *testing.T) {
	s := storetest.SQLite(t)
	own, err := trail.New(s, newSigner(t), trail.Options{})
	must(t, err)
	other, err := trail.New(s, newSigner(t), trail.Options{})
	must(t, err)
	must(t, other.Write(t.Context(), minute(1)))
	var found *trail.Foreign
	if err := own.Seal(t.Context()); !errors.As(err, &found) {
		t.Errorf("sealing says %v", err)
	}
}
