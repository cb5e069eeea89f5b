package trail

import (
	"fmt"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
)

// gate orders the inserts of all copies: see store.Settle.
const gate = "trail"

var migrations = []store.Migration{{Room: "trail", Version: 1, SQL: []string{
	// The hot path's only table: rows are added at its end and never change.
	// time is in microseconds since 1970; event gives the exact bytes of a leaf: see
	// stored.go.
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
}}, {Room: "trail", Version: 2, SQL: []string{
	// Further records of the row: see index.go. Rows of leaves and hashes hold several
	// too from here on: those that follow each other, in seq and idx as well.
	`ALTER TABLE trail_terms ADD COLUMN more BLOB`,
}}, {Room: "trail", Version: 3, SQL: []string{
	// See mac.go. What was sealed before has none.
	`ALTER TABLE trail_records ADD COLUMN mac BLOB`,
}}}

// records is where a record goes.
const records = "trail_records (time, account, event, mac)"

// nodes reads the tree's nodes.
type nodes struct{ q store.Querier }

func (s nodes) ReadHashes(indexes []int64) ([]ledger.Hash, error) {
	hashes := make([]ledger.Hash, len(indexes))
	for i, index := range indexes {
		var first int64
		var row []byte
		if err := s.q.QueryRow("SELECT idx, hash FROM trail_hashes WHERE idx <= ? ORDER BY idx DESC LIMIT 1", index).Scan(&first, &row); err != nil {
			return nil, fmt.Errorf("trail: node %d of the tree: %w", index, err)
		}
		all := unpacked(row)
		if index-first >= int64(len(all)) || first < 0 {
			return nil, fmt.Errorf("trail: node %d of the tree is not there", index)
		}
		hashes[i] = all[index-first]
	}
	return hashes, nil
}

// unpacked are the hashes of a row; of one that is none, the zero hash stands for it.
func unpacked(row []byte) []ledger.Hash {
	if len(row) == 0 || len(row)%hashSize != 0 {
		return make([]ledger.Hash, 1)
	}
	all := make([]ledger.Hash, len(row)/hashSize)
	for i := range all {
		copy(all[i][:], row[i*hashSize:])
	}
	return all
}

const hashSize = len(ledger.Hash{})
