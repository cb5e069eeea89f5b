package verify

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/ledger"
)

// A Mirror is a directory that holds a copy of a log: the checkpoint and the tree's
// tiles as C2SP tlog-tiles lays them out, and the records, a line each, below records/.
// Fed again, it takes what is new, and nothing that does not extend what it has.
type Mirror struct {
	dir    *os.Root
	log    Log
	size   int64
	levels [][]ledger.Hash // of each level the tile that is not full
	lines  [][]byte        // the records under the one of level 0
	pruned int64           // what Pruned says
	old    []string        // partial tiles that have become superfluous
}

// OpenMirror opens a directory, which it makes if there is none. The caller closes it.
func OpenMirror(dir string, key ledger.Verifier) (*Mirror, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	m := &Mirror{dir: root, log: Log{root.FS(), key}}
	if err := m.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), root.Close())
	}
	return m, nil
}

// Close ends the use of the directory.
func (m *Mirror) Close() error { return m.dir.Close() }

// Size is how many leaves the copy has.
func (m *Mirror) Size() int64 { return m.size }

// Pruned is how many of the leaves that were received came without their record because
// the log says that it was pruned.
func (m *Mirror) Pruned() int64 { return m.pruned }

// load reads where the copy ends.
func (m *Mirror) load() error {
	c, err := m.log.head()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	root, err := ledger.Root(c.Size, m.log.nodes(c.Size))
	if err != nil {
		return err
	}
	if root != c.Root {
		return errors.New("its tiles are not those that its checkpoint signs: run bawn verify log")
	}
	m.size = c.Size
	for level := 0; c.Size>>(level*ledger.TileHeight) > 0; level++ {
		t := ledger.TileAt(level, c.Size>>(level*ledger.TileHeight), c.Size)
		var hashes []ledger.Hash
		if t.W > 0 {
			data, err := m.log.tile(t)
			if err != nil {
				return err
			}
			for ; len(data) > 0; data = data[hashSize:] {
				hashes = append(hashes, ledger.Hash(data[:hashSize]))
			}
			m.old = append(m.old, ledger.TilePath(t))
			if level == 0 {
				if m.lines, err = m.log.records(t); err != nil {
					return err
				}
				m.old = append(m.old, ledger.RecordsPath(t))
			}
		}
		m.levels = append(m.levels, hashes)
	}
	return nil
}

// maxLine bounds a record as it is received.
const maxLine = 512 << 10

// Receive takes what the server sends: the checkpoint in base64, and then each leaf from
// Size on, a line each: the record or, if that is gone, its hash in base64 and quotes.
// It tells how many leaves came without their record though the log does not say that it
// was pruned.
func (m *Mirror) Receive(from io.Reader) (gone int64, err error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	if !lines.Scan() {
		return 0, errors.Join(io.ErrUnexpectedEOF, lines.Err())
	}
	signed, err := base64.StdEncoding.Strict().DecodeString(lines.Text())
	if err != nil {
		return 0, err
	}
	if len(signed) == 0 { // nothing was ever recorded
		return 0, nil
	}
	c, err := m.log.Key.Open(signed)
	if err != nil {
		return 0, err
	}
	if c.Size < m.size {
		return 0, fmt.Errorf("the log has %d leaves, this copy %d: its newest were cut off", c.Size, m.size)
	}
	var without []int64 // leaves: from one to before another
	for m.size < c.Size {
		if !lines.Scan() {
			return gone, errors.Join(fmt.Errorf("leaf %d: %w", m.size, io.ErrUnexpectedEOF), lines.Err())
		}
		line := lines.Bytes()
		hash := ledger.LeafHash(line)
		if len(line) > 0 && line[0] == '"' {
			raw, err := base64.StdEncoding.Strict().DecodeString(string(bytes.Trim(line, `"`)))
			if err != nil || len(raw) != hashSize {
				return gone, fmt.Errorf("leaf %d is neither a record nor a hash", m.size)
			}
			hash, line, gone = ledger.Hash(raw), nil, gone+1
			if n := len(without); n > 0 && without[n-1] == m.size {
				without[n-1]++
			} else {
				without = append(without, m.size, m.size+1)
			}
		}
		if err := m.add(hash, bytes.Clone(line)); err != nil {
			return gone, err
		}
	}
	if err := m.finish(c, signed); err != nil {
		return gone, err
	}
	pruned := m.log.prunings(c)
	for i := 0; i < len(without); i += 2 {
		for leaf := without[i]; leaf < without[i+1] && pruned.covers(leaf); leaf++ {
			gone--
		}
	}
	m.pruned += pruned.gone
	return gone, nil
}

func (m *Mirror) add(leaf ledger.Hash, record []byte) error {
	m.lines = append(m.lines, record)
	if len(m.lines) == ledger.TileWidth {
		if err := m.writeRecords(m.size + 1); err != nil {
			return err
		}
		m.lines = nil
	}
	m.size++
	for level, hash := 0, leaf; ; level++ {
		if level == len(m.levels) {
			m.levels = append(m.levels, nil)
		}
		m.levels[level] = append(m.levels[level], hash)
		if len(m.levels[level]) < ledger.TileWidth {
			return nil
		}
		if err := m.writeTile(level); err != nil {
			return err
		}
		hash = ledger.TileRoot(m.levels[level])
		m.levels[level] = nil
	}
}

// finish writes what is not full and, once the tree is the one that was signed, the
// checkpoint.
func (m *Mirror) finish(c ledger.Checkpoint, signed []byte) error {
	fresh := map[string]bool{}
	for level, hashes := range m.levels {
		if len(hashes) == 0 {
			continue
		}
		if err := m.writeTile(level); err != nil {
			return err
		}
		fresh[ledger.TilePath(m.last(level))] = true
	}
	if len(m.lines) > 0 {
		if err := m.writeRecords(m.size); err != nil {
			return err
		}
		fresh[ledger.RecordsPath(m.last(0))] = true
	}
	root, err := ledger.Root(c.Size, m.log.nodes(c.Size))
	if err != nil {
		return err
	}
	if root != c.Root {
		return fmt.Errorf("the log of %d records does not extend what this copy has, or is not what was signed", c.Size)
	}
	if err := errors.Join(m.settle(), m.write(checkpointName, signed)); err != nil {
		return err
	}
	for _, name := range m.old {
		if !fresh[name] {
			if err := m.dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			m.dir.Remove(path.Dir(name)) //nolint:errcheck // NNN.p stays while it holds others
		}
	}
	return nil
}

// last is the tile of a level that is being filled.
func (m *Mirror) last(level int) ledger.Tile {
	n := (m.size >> (level * ledger.TileHeight)) - int64(len(m.levels[level]))
	return ledger.Tile{H: ledger.TileHeight, L: level, N: n / ledger.TileWidth, W: len(m.levels[level])}
}

func (m *Mirror) writeTile(level int) error {
	var data []byte
	for _, h := range m.levels[level] {
		data = append(data, h[:]...)
	}
	return m.write(ledger.TilePath(m.last(level)), data)
}

// writeRecords writes the records up to leaf end.
func (m *Mirror) writeRecords(end int64) error {
	var data []byte
	for _, line := range m.lines {
		data = append(append(data, line...), '\n')
	}
	first := end - int64(len(m.lines))
	return m.write(ledger.RecordsPath(ledger.Tile{H: ledger.TileHeight, N: first / ledger.TileWidth, W: len(m.lines)}), data)
}

// settle waits until what was written is on the disk: before the checkpoint speaks of
// it, and once for thousands of files.
func (m *Mirror) settle() error {
	here, err := m.dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(here.Fd())), here.Close())
}

// write makes a file that a reader sees whole or not at all.
func (m *Mirror) write(name string, data []byte) error {
	if err := m.dir.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := m.dir.OpenFile(name+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return m.dir.Rename(name+".new", name)
}
