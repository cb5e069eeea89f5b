package trail

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"
)

// A record is not a leaf until it is sealed, a moment after its commit. Until then its
// row carries a code under a key that the log's servers alone derive: what somebody else
// wrote into the database, or changed there, is never sealed.

// macSize is how much of an HMAC-SHA256 a row carries: what is tried in its place is
// tried once, by the sealer.
const macSize = 16

// Foreign is the row of a record that no server of this log wrote, or that was changed
// before it was sealed. Nothing is sealed from there on.
type Foreign struct{ Seq int64 }

func (e *Foreign) Error() string {
	return fmt.Sprintf("trail: record %d was not written by a server of this log, or was changed since; run fsck, and see docs/ledger.md", e.Seq)
}

// authors makes the codes of rows. Its methods may be called from many goroutines.
type authors struct{ pool sync.Pool }

func newAuthors(key []byte) *authors {
	return &authors{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// mac is the code of a row. It does not cover the number, which the database gives.
func (a *authors) mac(time int64, account string, stored []byte) []byte {
	h := a.pool.Get().(hash.Hash)
	defer a.pool.Put(h)
	h.Reset()
	head := binary.BigEndian.AppendUint64(make([]byte, 0, 64), uint64(time))
	head = binary.BigEndian.AppendUint32(head, uint32(len(account)))
	h.Write(append(head, account...))
	h.Write(stored)
	return h.Sum(nil)[:macSize:macSize]
}

// wrote says whether a server of this log wrote a row that is not sealed yet.
func (a *authors) wrote(r row) bool { return hmac.Equal(r.mac, a.mac(r.time, r.account, r.event)) }
