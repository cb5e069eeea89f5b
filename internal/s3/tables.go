package s3

import (
	"database/sql"
	"errors"
	"time"

	"bawn.dev/internal/api"
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
	}}, {Room: "s3", Version: 3, SQL: []string{
		// Settings are JSON, empty where nothing was put.
		`ALTER TABLE s3_buckets ADD COLUMN versioning TEXT NOT NULL DEFAULT ''`,
		`ALTER TABLE s3_buckets ADD COLUMN sse TEXT NOT NULL DEFAULT ''`,
		`ALTER TABLE s3_buckets ADD COLUMN bucket_key BOOLEAN NOT NULL DEFAULT FALSE`,
		`ALTER TABLE s3_buckets ADD COLUMN lock TEXT NOT NULL DEFAULT ''`,
		`ALTER TABLE s3_buckets ADD COLUMN tags TEXT NOT NULL DEFAULT ''`,
		`ALTER TABLE s3_buckets ADD COLUMN cors TEXT NOT NULL DEFAULT ''`,
		`ALTER TABLE s3_buckets ADD COLUMN lifecycle TEXT NOT NULL DEFAULT ''`,

		`ALTER TABLE s3_objects ADD COLUMN version TEXT NOT NULL DEFAULT 'null'`,
		`ALTER TABLE s3_objects ADD COLUMN seq INTEGER NOT NULL DEFAULT 0`,
		`ALTER TABLE s3_objects ADD COLUMN upload TEXT NOT NULL DEFAULT ''`,
		`ALTER TABLE s3_objects ADD COLUMN tags TEXT NOT NULL DEFAULT ''`,
		`ALTER TABLE s3_objects ADD COLUMN lock TEXT NOT NULL DEFAULT ''`,
		// Versions that a newer one or a delete marker hides, and the markers. The newest
		// version of a key is in s3_objects unless it is a marker, so that a listing of
		// what is there never reads what is not.
		`CREATE TABLE s3_versions (
			bucket TEXT NOT NULL, key BLOB NOT NULL, seq INTEGER NOT NULL, version TEXT NOT NULL, marker BOOLEAN NOT NULL,
			etag TEXT NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL,
			ref TEXT NOT NULL, kms_key TEXT NOT NULL, data_key BLOB NOT NULL, algorithm TEXT NOT NULL,
			details TEXT NOT NULL, proof BLOB NOT NULL, upload TEXT NOT NULL, tags TEXT NOT NULL, lock TEXT NOT NULL,
			PRIMARY KEY (bucket, key, seq)) WITHOUT ROWID`,
		`CREATE UNIQUE INDEX s3_versions_id ON s3_versions (bucket, key, version)`,
		`CREATE TABLE s3_uploads (
			bucket TEXT NOT NULL, key BLOB NOT NULL, id TEXT NOT NULL, bucket_id TEXT NOT NULL, started INTEGER NOT NULL,
			initiator TEXT NOT NULL, kms_key TEXT NOT NULL, data_key BLOB NOT NULL, algorithm TEXT NOT NULL,
			details TEXT NOT NULL, tags TEXT NOT NULL, lock TEXT NOT NULL,
			PRIMARY KEY (bucket, key, id)) WITHOUT ROWID`,
		`CREATE TABLE s3_parts (
			upload TEXT NOT NULL, number INTEGER NOT NULL, etag TEXT NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL,
			ref TEXT NOT NULL, proof BLOB NOT NULL, PRIMARY KEY (upload, number)) WITHOUT ROWID`,
	}}, {Room: "s3", Version: 4, SQL: []string{
		// In the order of a listing: one that goes through the versions of many keys must not sort those of any.
		`CREATE INDEX s3_versions_listed ON s3_versions (bucket, key, seq DESC)`,
	}}, {Room: "s3", Version: 5, SQL: []string{
		`ALTER TABLE s3_buckets ADD COLUMN ownership TEXT NOT NULL DEFAULT 'BucketOwnerEnforced'`,
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
	var lock, tags string
	err := q.QueryRow(`SELECT id, account, created, policy, bindings, kms_key, block, versioning, sse, bucket_key, lock, tags, cors, lifecycle, ownership
		FROM s3_buckets WHERE name = ?`, name).
		Scan(&b.id, &b.account, &created, &b.text, &bindings, &b.kmsKey, &b.block, &b.versioning, &b.sse, &b.bucketKey, &lock, &tags, &b.cors, &b.lifecycle, &b.ownership)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b.created = time.UnixMicro(created)
	if b.bindings, err = policy.ReadBindings(bindings); err != nil {
		return nil, err
	}
	return b, errors.Join(b.lock.parse(lock), b.tags.parse(tags))
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

// The columns of an object's row, in the order of columns and scan.
const objectColumns = "version, seq, etag, size, modified, ref, upload, kms_key, data_key, algorithm, details, proof, tags, lock"

func (o *object) columns() []any {
	return []any{o.version, o.seq, o.etag, o.size, o.modified.UnixMicro(), string(o.ref), o.upload, o.kmsKey, o.dataKey, o.algorithm, o.text, o.proof,
		o.tags.text(), o.lock.text()}
}

// scan reads an object whose columns follow those that first takes.
func (o *object) scan(row interface{ Scan(...any) error }, first ...any) error {
	var modified int64
	var tags, lock string
	err := row.Scan(append(first, &o.version, &o.seq, &o.etag, &o.size, &modified, &o.ref, &o.upload, &o.kmsKey, &o.dataKey, &o.algorithm, &o.text, &o.proof,
		&tags, &lock)...)
	if err != nil {
		return err
	}
	o.modified = time.UnixMicro(modified).UTC()
	if o.text != "" {
		err = o.details.parse(o.text)
	}
	return errors.Join(err, o.tags.parse(tags), o.lock.parse(lock))
}

// one answers nil for a row that is not there.
func one(o *object, err error) (*object, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// objectRow reads the newest version of an object. None, and one that is deleted,
// is nil.
func objectRow(q querier, bucket, key string) (*object, error) {
	o := &object{}
	return one(o, o.scan(q.QueryRow("SELECT "+objectColumns+" FROM s3_objects WHERE bucket = ? AND key = ?", bucket, []byte(key))))
}

// hiddenRow reads the newest of the versions that are not in s3_objects.
func hiddenRow(q querier, bucket, key string) (*object, error) {
	o := &object{}
	return one(o, o.scan(q.QueryRow("SELECT marker, "+objectColumns+" FROM s3_versions WHERE bucket = ? AND key = ? ORDER BY seq DESC LIMIT 1",
		bucket, []byte(key)), &o.marker))
}

// versionRow reads a version of an object, which may be a delete marker, or
// answers nil.
func versionRow(q querier, bucket, key, version string) (*object, error) {
	if o, err := objectRow(q, bucket, key); err != nil || o != nil && o.version == version {
		return o, err
	}
	o := &object{}
	return one(o, o.scan(q.QueryRow("SELECT marker, "+objectColumns+" FROM s3_versions WHERE bucket = ? AND key = ? AND version = ?",
		bucket, []byte(key), version), &o.marker))
}

// insertObject makes o the newest version; there is no other in s3_objects.
func insertObject(tx *store.Tx, bucket, key string, o *object) error {
	_, err := tx.Exec("INSERT INTO s3_objects (bucket, key, "+objectColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		append([]any{bucket, []byte(key)}, o.columns()...)...)
	return taken(err)
}

// insertVersion adds a version to the others.
func insertVersion(tx *store.Tx, bucket, key string, o *object) error {
	_, err := tx.Exec("INSERT INTO s3_versions (bucket, key, marker, "+objectColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		append([]any{bucket, []byte(key), o.marker}, o.columns()...)...)
	return taken(err)
}

// taken has a call decided again whose place in the order another took at the same
// time.
func taken(err error) error {
	if store.IsDuplicate(err) {
		return api.ErrAgain
	}
	return err
}

// hide moves the newest version to the others; show moves one back. What is taken away
// first makes those who do the same at once wait for each other.
func hide(tx *store.Tx, bucket, key string, o *object) error {
	if err := deleteObjectRow(tx, bucket, key); err != nil {
		return err
	}
	return insertVersion(tx, bucket, key, o)
}

func show(tx *store.Tx, bucket, key string, o *object) error {
	if err := deleteVersionRow(tx, bucket, key, o.seq); err != nil {
		return err
	}
	return insertObject(tx, bucket, key, o)
}

func deleteObjectRow(tx *store.Tx, bucket, key string) error {
	_, err := tx.Exec("DELETE FROM s3_objects WHERE bucket = ? AND key = ?", bucket, []byte(key))
	return err
}

func deleteVersionRow(tx *store.Tx, bucket, key string, seq int64) error {
	_, err := tx.Exec("DELETE FROM s3_versions WHERE bucket = ? AND key = ? AND seq = ?", bucket, []byte(key), seq)
	return err
}
