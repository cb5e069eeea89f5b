package server

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"bawn.dev/internal/config"
	"bawn.dev/internal/rootkey"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
)

// Each room has a key of its own, random, wrapped under the store's key. A new root
// brings a new store's key, which re-wraps these few rows and nothing else.
var keyMigrations = []store.Migration{{Room: "server", Version: 1, SQL: []string{
	`CREATE TABLE server_keys (purpose TEXT PRIMARY KEY, wrapped BLOB NOT NULL)`,
}}}

func boundRoom(purpose string) []byte { return []byte("room " + purpose) }

// openRing opens the store's key with the root key, or makes both.
func (s *Server) openRing(create bool) (*rootkey.Ring, error) {
	// Before the store had a key of its own, the root key sealed what it seals now.
	opens := func(key []byte) bool {
		sealed, err := os.ReadFile(serverCASpec(s.cfg).keyPath(s.cfg))
		if err != nil {
			return false
		}
		der, err := seal.Open(key, sealed, serverCASpec(s.cfg).bound())
		clear(der)
		return err == nil
	}
	if create {
		return rootkey.Create(s.cfg, s.memory, opens)
	}
	return rootkey.Open(s.cfg, s.memory, opens)
}

// roomKeys unwraps the key of each purpose, and makes those that are missing.
func roomKeys(ctx context.Context, st *store.Store, ring *rootkey.Ring, purposes ...string) (map[string]seal.Key, error) {
	keys := map[string]seal.Key{}
	err := st.Update(ctx, func(tx *store.Tx) error {
		for _, purpose := range purposes {
			var wrapped []byte
			err := tx.QueryRow(`SELECT wrapped FROM server_keys WHERE purpose = ?`, purpose).Scan(&wrapped)
			if errors.Is(err, sql.ErrNoRows) {
				key := seal.NewKey()
				if wrapped, err = ring.Wrap(&key, boundRoom(purpose)); err != nil {
					return err
				}
				_, err = tx.Exec(`INSERT INTO server_keys (purpose, wrapped) VALUES (?, ?)`, purpose, wrapped)
			}
			if err != nil {
				return err
			}
			key, _, err := ring.Unwrap(wrapped, boundRoom(purpose))
			if err != nil {
				return fmt.Errorf("DIR/keys does not open the key of %s in the database: they are not of one directory, or of one time. "+
					"Put back the copy of DIR/keys that was made with this database: %w", purpose, err)
			}
			keys[purpose] = key
		}
		return nil
	})
	return keys, err
}

// settle seals everything under the store's newest key that is sealed under an older
// one, and then forgets the older. Interrupted anywhere, it can be done again.
func (s *Server) settle(ctx context.Context) error {
	for _, step := range s.settling(ctx) {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) settling(ctx context.Context) []func() error {
	return []func() error{
		func() error { return rewrapRooms(ctx, s.store, s.ring) },
		func() error { return rewrapCA(s.cfg, serverCASpec(s.cfg), s.ring) },
		func() error { return rewrapCA(s.cfg, workloadCASpec(s.cfg), s.ring) },
		s.ring.Settle,
	}
}

func rewrapRooms(ctx context.Context, st *store.Store, ring *rootkey.Ring) error {
	return st.Update(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT purpose, wrapped FROM server_keys`)
		if err != nil {
			return err
		}
		defer rows.Close()
		old := map[string][]byte{}
		for rows.Next() {
			var purpose string
			var wrapped []byte
			if err := rows.Scan(&purpose, &wrapped); err != nil {
				return err
			}
			old[purpose] = wrapped
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		for purpose, wrapped := range old {
			key, current, err := ring.Unwrap(wrapped, boundRoom(purpose))
			if err != nil {
				return fmt.Errorf("the key of %s: %w", purpose, err)
			}
			if current {
				key.Zero()
				continue
			}
			wrapped, err = ring.Wrap(&key, boundRoom(purpose))
			key.Zero()
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`UPDATE server_keys SET wrapped = ? WHERE purpose = ?`, wrapped, purpose); err != nil {
				return err
			}
		}
		return nil
	})
}

// rewrapCA seals a CA's key anew.
func rewrapCA(cfg config.Config, spec caSpec, ring *rootkey.Ring) error {
	sealed, err := os.ReadFile(spec.keyPath(cfg))
	if err != nil {
		return err
	}
	der, current, err := ring.Open(sealed, spec.bound())
	if err != nil || current {
		clear(der)
		return err
	}
	defer clear(der)
	if sealed, err = ring.Seal(der, spec.bound()); err != nil {
		return err
	}
	return config.WriteFile(spec.keyPath(cfg), sealed)
}
