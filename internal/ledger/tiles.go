package ledger

import (
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Tiles are the tree's nodes as files, after C2SP tlog-tiles: each holds up to
// TileWidth hashes of one level, and a level's hash stands for a full tile of the
// level below.
const (
	TileHeight = 8
	TileWidth  = 1 << TileHeight
)

// Tile names one.
type Tile = tlog.Tile

// TileAt is the tile of a level that holds its n-th hash, as wide as it is in a tree of
// so many leaves. Width 0 says that there is none.
func TileAt(level int, n, size int64) Tile {
	there := int64(0)
	if level*TileHeight < 63 {
		there = size >> (level * TileHeight)
	}
	t := Tile{H: TileHeight, L: level, N: n / TileWidth}
	t.W = int(max(0, min(TileWidth, there-t.N*TileWidth)))
	return t
}

// TilePath is where a tile lies below a log's prefix.
func TilePath(t Tile) string {
	return strings.Replace(t.Path(), fmt.Sprintf("tile/%d/", TileHeight), "tile/", 1)
}

// RecordsPath is where the records under a tile of leaves lie: a line each. C2SP's
// entry bundles hold entries of 64 KiB at most; ours may be longer, so they have a path
// of their own.
func RecordsPath(leaves Tile) string {
	return "records/" + strings.TrimPrefix(TilePath(Tile{H: leaves.H, L: 0, N: leaves.N, W: leaves.W}), "tile/0/")
}

// TileNodes reads nodes of a tree from its tiles, which it does not check.
type TileNodes struct {
	Size int64
	Read func(Tile) ([]byte, error)
}

// ReadHashes reads nodes by their index.
func (n TileNodes) ReadHashes(indexes []int64) ([]Hash, error) {
	read := map[Tile][]byte{}
	all := make([]Hash, len(indexes))
	for i, index := range indexes {
		t := tlog.TileForIndex(TileHeight, index)
		t = TileAt(t.L, t.N*TileWidth, n.Size)
		data, ok := read[t]
		if !ok {
			var err error
			if data, err = n.Read(t); err != nil {
				return nil, err
			}
			read[t] = data
		}
		h, err := tlog.HashFromTile(t, data, index)
		if err != nil {
			return nil, fmt.Errorf("ledger: %s: %w", TilePath(t), err)
		}
		all[i] = h
	}
	return all, nil
}

// TileRoot is the hash that stands for a full tile in the level above.
func TileRoot(hashes []Hash) Hash {
	level := append([]Hash(nil), hashes...)
	for ; len(level) > 1; level = level[:len(level)/2] {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
	}
	return level[0]
}

// Checked reads nodes from the same tiles and believes only what leads to the root of
// the checkpoint.
func (n TileNodes) Checked(c Checkpoint) Hashes {
	return tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, tileReader{n})
}

type tileReader struct{ nodes TileNodes }

func (r tileReader) Height() int { return TileHeight }

func (r tileReader) ReadTiles(tiles []Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, t := range tiles {
		data, err := r.nodes.Read(TileAt(t.L, t.N*TileWidth, r.nodes.Size))
		if err != nil {
			return nil, err
		}
		if len(data) < t.W*len(Hash{}) {
			return nil, fmt.Errorf("ledger: %s is too short", TilePath(t))
		}
		all[i] = data[:t.W*len(Hash{})]
	}
	return all, nil
}

func (tileReader) SaveTiles([]Tile, [][]byte) {}
