package s3

import (
	"context"
	"iter"

	"bawn.dev/internal/blob"
	"bawn.dev/internal/store"
)

// Blobs keeps sealed bytes: a directory, or a bucket elsewhere. What a Reader reads
// stays readable until it is closed, though it be deleted.
type Blobs interface {
	Create(ctx context.Context) (blob.Writer, error)
	Open(ctx context.Context, ref blob.Ref) (*blob.Reader, error)
	Delete(ctx context.Context, ref blob.Ref) error
}

// A Holder is a row that names a blob: of an object, one of its versions, or a part.
type Holder struct {
	Ref    blob.Ref
	table  string
	bucket string // or the upload of a part
	key    []byte
	number int64 // of a version in its order, or of a part
}

// References are the rows of objects, their versions and unfinished uploads, for
// fsck: what blob holds beyond what they name, and is older than the longest upload,
// is an orphan. While it runs no other query may run on sn.
func (s *Service) References(_ context.Context, sn *store.Snapshot) iter.Seq2[Holder, error] {
	return func(yield func(Holder, error) bool) {
		for _, from := range []struct{ table, columns, where string }{
			{"s3_objects", "bucket, key, 0", " WHERE ref <> ''"},
			{"s3_versions", "bucket, key, seq", " WHERE ref <> ''"},
			{"s3_parts", "upload, ref, number", ""},
		} {
			rows, err := sn.Query("SELECT ref, " + from.columns + " FROM " + from.table + from.where)
			if err != nil {
				yield(Holder{}, err)
				return
			}
			on := true
			for on && rows.Next() {
				h := Holder{table: from.table}
				err = rows.Scan(&h.Ref, &h.bucket, &h.key, &h.number)
				on = yield(h, err) && err == nil
			}
			if err = rows.Err(); err != nil && on {
				yield(Holder{}, err)
				on = false
			}
			rows.Close()
			if !on {
				return
			}
		}
	}
}

// Move makes a row name another blob with the same bytes. It reports whether the row
// still named the one that it did. Nothing that a decision reads changes.
func (s *Service) Move(tx *store.Tx, h Holder, to blob.Ref) (bool, error) {
	statement, where := "UPDATE "+h.table+" SET ref = ? WHERE ref = ? AND ", []any{string(to), string(h.Ref), h.bucket}
	switch h.table {
	case "s3_objects":
		statement, where = statement+"bucket = ? AND key = ?", append(where, h.key)
	case "s3_versions":
		statement, where = statement+"bucket = ? AND key = ? AND seq = ?", append(where, h.key, h.number)
	default:
		statement, where = statement+"upload = ? AND number = ?", append(where, h.number)
	}
	result, err := tx.Exec(statement, where...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}
