package s3

import (
	"database/sql"
	"errors"
	"time"

	"bawn.dev/internal/blob"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// Migrations are the tables of the service. An object's key is bytes: S3 orders
// keys by them, and on both databases only BLOB does so for every key.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "s3", Version: 1, SQL: []string{
		`CREATE TABLE s3_buckets (
			name TEXT PRIMARY KEY, id TEXT NOT NULL, account TEXT NOT NULL, created INTEGER NOT NULL,
			policy TEXT NOT NULL, kms_key TEXT NOT NULL, block INTEGER NOT NULL) WITHOUT ROWID`,
		`CREATE INDEX s3_buckets_account ON s3_buckets (account, name)`,
		`CREATE TABLE s3_objects (
			bucket TEXT NOT NULL, key BLOB NOT NULL, etag TEXT NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL,
			ref TEXT NOT NULL, kms_key TEXT NOT NULL, data_key BLOB NOT NULL, algorithm TEXT NOT NULL,
			details TEXT NOT NULL, proof BLOB NOT NULL,
			PRIMARY KEY (bucket, key)) WITHOUT ROWID`,
	}}, {Room: "s3", Version: 2, SQL: []string{
		// Whom a bucket's policy means: see policy.Bindings.
		`ALTER TABLE s3_buckets ADD COLUMN bindings TEXT NOT NULL DEFAULT ''`,
	}}}
}

// A querier is a snapshot or a transaction.
type querier interface {
	Query(query string, args ...any) (*store.Rows, error)
	QueryRow(query string, args ...any) store.Row
}

// bucketRow reads a bucket's row, or answers nil.
func bucketRow(q querier, name string) (*bucket, error) {
	b := &bucket{name: name}
	var created int64
	var bindings string
	err := q.QueryRow("SELECT id, account, created, policy, bindings, kms_key, block FROM s3_buckets WHERE name = ?", name).
		Scan(&b.id, &b.account, &created, &b.text, &bindings, &b.kmsKey, &b.block)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b.created = time.UnixMicro(created)
	b.bindings, err = policy.ReadBindings(bindings)
	return b, err
}

// setBucket changes one column of a bucket's row.
func setBucket(tx *store.Tx, name, column string, value any) error {
	if _, err := tx.Exec("UPDATE s3_buckets SET "+column+" = ? WHERE name = ?", value, name); err != nil {
		return err
	}
	return tx.Touch(versionKey(name))
}

// setPolicy changes a bucket's policy; an empty one is none.
func setPolicy(tx *store.Tx, name, text string, bindings policy.Bindings) error {
	if err := setBucket(tx, name, "bindings", bindings.Text()); err != nil {
		return err
	}
	return setBucket(tx, name, "policy", text)
}

// objectRow reads an object's row, or answers nil.
func objectRow(q querier, bucket, key string) (*object, error) {
	o := &object{}
	var modified int64
	err := q.QueryRow(`SELECT etag, size, modified, ref, kms_key, data_key, algorithm, details, proof FROM s3_objects
		WHERE bucket = ? AND key = ?`, bucket, []byte(key)).
		Scan(&o.etag, &o.size, &modified, &o.ref, &o.kmsKey, &o.dataKey, &o.algorithm, &o.text, &o.proof)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o.modified = time.UnixMicro(modified).UTC()
	return o, o.details.parse(o.text)
}

// replaced is what an upload or a deletion finds in place.
type replaced struct {
	etag string
	ref  blob.Ref
}

func presentObject(tx *store.Tx, bucket, key string) (*replaced, error) {
	r := &replaced{}
	err := tx.QueryRow("SELECT etag, ref FROM s3_objects WHERE bucket = ? AND key = ?", bucket, []byte(key)).Scan(&r.etag, &r.ref)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return r, err
}

func upsertObject(tx *store.Tx, bucket, key string, o *object) error {
	_, err := tx.Exec(`INSERT INTO s3_objects (bucket, key, etag, size, modified, ref, kms_key, data_key, algorithm, details, proof)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (bucket, key) DO UPDATE SET etag = excluded.etag, size = excluded.size, modified = excluded.modified,
			ref = excluded.ref, kms_key = excluded.kms_key, data_key = excluded.data_key,
			algorithm = excluded.algorithm, details = excluded.details,
			proof = excluded.proof`,
		bucket, []byte(key), o.etag, o.size, o.modified.UnixMicro(), string(o.ref), o.kmsKey, o.dataKey, o.algorithm, o.text, o.proof)
	return err
}
