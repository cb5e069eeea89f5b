package store_test

import (
	"path/filepath"
	"testing"

	"bawn.dev/internal/store"
)

func openSQLite(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "bawn.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSmoke(t *testing.T) {
	s := openSQLite(t)
	err := s.Migrate(t.Context(), []store.Migration{{Room: "t", Version: 1, SQL: []string{"CREATE TABLE t (k TEXT PRIMARY KEY, v BLOB, n INTEGER)"}}})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec("INSERT INTO t (k, v, n) VALUES (?,?,?)", "a", []byte{1}, 5); err != nil {
			return err
		}
		return tx.Touch("x", "y")
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	v, err := n.Versions("x", "y", "z")
	if err != nil || v[0] != 1 || v[1] != 2 || v[2] != 0 {
		t.Fatal(v, err)
	}
}
