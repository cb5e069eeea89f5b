package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"bawn.dev/internal/ledger"
)

// A Log is an exported log: see [Mirror].
type Log struct {
	Files fs.FS
	Key   ledger.Verifier
}

const (
	checkpointName = "checkpoint"
	maxCheckpoint  = 16 << 10
	maxBundle      = ledger.TileWidth * (256 << 10) // of records
	hashSize       = len(ledger.Hash{})
)

// Signed is the checkpoint that came with the files, not checked.
func (l Log) Signed() ([]byte, error) { return readFile(l.Files, checkpointName, maxCheckpoint) }

// head is the checkpoint that came with the files.
func (l Log) head() (ledger.Checkpoint, error) {
	signed, err := l.Signed()
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	return l.Key.Open(signed)
}

// Size is how many leaves the checkpoint signs.
func (l Log) Size() (int64, error) {
	c, err := l.head()
	return c.Size, err
}

func (l Log) nodes(size int64) ledger.TileNodes {
	return ledger.TileNodes{Size: size, Read: l.tile}
}

// tile reads a tile as it is stored: as wide as it is named or, if it was completed
// since, the beginning of the full one.
func (l Log) tile(t ledger.Tile) ([]byte, error) {
	want := t.W * hashSize
	data, err := readFile(l.Files, ledger.TilePath(t), ledger.TileWidth*int64(hashSize))
	if errors.Is(err, fs.ErrNotExist) && t.W < ledger.TileWidth {
		full := t
		full.W = ledger.TileWidth
		if whole, e := readFile(l.Files, ledger.TilePath(full), ledger.TileWidth*int64(hashSize)); e == nil && len(whole) > want {
			data, err = whole[:want], nil
		}
	}
	if err == nil && len(data) != want {
		err = fmt.Errorf("%s: %d bytes, not %d", ledger.TilePath(t), len(data), want)
	}
	return data, err
}

// records reads those under a tile of leaves; nil stands for one that is not there.
func (l Log) records(leaves ledger.Tile) ([][]byte, error) {
	stored := leaves
	data, err := readFile(l.Files, ledger.RecordsPath(leaves), maxBundle)
	if errors.Is(err, fs.ErrNotExist) {
		stored.W = ledger.TileWidth
		if whole, e := readFile(l.Files, ledger.RecordsPath(stored), maxBundle); e == nil {
			data, err = whole, nil
		}
	}
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(data, []byte("\n"))
	if len(lines) != stored.W+1 || len(lines[stored.W]) != 0 {
		return nil, fmt.Errorf("%s: it does not hold %d lines", ledger.RecordsPath(stored), stored.W)
	}
	lines = lines[:leaves.W]
	for i, line := range lines {
		if len(line) == 0 {
			lines[i] = nil
		}
	}
	return lines, nil
}

// Whole checks the whole log: each record against its leaf, all tiles against each
// other, and the root against the checkpoint. known are checkpoints kept elsewhere.
func (l Log) Whole(known ...[]byte) *Report {
	r := newReport("log")
	c, err := l.head()
	if err != nil {
		r.problem(checkpointName, "%v", err)
		return r
	}
	r.Log, r.Size = c.Origin, c.Size
	w := &walk{log: l, report: r, size: c.Size, known: l.kept(r, c, known), pruned: l.prunings(c)}
	w.known[c.Size] = append(w.known[c.Size], head{checkpointName, c.Root})
	w.run()
	w.pruned.note(r)
	return r
}

// A head is the root of a checkpoint of some size, and where it comes from.
type head struct {
	where string
	root  ledger.Hash
}

// kept reads checkpoints that were kept elsewhere.
func (l Log) kept(r *Report, c ledger.Checkpoint, known [][]byte) map[int64][]head {
	all := map[int64][]head{}
	for i, signed := range known {
		where := fmt.Sprintf("known checkpoint %d", i+1)
		k, err := l.Key.Open(signed)
		switch {
		case err != nil:
			r.problem(where, "%v", err)
		case k.Size > c.Size:
			r.problem(where, "it signs %d records, the files hold %d: the newest were cut off, or the copy is older", k.Size, c.Size)
		default:
			all[k.Size] = append(all[k.Size], head{where, k.Root})
		}
	}
	return all
}

// A walk computes the tree anew.
type walk struct {
	log    Log
	report *Report
	size   int64
	known  map[int64][]head
	pruned *prunings

	tree  ledger.Range
	held  int64 // the last size at which a checkpoint held
	above map[int]upper
}

// An upper is the tile of a higher level that is being compared.
type upper struct {
	tile ledger.Tile
	data []byte // nil: it is not there, which was said
}

func (w *walk) run() {
	w.above = map[int]upper{}
	w.heads()
	for first := int64(0); first < w.size; first += ledger.TileWidth {
		t := ledger.TileAt(0, first, w.size)
		path := ledger.TilePath(t)
		hashes, err := w.log.tile(t)
		if err != nil {
			w.report.problem(path, "%v", err)
			w.unsaid("cannot be checked: the tree ends with leaf %d, because %s is not there", first, path)
			return
		}
		records, err := w.log.records(t)
		if err != nil {
			w.report.problem(ledger.RecordsPath(t), "%v", err)
			records = make([][]byte, t.W)
		}
		for i := range t.W {
			hash := ledger.Hash(hashes[i*hashSize:])
			if err == nil {
				w.record(first+int64(i), records[i], hash)
			}
			w.nodes(first+int64(i), w.tree.Add(hash))
			w.heads()
		}
	}
}

func (w *walk) record(leaf int64, record []byte, hash ledger.Hash) {
	checkRecord(w.report, w.pruned, leaf, record, hash)
}

func checkRecord(r *Report, pruned *prunings, leaf int64, record []byte, hash ledger.Hash) {
	switch where := leafName(leaf); {
	case record == nil && pruned.covers(leaf):
	case record == nil:
		r.problem(where, "the record is missing")
	case ledger.LeafHash(record) != hash:
		r.problem(where, "the record was changed: it does not hash to its leaf")
	default:
		r.Checked++
	}
}

func leafName(leaf int64) string { return fmt.Sprintf("leaf %d", leaf) }

// nodes compares what a leaf completed with the tiles of higher levels.
func (w *walk) nodes(leaf int64, completed []ledger.Hash) {
	for height, hash := range completed {
		if height == 0 || height%ledger.TileHeight != 0 {
			continue
		}
		level, n := height/ledger.TileHeight, leaf>>height
		t := ledger.TileAt(level, n, w.size)
		u := w.above[level]
		if u.tile != t {
			data, err := w.log.tile(t)
			if err != nil {
				w.report.problem(ledger.TilePath(t), "%v", err)
				data = nil
			}
			u = upper{t, data}
			w.above[level] = u
		}
		at := int(n%ledger.TileWidth) * hashSize
		if u.data != nil && ledger.Hash(u.data[at:]) != hash {
			w.report.problem(ledger.TilePath(t), "it has another hash for leaves %d to %d than those make", n<<height, leaf)
		}
	}
}

// heads compares the root with checkpoints of the present size.
func (w *walk) heads() {
	size := w.tree.Size()
	held := false
	for _, h := range w.known[size] {
		if h.root == w.tree.Root() {
			held = true
			continue
		}
		w.report.problem(h.where, "the %d records are not those that it signs: one of %d to %d or its place was changed", size, w.held, size-1)
	}
	if held {
		w.held = size
	}
	delete(w.known, size)
}

// unsaid tells of checkpoints that were not reached.
func (w *walk) unsaid(format string, args ...any) {
	for _, size := range slices.Sorted(maps.Keys(w.known)) {
		for _, h := range w.known[size] {
			w.report.problem(h.where, format, args...)
		}
	}
}

// Range checks the records from one leaf to before another. Other records need not be
// there; of the tiles, those that lead from these to the checkpoint.
func (l Log) Range(from, to int64) *Report {
	r := newReport("range")
	c, err := l.head()
	if err != nil {
		r.problem(checkpointName, "%v", err)
		return r
	}
	r.Log, r.Size = c.Origin, c.Size
	if from < 0 || to <= from || to > c.Size {
		r.problem(checkpointName, "it signs leaves 0 to %d, not %d to %d", c.Size-1, from, to-1)
		return r
	}
	checked, pruned := l.nodes(c.Size).Checked(c), l.prunings(c)
	for first := from - from%ledger.TileWidth; first < to; first += ledger.TileWidth {
		t := ledger.TileAt(0, first, c.Size)
		begin, end := max(from, first), min(to, first+int64(t.W))
		indexes := make([]int64, 0, t.W)
		for leaf := begin; leaf < end; leaf++ {
			indexes = append(indexes, tlog.StoredHashIndex(0, leaf))
		}
		hashes, err := checked.ReadHashes(indexes)
		if err != nil {
			r.problem(ledger.TilePath(t), "leaves %d to %d are not what the checkpoint signs: %v", begin, end-1, err)
			continue
		}
		records, err := l.records(t)
		if err != nil {
			r.problem(ledger.RecordsPath(t), "%v", err)
			continue
		}
		for leaf := begin; leaf < end; leaf++ {
			checkRecord(r, pruned, leaf, records[leaf-first], hashes[leaf-begin])
		}
	}
	pruned.note(r)
	return r
}
