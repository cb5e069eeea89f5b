package trail

import (
	"fmt"
	"strings"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
)

// gate orders the inserts of all copies: see store.Settle.
const gate = "trail"

var migrations = []store.Migration{{Room: "trail", Version: 1, SQL: []string{
	// The hot path's only table: rows are added at its end and never change.
	// time is in microseconds since 1970; event the exact bytes of a leaf.
	`CREATE TABLE trail_records (seq INTEGER PRIMARY KEY AUTOINCREMENT,
		time INTEGER NOT NULL, account TEXT NOT NULL, event BLOB NOT NULL)`,
	// What follows is written by the sealer.
	`CREATE TABLE trail_leaves (leaf INTEGER PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL)`,
	`CREATE UNIQUE INDEX trail_leaves_seq ON trail_leaves (seq)`,
	`CREATE TABLE trail_hashes (idx INTEGER PRIMARY KEY, hash BLOB NOT NULL)`,
	`CREATE TABLE trail_checkpoints (size INTEGER PRIMARY KEY, signed BLOB NOT NULL)`,
	// The lookup index: a row per record and thing to look it up by.
	`CREATE TABLE trail_terms (account TEXT NOT NULL, term TEXT NOT NULL, time INTEGER NOT NULL,
		seq INTEGER NOT NULL, PRIMARY KEY (account, term, time, seq)) WITHOUT ROWID`,
}}}

// stored reads the tree's nodes.
type stored struct{ q store.Querier }

func (s stored) ReadHashes(indexes []int64) ([]ledger.Hash, error) {
	hashes := make([]ledger.Hash, len(indexes))
	for i, index := range indexes {
		var h []byte
		if err := s.q.QueryRow("SELECT hash FROM trail_hashes WHERE idx = ?", index).Scan(&h); err != nil {
			return nil, fmt.Errorf("trail: node %d of the tree: %w", index, err)
		}
		if len(h) != len(hashes[i]) {
			return nil, fmt.Errorf("trail: node %d of the tree is not a hash", index)
		}
		copy(hashes[i][:], h)
	}
	return hashes, nil
}

// insertAll inserts rows of so many columns, given one after another in args,
// with few statements.
func insertAll(tx *store.Tx, into string, columns int, args []any) error {
	const rows = 64
	row := "(?" + strings.Repeat(",?", columns-1) + ")"
	for len(args) > 0 {
		n := min(rows, len(args)/columns)
		if _, err := tx.Exec("INSERT INTO "+into+" VALUES "+row+strings.Repeat(","+row, n-1), args[:n*columns]...); err != nil {
			return err
		}
		args = args[n*columns:]
	}
	return nil
}
