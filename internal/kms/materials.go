package kms

import (
	"time"

	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// materialColumns are what the life of material needs. Times are 0 where there is
// none; material that was deleted or has expired has no bytes.
var materialColumns = []string{
	`ALTER TABLE kms_materials ADD COLUMN fingerprint BLOB`,
	`ALTER TABLE kms_materials ADD COLUMN description TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE kms_materials ADD COLUMN expires INTEGER NOT NULL DEFAULT 0`,
	`ALTER TABLE kms_materials ADD COLUMN pending BOOLEAN NOT NULL DEFAULT FALSE`,
	`ALTER TABLE kms_materials ADD COLUMN rotated INTEGER NOT NULL DEFAULT 0`,
	`ALTER TABLE kms_materials ADD COLUMN rotation TEXT NOT NULL DEFAULT ''`,
	`CREATE INDEX kms_materials_expires ON kms_materials (expires) WHERE expires > 0`,
	`CREATE INDEX kms_keys_deletion ON kms_keys (deletion) WHERE deletion > 0`,
	`CREATE INDEX kms_keys_rotates ON kms_keys (rotates) WHERE rotates > 0 AND enabled AND deletion = 0`,
}

// A generation is one version of a key's material, without the material.
type generation struct {
	version     int64
	present     bool // its material is there
	created     time.Time
	fingerprint []byte // of imported material
	description string
	expires     time.Time
	pending     bool // it was imported, and waits for a rotation
	rotated     time.Time
	rotation    kms.RotationType // that put it to use; empty for the first
}

// discarded says that a generation waited for a rotation and was deleted: it was
// never the key's. Its row stays, so that its version is nobody else's.
func (g *generation) discarded() bool { return g.pending && !g.present }

// generations reads a key's, oldest first.
func generations(q store.Querier, id string) ([]*generation, error) {
	return store.Collect(q, func(r *store.Rows) (*generation, error) {
		g := &generation{}
		var created, expires, rotated int64
		if err := r.Scan(&g.version, &g.present, &created, &g.fingerprint, &g.description, &expires, &g.pending, &rotated, &g.rotation); err != nil {
			return nil, err
		}
		g.created, g.expires, g.rotated = moment(created), moment(expires), moment(rotated)
		return g, nil
	}, `SELECT version, length(wrapped) > 0, created, fingerprint, description, expires, pending, rotated, rotation
		FROM kms_materials WHERE key = ? ORDER BY version`, id)
}

// insertGeneration stores a generation with its wrapped material. There must be none
// of its version: material that may have sealed something is never written over.
func insertGeneration(tx *store.Tx, id string, g *generation, wrapped []byte) error {
	_, err := tx.Exec(`INSERT INTO kms_materials (key, version, wrapped, created, fingerprint, description, expires, pending, rotated, rotation)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, g.version, wrapped, g.created.UnixMicro(), g.fingerprint, g.description, micros(g.expires), g.pending, micros(g.rotated), string(g.rotation))
	return err
}

// replaceGeneration is insertGeneration for material that is known to be the same.
func replaceGeneration(tx *store.Tx, id string, g *generation, wrapped []byte) error {
	if _, err := tx.Exec("DELETE FROM kms_materials WHERE key = ? AND version = ?", id, g.version); err != nil {
		return err
	}
	return insertGeneration(tx, id, g, wrapped)
}

// destroy takes the wrapped material of one version away.
func destroy(tx *store.Tx, id string, version int64) error {
	_, err := tx.Exec("UPDATE kms_materials SET wrapped = ?, expires = 0 WHERE key = ? AND version = ?", []byte{}, id, version)
	return err
}

// restate has the key's row say what its materials come to: whether one is missing,
// and when the first of them expires.
func restate(tx *store.Tx, id string) error {
	all, err := generations(tx, id)
	if err != nil {
		return err
	}
	var first time.Time
	owned, importing := false, false
	for _, g := range all {
		if g.pending {
			continue
		}
		owned = true
		importing = importing || !g.present
		if !g.expires.IsZero() && (first.IsZero() || g.expires.Before(first)) {
			first = g.expires
		}
	}
	if _, err := tx.Exec("UPDATE kms_keys SET importing = ?, expires = ? WHERE id = ?", importing || !owned, micros(first), id); err != nil {
		return err
	}
	return tx.Touch(versionKey(id))
}
