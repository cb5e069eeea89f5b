package s3

import (
	"sync"

	"bawn.dev/internal/blob"
)

// readers keeps the parts of objects that are being read, so that a download that has
// begun goes on when the object is overwritten or deleted, as one of an object in one
// blob does. It knows of this process only; what a crash leaves are orphans.
type readers struct {
	mu   sync.Mutex
	held map[string]*heldParts // by upload
}

type heldParts struct {
	readers int
	doomed  []blob.Ref // to be deleted when the last reader is gone
}

// hold counts a reader of an upload's parts.
func (r *readers) hold(upload string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		r.held = map[string]*heldParts{}
	}
	if r.held[upload] == nil {
		r.held[upload] = &heldParts{}
	}
	r.held[upload].readers++
}

// release ends a hold, and answers what is to be deleted now.
func (r *readers) release(upload string) []blob.Ref {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.held[upload]
	if h.readers--; h.readers > 0 {
		return nil
	}
	delete(r.held, upload)
	return h.doomed
}

// doom answers what of refs, an upload's parts, is to be deleted now; the rest waits for
// those who read it.
func (r *readers) doom(upload string, refs []blob.Ref) []blob.Ref {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.held[upload]
	if h == nil {
		return refs
	}
	h.doomed = append(h.doomed, refs...)
	return nil
}
