// Package storetest opens stores for tests, on both databases, so that every
// package that keeps state runs its suite on SQLite and on PostgreSQL. It trusts
// the test that calls it, and is never part of the product.
package storetest

import (
	"path/filepath"
	"testing"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/pgtest"
)

// Each runs suite once per database. open gives a new, empty store at each call,
// closed when its test ends.
func Each(t *testing.T, suite func(t *testing.T, open func(t testing.TB) *store.Store)) {
	t.Run("sqlite", func(t *testing.T) { suite(t, SQLite) })
	t.Run("postgres", func(t *testing.T) {
		server := pgtest.Start(t)
		suite(t, func(t testing.TB) *store.Store {
			return Open(t, store.Config{DatabaseURL: server.Database(t)})
		})
	})
}

// SQLite opens a new, empty store in a file.
func SQLite(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, store.Config{Path: filepath.Join(t.TempDir(), "bawn.db")})
}

// Open opens a store and closes it when the test ends.
func Open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}
