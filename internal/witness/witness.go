// Package witness remembers the heads of logs that only ever grow: in a file, or as a
// witness (C2SP tlog-witness) that co-signs what extends the head before, and that others
// ask to.
//
// Whoever has a log's key and database, but cannot write where its heads are remembered,
// can rewrite nothing before the newest of them unseen, and cut nothing off. A witness
// trusts the public keys of its logs and its directory. Its callers are strangers: what
// they send is bounded, and counts only as far as a log signed it. Who asks a witness
// trusts it to stop him: one that claims to remember more than there is ends the server.
// It can do no more than that: a signature counts only for the head that was shown.
package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"bawn.dev/internal/ledger"
)

// A Witness serves POST /add-checkpoint.
type Witness struct {
	signer ledger.Cosigner
	logs   map[string][]File // by origin: several houses may have one name, but not one key
	now    func() time.Time

	mu sync.Mutex // one head is compared and stored at a time
}

// New makes a witness that remembers in a directory, which exists.
func New(dir string, signer ledger.Cosigner, logs []ledger.Verifier, now func() time.Time) *Witness {
	w := &Witness{signer: signer, logs: map[string][]File{}, now: now}
	for _, l := range logs {
		origin, _, _ := strings.Cut(l.String(), "+")
		sum := sha256.Sum256([]byte(l.String()))
		w.logs[origin] = append(w.logs[origin], File{Path: filepath.Join(dir, hex.EncodeToString(sum[:])), Log: l, Make: true})
	}
	return w
}

const maxRequest = 64 << 10

func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/add-checkpoint" {
		http.Error(rw, "not found", http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		rw.Header().Set("Allow", http.MethodPost)
		http.Error(rw, "POST a checkpoint", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	if err != nil {
		http.Error(rw, "too long, or cut off", http.StatusBadRequest)
		return
	}
	e, err := ledger.ParseExtension(body)
	if err != nil {
		http.Error(rw, "not a request to add a checkpoint", http.StatusBadRequest)
		return
	}
	line, err := w.add(r, e)
	var refused *refusal
	var conflict *Conflict
	switch {
	case err == nil:
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		rw.Write(line) //nolint:errcheck // who does not listen asks again
	case errors.As(err, &conflict):
		rw.Header().Set("Content-Type", "text/x.tlog.size")
		rw.WriteHeader(http.StatusConflict)
		fmt.Fprintf(rw, "%d\n", conflict.Size)
	case errors.As(err, &refused):
		http.Error(rw, refused.why, refused.status)
	default:
		http.Error(rw, "the witness cannot remember", http.StatusInternalServerError)
	}
}

// A refusal is an answer that says why there is no signature.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return r.why }

// add co-signs a head that extends the one remembered, which it replaces first.
func (w *Witness) add(r *http.Request, e ledger.Extension) ([]byte, error) {
	origin, _, _ := strings.Cut(string(e.Signed), "\n")
	files := w.logs[origin]
	if len(files) == 0 {
		return nil, &refusal{http.StatusNotFound, "not a log that this witness knows"}
	}
	for _, f := range files {
		next, err := f.Log.Open(e.Signed)
		if err != nil {
			continue
		}
		if e.Old > next.Size {
			return nil, &refusal{http.StatusBadRequest, "the old size is larger than the new"}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		_, err = f.Ask(r.Context(), next, e)
		switch {
		case errors.Is(err, ErrHistory) && e.Old == next.Size:
			return nil, &Conflict{next.Size}
		case errors.Is(err, ErrHistory):
			return nil, &refusal{http.StatusUnprocessableEntity, "the proof does not hold"}
		case err != nil:
			return nil, err
		}
		return w.signer.Cosign(e.Signed, w.now())
	}
	return nil, &refusal{http.StatusForbidden, "not signed by the log"}
}
