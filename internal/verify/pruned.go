package verify

import (
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bawn.dev/internal/ledger"
)

// prunings finds what a log itself says of records that are gone, the newest first.
type prunings struct {
	log  Log
	head ledger.Checkpoint
	next int64 // the first leaf of the tile that is read next; less than 0: all were
	best ledger.Pruning
	gone int64 // leaves that were asked for and are covered
}

func (l Log) prunings(c ledger.Checkpoint) *prunings {
	return &prunings{log: l, head: c, next: (c.Size - 1) &^ (ledger.TileWidth - 1)}
}

// covers says whether the log says that the record of a leaf may be gone: in a later
// record, which is under the checkpoint and which this log's key signed.
func (p *prunings) covers(leaf int64) bool {
	for ; leaf >= p.best.Leaves && p.next >= 0; p.next -= ledger.TileWidth {
		records, err := p.log.records(ledger.TileAt(0, p.next, p.head.Size))
		if err != nil {
			continue // it is told of where it is checked
		}
		for i, record := range records {
			at := p.next + int64(i)
			said, ok := p.log.Key.PruningIn(record)
			if !ok || said.Leaves <= p.best.Leaves || at < said.Leaves {
				continue
			}
			hashes, err := p.log.nodes(p.head.Size).Checked(p.head).ReadHashes([]int64{tlog.StoredHashIndex(0, at)})
			if err == nil && hashes[0] == ledger.LeafHash(record) {
				p.best = said
			}
		}
	}
	if leaf >= p.best.Leaves {
		return false
	}
	p.gone++
	return true
}

// note tells of what is gone.
func (p *prunings) note(r *Report) {
	if p.gone > 0 {
		r.note("%d of the first %d records are not here: the log says that these were pruned, the newest of them of %s",
			p.gone, p.best.Leaves, p.best.Newest.Format(time.RFC3339))
	}
}
