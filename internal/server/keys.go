package server

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"bawn.dev/internal/config"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
)

// Each room has a key of its own, random, wrapped under the root key. A new root
// re-wraps these few rows and nothing else.
var keyMigrations = []store.Migration{{Room: "server", Version: 1, SQL: []string{
	`CREATE TABLE server_keys (purpose TEXT PRIMARY KEY, wrapped BLOB NOT NULL)`,
}}}

// rootKey reads the root key file, or makes it.
func rootKey(cfg config.Config, create bool) (seal.Key, error) {
	path := cfg.Path("keys", "root.key")
	if create {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			key := seal.NewKey()
			defer key.Zero()
			if err := config.WriteFile(path, []byte(hex.EncodeToString(key[:])+"\n")); err != nil {
				return seal.Key{}, err
			}
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return seal.Key{}, fmt.Errorf("the root key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return seal.Key{}, fmt.Errorf("the root key %s can be read by others (mode %04o): chmod 600 it, and consider whether it was", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return seal.Key{}, err
	}
	defer clear(text)
	var key seal.Key
	if n, err := hex.Decode(key[:], []byte(strings.TrimSpace(string(text)))); err != nil || n != seal.KeySize {
		return seal.Key{}, fmt.Errorf("the root key %s is not 64 hexadecimal digits", path)
	}
	return key, nil
}

// roomKeys unwraps the key of each purpose, and makes those that are missing.
func roomKeys(ctx context.Context, st *store.Store, root seal.Key, purposes ...string) (map[string]seal.Key, error) {
	keys := map[string]seal.Key{}
	err := st.Update(ctx, func(tx *store.Tx) error {
		for _, purpose := range purposes {
			var wrapped []byte
			err := tx.QueryRow(`SELECT wrapped FROM server_keys WHERE purpose = ?`, purpose).Scan(&wrapped)
			if errors.Is(err, sql.ErrNoRows) {
				key := seal.NewKey()
				if wrapped, err = seal.Wrap(root[:], &key, []byte("room "+purpose)); err != nil {
					return err
				}
				_, err = tx.Exec(`INSERT INTO server_keys (purpose, wrapped) VALUES (?, ?)`, purpose, wrapped)
			}
			if err != nil {
				return err
			}
			key, err := seal.Unwrap(root[:], wrapped, []byte("room "+purpose))
			if err != nil {
				return fmt.Errorf("the root key does not open the key of %s: is this the root key of this database?", purpose)
			}
			keys[purpose] = key
		}
		return nil
	})
	return keys, err
}
