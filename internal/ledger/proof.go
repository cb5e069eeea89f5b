package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Proof shows offline that a record is in the log: with the log's public key and
// nothing else.
type Proof struct {
	Record []byte
	Leaf   int64
	Hashes []Hash
	Signed []byte // the checkpoint
}

const (
	proofHeader = "c2sp.org/tlog-proof@v1"
	maxProof    = 1 << 20
	maxHashes   = 63
)

// ErrFormat says that a file is not what it should be.
var ErrFormat = errors.New("ledger: not in the format")

// Text is the proof in the form of C2SP tlog-proof; the record is its extra data.
func (p Proof) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nextra %s\nindex %d\n", proofHeader, base64.StdEncoding.EncodeToString(p.Record), p.Leaf)
	writeHashes(&b, p.Hashes)
	b.Write(p.Signed)
	return b.Bytes()
}

// ParseProof reads what Text gave. It checks nothing: see [Verifier.Check].
func ParseProof(text []byte) (Proof, error) {
	var p Proof
	if len(text) > maxProof {
		return p, ErrFormat
	}
	lines, signed, ok := bytes.Cut(text, []byte("\n\n"))
	head := strings.Split(string(lines), "\n")
	if !ok || len(head) < 3 || head[0] != proofHeader {
		return p, fmt.Errorf("%w of a proof", ErrFormat)
	}
	extra, hasExtra := strings.CutPrefix(head[1], "extra ")
	index, hasIndex := strings.CutPrefix(head[2], "index ")
	if !hasExtra || !hasIndex {
		return p, fmt.Errorf("%w of a proof that holds its record", ErrFormat)
	}
	var err error
	if p.Record, err = base64.StdEncoding.Strict().DecodeString(extra); err != nil {
		return p, fmt.Errorf("%w of a proof: %w", ErrFormat, err)
	}
	if p.Leaf, err = decimal(index); err != nil {
		return p, err
	}
	if p.Hashes, err = parseHashes(head[3:]); err != nil {
		return p, err
	}
	p.Signed = signed
	return p, nil
}

// Check returns the checkpoint of a proof that holds.
func (v Verifier) Check(p Proof) (Checkpoint, error) {
	c, err := v.Open(p.Signed)
	if err != nil {
		return c, err
	}
	return c, VerifyInclusion(c, p.Leaf, p.Record, p.Hashes)
}

// An Extension shows that a checkpoint extends an older one, of so many leaves. It has
// the form in which a log asks a witness to co-sign (C2SP tlog-witness).
type Extension struct {
	Old    int64
	Hashes []Hash
	Signed []byte // the newer checkpoint
}

// Text is the extension as it is stored and sent.
func (e Extension) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", e.Old)
	writeHashes(&b, e.Hashes)
	b.Write(e.Signed)
	return b.Bytes()
}

// ParseExtension reads what Text gave. It checks nothing.
func ParseExtension(text []byte) (Extension, error) {
	var e Extension
	lines, signed, ok := bytes.Cut(text, []byte("\n\n"))
	head := strings.Split(string(lines), "\n")
	old, hasOld := strings.CutPrefix(head[0], "old ")
	if !ok || !hasOld || len(text) > maxCheckpoint+maxHashes*64 {
		return e, fmt.Errorf("%w of a consistency proof", ErrFormat)
	}
	var err error
	if e.Old, err = decimal(old); err != nil {
		return e, err
	}
	if e.Hashes, err = parseHashes(head[1:]); err != nil {
		return e, err
	}
	e.Signed = signed
	return e, nil
}

// writeHashes ends with an empty line.
func writeHashes(b *bytes.Buffer, hashes []Hash) {
	for _, h := range hashes {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteString("\n")
}

func parseHashes(lines []string) ([]Hash, error) {
	if len(lines) > maxHashes {
		return nil, fmt.Errorf("%w: %d hashes", ErrFormat, len(lines))
	}
	hashes := make([]Hash, len(lines))
	for i, line := range lines {
		raw, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(raw) != len(Hash{}) {
			return nil, fmt.Errorf("%w: %q is not a hash", ErrFormat, line)
		}
		hashes[i] = Hash(raw)
	}
	return hashes, nil
}

func decimal(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%w: %q is not a number", ErrFormat, s)
	}
	return n, nil
}
