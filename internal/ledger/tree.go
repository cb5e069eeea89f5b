package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Hashes reads stored nodes of a tree by their index (tlog.StoredHashIndex).
type Hashes = tlog.HashReader

// LeafOf is the first leaf under the node of this index.
func LeafOf(index int64) int64 {
	level, n := tlog.SplitStoredHashIndex(index)
	return n << level
}

// StoredCount is how many nodes a tree of so many leaves stores.
func StoredCount(size int64) int64 { return tlog.StoredHashCount(size) }

// Root computes the root of the first size leaves from stored nodes.
func Root(size int64, stored Hashes) (Hash, error) {
	if size <= 0 {
		return Hash(sha256.Sum256(nil)), nil
	}
	return tlog.TreeHash(size, stored)
}

// Builder adds leaves to a stored tree. The nodes to store are in New.
type Builder struct {
	Size int64  // leaves so far
	New  []Hash // nodes to store, consecutive from index First
	// First is the index of New[0].
	First  int64
	stored Hashes
}

// NewBuilder continues a tree of so many leaves.
func NewBuilder(size int64, stored Hashes) *Builder {
	return &Builder{Size: size, First: StoredCount(size), stored: stored}
}

// Add appends a leaf by its hash.
func (b *Builder) Add(leaf Hash) error {
	nodes, err := tlog.StoredHashesForRecordHash(b.Size, leaf, b)
	if err != nil {
		return err
	}
	b.New = append(b.New, nodes...)
	b.Size++
	return nil
}

// Root is the root over the stored and the new leaves.
func (b *Builder) Root() (Hash, error) { return Root(b.Size, b) }

// ReadHashes reads nodes, the new ones included.
func (b *Builder) ReadHashes(indexes []int64) ([]Hash, error) {
	all := make([]Hash, len(indexes))
	var old, at []int64
	for i, index := range indexes {
		if index >= b.First {
			if index-b.First >= int64(len(b.New)) {
				return nil, fmt.Errorf("ledger: node %d is not there", index)
			}
			all[i] = b.New[index-b.First]
			continue
		}
		old, at = append(old, index), append(at, int64(i))
	}
	if len(old) == 0 {
		return all, nil
	}
	stored, err := b.stored.ReadHashes(old)
	if err != nil {
		return nil, err
	}
	if len(stored) != len(old) {
		return nil, errors.New("ledger: stored nodes are missing")
	}
	for i, h := range stored {
		all[at[i]] = h
	}
	return all, nil
}

// Range computes roots from leaves alone, trusting nothing that was stored. Its
// zero value is the empty tree; it holds one hash per level.
type Range struct {
	size  int64
	stack []Hash
}

// Continue is the Range of the first size leaves, from stored nodes. It is as good as
// those: its root tells.
func Continue(size int64, stored Hashes) (*Range, error) {
	r := &Range{size: size}
	if size == 0 {
		return r, nil
	}
	var indexes []int64
	first := int64(0)
	for level := bits.Len64(uint64(size)) - 1; level >= 0; level-- { //nolint:gosec // not negative
		if size>>level&1 == 1 {
			indexes = append(indexes, tlog.StoredHashIndex(level, first>>level))
			first += 1 << level
		}
	}
	var err error
	r.stack, err = stored.ReadHashes(indexes)
	return r, err
}

// Size is the number of leaves.
func (r *Range) Size() int64 { return r.size }

// Add appends a leaf by its hash. It returns the nodes that a Builder would have
// stored for it, the leaf first.
func (r *Range) Add(leaf Hash) []Hash {
	nodes := []Hash{leaf}
	r.stack = append(r.stack, leaf)
	for n := r.size; n&1 == 1; n >>= 1 {
		top := len(r.stack) - 1
		r.stack[top-1] = tlog.NodeHash(r.stack[top-1], r.stack[top])
		r.stack = r.stack[:top]
		nodes = append(nodes, r.stack[top-1])
	}
	r.size++
	return nodes
}

// Root is the root over the leaves so far.
func (r *Range) Root() Hash {
	if r.size == 0 {
		return Hash(sha256.Sum256(nil))
	}
	root := r.stack[len(r.stack)-1]
	for i := len(r.stack) - 2; i >= 0; i-- {
		root = tlog.NodeHash(r.stack[i], root)
	}
	return root
}

// ErrProof says that a proof does not prove what it should.
var ErrProof = errors.New("ledger: the proof does not hold")

// ProveInclusion proves that a leaf is in the tree of so many leaves.
func ProveInclusion(size, leaf int64, stored Hashes) ([]Hash, error) {
	if leaf < 0 || leaf >= size {
		return nil, fmt.Errorf("ledger: no leaf %d in a tree of %d", leaf, size)
	}
	return tlog.ProveRecord(size, leaf, stored)
}

// VerifyInclusion checks that the record is the leaf of the checkpoint's tree.
func VerifyInclusion(c Checkpoint, leaf int64, record []byte, proof []Hash) error {
	if leaf < 0 || leaf >= c.Size {
		return ErrProof
	}
	if err := tlog.CheckRecord(proof, c.Size, c.Root, leaf, LeafHash(record)); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}

// ProveConsistency proves that the tree of newer leaves extends that of older.
func ProveConsistency(newer, older int64, stored Hashes) ([]Hash, error) {
	if older < 1 || older > newer {
		return nil, fmt.Errorf("ledger: no proof between trees of %d and %d", older, newer)
	}
	return tlog.ProveTree(newer, older, stored)
}

// VerifyConsistency checks that newer extends older: nothing that older holds
// was changed or dropped.
func VerifyConsistency(newer, older Checkpoint, proof []Hash) error {
	if newer.Origin != older.Origin || older.Size < 1 || older.Size > newer.Size {
		return ErrProof
	}
	if err := tlog.CheckTree(proof, newer.Size, newer.Root, older.Size, older.Root); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}
