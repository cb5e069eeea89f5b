package trail

import (
	"context"
	"errors"
	"fmt"
	"math"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
)

// None stands for no leaf or record in a [Tampered]; an attacker may use any
// other number.
const None = math.MinInt64

// Tampered is one thing that is wrong with the log.
type Tampered struct {
	Leaf, Seq int64
	What      string
}

func (e *Tampered) Error() string {
	at := ""
	if e.Leaf != None {
		at += fmt.Sprintf(" leaf %d", e.Leaf)
	}
	if e.Seq != None {
		at += fmt.Sprintf(" record %d", e.Seq)
	}
	return fmt.Sprintf("trail:%s %s", at, e.What)
}

// maxProblems bounds the report: after so many the rest is not looked at.
const maxProblems = 100

// Verify checks the whole log as it is stored: each record hashes to its leaf, or is one
// of the oldest, of which the log itself states that they were pruned, the leaves follow each other without gap, no record stands between that is not
// a leaf, the tree's nodes and roots are what the checkpoints sign, and the
// lookup index is complete; and what waits to be sealed was written by a server of
// this log. known are signed checkpoints that were kept
// elsewhere; the log must extend each. It returns nil, or all problems as
// *Tampered errors, joined.
func (t *Trail) Verify(ctx context.Context, known ...[]byte) error {
	n, err := t.store.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer n.Close()
	v := &verification{trail: t, q: n, lastSeq: None, witnessed: make(map[int64][]ledger.Hash)}
	if p, err := t.stated(n); err == nil { // what else it cannot read is told of below
		v.pruned = p.Leaves
	}
	for _, signed := range known {
		c, err := t.verifier.Open(signed)
		if err != nil {
			return err
		}
		v.witnessed[c.Size] = append(v.witnessed[c.Size], c.Root)
	}
	for _, step := range []func() error{v.leaves, v.strangers, v.waiting, v.ends} {
		if err := step(); errors.Is(err, errEnough) {
			break
		} else if err != nil {
			return err
		}
	}
	return errors.Join(v.problems...)
}

var errEnough = errors.New("enough")

// verification is one walk over the log.
type verification struct {
	trail     *Trail
	q         *store.Snapshot
	tree      ledger.Range
	pruned    int64                   // leaves before it may have no record
	next      int64                   // the leaf expected
	gap       bool                    // a leaf is missing: nodes no longer fall together
	lastSeq   int64                   // of the last leaf
	nodes     int64                   // nodes compared
	terms     int64                   // rows of the lookup index expected
	witnessed map[int64][]ledger.Hash // by size; two of one size may differ

	due       []checkpoint // read and not reached yet
	loaded    int64        // size of the last one read
	signed    int64        // size of the last one reached
	confirmed int64        // size of the last one that held
	problems  []error
}

type checkpoint struct {
	size   int64
	signed []byte
}

func (v *verification) report(leaf, seq int64, format string, args ...any) error {
	v.problems = append(v.problems, &Tampered{leaf, seq, fmt.Sprintf(format, args...)})
	if len(v.problems) >= maxProblems {
		return errEnough
	}
	return nil
}

// sealedRow is a leaf with the record that it stands for, if that is there.
type sealedRow struct {
	leaf, seq int64
	hash      ledger.Hash
	record    *row
}

// leaves walks all leaves in order.
func (v *verification) leaves() error {
	for from := int64(0); ; {
		runs, err := runsFrom(v.q, from)
		if err != nil || len(runs) == 0 {
			return err
		}
		from = runs[len(runs)-1].leaf + 1
		for _, r := range runs {
			if err := v.run(r); err != nil {
				return err
			}
		}
	}
}

// A run is a row of leaves: they and their records follow each other.
type run struct {
	leaf, seq int64
	hashes    []byte
}

// runsFrom reads some runs that begin with a leaf or after it.
func runsFrom(q store.Querier, leaf int64) ([]run, error) {
	return store.Collect(q, func(r *store.Rows) (s run, err error) { return s, r.Scan(&s.leaf, &s.seq, &s.hashes) },
		"SELECT leaf, seq, hash FROM trail_leaves WHERE leaf >= ? ORDER BY leaf LIMIT 16", leaf)
}

func (v *verification) run(r run) error {
	hashes := unpacked(r.hashes)
	end := r.seq + int64(len(hashes))
	records, err := readRows(v.q, r.seq-1, end-1, len(hashes))
	if err != nil {
		return err
	}
	var nodes []ledger.Hash
	var good []row
	for i, hash := range hashes {
		s := sealedRow{leaf: r.leaf + int64(i), seq: r.seq + int64(i), hash: hash}
		if len(records) > 0 && records[0].seq == s.seq {
			s.record, records = &records[0], records[1:]
		}
		before := len(v.problems)
		if err := v.leaf(s); err != nil {
			return err
		}
		if len(v.problems) == before && s.record != nil {
			good = append(good, *s.record)
		}
		nodes = append(nodes, v.tree.Add(hash)...)
		if err := v.checkpoint(); err != nil {
			return err
		}
	}
	if err := v.index(good); err != nil {
		return err
	}
	return v.compare(nodes, r.leaf)
}

// leaf checks one record against its leaf. The tree is computed from the leaf's
// hash, so that an altered record is told apart from its neighbours.
func (v *verification) leaf(r sealedRow) error {
	defer func() { v.next, v.lastSeq = r.leaf+1, r.seq }()
	if r.leaf != v.next {
		v.gap = true
		if err := v.report(v.next, None, "is missing: leaf %d follows", r.leaf); err != nil {
			return err
		}
	}
	if r.seq <= v.lastSeq {
		if err := v.report(r.leaf, r.seq, "is out of order: it follows record %d", v.lastSeq); err != nil {
			return err
		}
	}
	if r.record == nil && r.leaf < v.pruned {
		return nil
	}
	if r.record == nil {
		return v.report(r.leaf, r.seq, "was deleted")
	}
	if ledger.LeafHash(r.record.event) != r.hash {
		return v.report(r.leaf, r.seq, "was altered: it does not hash to its leaf")
	}
	return v.columns(r)
}

// columns checks what is derived from a record that is authentic.
func (v *verification) columns(r sealedRow) error {
	record, err := UnmarshalEvent(r.record.event)
	if err != nil {
		return v.report(r.leaf, r.seq, "is not an event")
	}
	if !filed(record, r.record) {
		return v.report(r.leaf, r.seq, "is filed under account %q and another time than its own", r.record.account)
	}
	r.record.terms, r.record.leaf = record.terms(), r.leaf
	return nil
}

// filed says whether the columns of a row are what its event says.
func filed(e *Record, r *row) bool { return e.Account == r.account && e.EventTime.Unix() == r.time/1e6 }

// index checks that records which follow each other are found under their terms.
func (v *verification) index(records []row) error {
	found := make(map[posted]map[place]bool)
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for _, r := range records {
		first, last = min(first, r.time), max(last, r.time)
	}
	for _, r := range records {
		for _, term := range r.terms {
			key := posted{r.account, term}
			if found[key] == nil {
				blocks, err := store.Collect(v.q, scanBlock, `SELECT time, seq, more FROM trail_terms
					WHERE account = ? AND term = ? AND time >= ? AND time <= ?`, key.account, key.term, first, last+moment)
				if err != nil {
					return err
				}
				found[key] = make(map[place]bool)
				for _, b := range blocks {
					for _, p := range b.places() {
						found[key][p] = true
					}
				}
			}
			v.terms++
			if !found[key][place{r.time, r.seq}] {
				return v.report(r.leaf, r.seq, "is not in the lookup index under %q", term)
			}
		}
	}
	return nil
}

// compare checks the stored nodes of the tree, from the first leaf given.
func (v *verification) compare(nodes []ledger.Hash, first int64) error {
	if v.gap {
		return nil // what is wrong was said; all later nodes differ
	}
	from := ledger.StoredCount(first)
	rows, err := store.Collect(v.q, func(r *store.Rows) (n nodeRow, err error) { return n, r.Scan(&n.first, &n.hashes) },
		`SELECT idx, hash FROM trail_hashes
		WHERE idx >= coalesce((SELECT max(idx) FROM trail_hashes WHERE idx <= ?), 0) AND idx < ? ORDER BY idx`, from, from+int64(len(nodes)))
	if err != nil {
		return err
	}
	stored := make([]*ledger.Hash, len(nodes))
	for _, r := range rows {
		for i, h := range unpacked(r.hashes) {
			if at := r.first + int64(i) - from; at >= 0 && at < int64(len(nodes)) {
				v.nodes++
				stored[at] = &h
			}
		}
	}
	for i, h := range nodes {
		if stored[i] == nil || *stored[i] != h {
			return v.report(ledger.LeafOf(from+int64(i)), None, "has another hash than the tree's node %d, or the node is missing", from+int64(i))
		}
	}
	return nil
}

// nodeRow is a row of nodes that follow each other.
type nodeRow struct {
	first  int64
	hashes []byte
}

// checkpoint checks the checkpoint of the tree's present size, if there is one.
func (v *verification) checkpoint() error {
	size, root := v.tree.Size(), v.tree.Root
	for _, want := range v.witnessed[size] {
		if !v.gap && want != root() {
			if err := v.report(None, None, "the first %d records are not those of the checkpoint that was kept elsewhere", size); err != nil {
				return err
			}
		}
	}
	delete(v.witnessed, size)
	if len(v.due) == 0 {
		var err error
		if v.due, err = store.Collect(v.q, func(r *store.Rows) (c checkpoint, err error) {
			return c, r.Scan(&c.size, &c.signed)
		}, "SELECT size, signed FROM trail_checkpoints WHERE size > ? ORDER BY size LIMIT 256", v.loaded); err != nil {
			return err
		}
		if len(v.due) == 0 {
			return nil
		}
		v.loaded = v.due[len(v.due)-1].size
	}
	if v.due[0].size != size {
		return nil
	}
	c := v.due[0]
	v.due, v.signed = v.due[1:], size
	said, err := v.trail.verifier.Open(c.signed)
	if err != nil || said.Size != size {
		return v.report(None, None, "the checkpoint over %d records is not one that this log's key signed", size)
	}
	if !v.gap && said.Root != root() {
		return v.report(v.confirmed, None, "or a later one before leaf %d is not what was signed", size)
	}
	v.confirmed = size
	return nil
}

// strangers looks for records among the sealed ones that are no leaf.
func (v *verification) strangers() error {
	seqs, err := store.Collect(v.q, func(r *store.Rows) (seq int64, err error) { return seq, r.Scan(&seq) },
		`SELECT r.seq FROM trail_records r WHERE r.seq <= ? AND r.seq >= coalesce(
			(SELECT l.seq + length(l.hash) / 32 FROM trail_leaves l WHERE l.seq <= r.seq ORDER BY l.seq DESC LIMIT 1), r.seq)
			ORDER BY r.seq LIMIT ?`, v.lastSeq, maxProblems)
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		if err := v.report(None, seq, "was inserted: it is no leaf, and later ones are"); err != nil {
			return err
		}
	}
	return nil
}

// waiting looks for records that are not sealed yet, and will not be.
func (v *verification) waiting() error {
	for from := v.lastSeq; ; {
		rows, err := storedRows(v.q, from, math.MaxInt64, batch)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, r := range rows {
			if from = r.seq; v.trail.authors.wrote(r) {
				continue
			}
			if err := v.report(None, r.seq, "was not written by a server of this log, or was changed since: neither it nor what follows is sealed"); err != nil {
				return err
			}
		}
	}
}

// ends checks that nothing ends early or goes on too long.
func (v *verification) ends() error {
	size := v.next
	var newest, least, nodes, terms int64
	if err := v.q.QueryRow("SELECT coalesce(max(size), 0), coalesce(min(size), 1) FROM trail_checkpoints").Scan(&newest, &least); err != nil {
		return err
	}
	if least < 1 {
		if err := v.report(None, None, "a checkpoint is stored as over %d records", least); err != nil {
			return err
		}
	}
	if newest > size {
		if err := v.report(size, None, "and what follows was cut off: a checkpoint signs %d records", newest); err != nil {
			return err
		}
	}
	if v.signed < size && newest <= size {
		if err := v.report(v.signed, None, "and what follows is signed by no checkpoint"); err != nil {
			return err
		}
	}
	for over := range v.witnessed {
		if over > size {
			if err := v.report(size, None, "and what follows was cut off: a checkpoint kept elsewhere signs %d records", over); err != nil {
				return err
			}
		}
	}
	if len(v.problems) > 0 {
		return nil // the counts below would only repeat what was found
	}
	if err := v.q.QueryRow("SELECT CAST(coalesce(sum(length(hash) / 32), 0) AS BIGINT) FROM trail_hashes").Scan(&nodes); err != nil {
		return err
	}
	if err := v.q.QueryRow("SELECT CAST(coalesce(sum(1 + coalesce(length(more), 0) / 16), 0) AS BIGINT) FROM trail_terms").Scan(&terms); err != nil {
		return err
	}
	if nodes != v.nodes {
		return v.report(None, None, "%d nodes are stored, the tree has %d", nodes, v.nodes)
	}
	if terms != v.terms {
		return v.report(None, None, "the lookup index has %d places, the records make %d", terms, v.terms)
	}
	return nil
}
