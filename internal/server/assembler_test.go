package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// An assembler uploads objects in parts, completes some uploads and aborts others, and
// goes on with what a kill left open: a part that was acknowledged can still be
// completed, and nothing of an upload shows before it is.
type assembler struct {
	*world
	n     int
	keys  [2][]string // as a writer's
	open  *opened     // an upload whose end is not known
	ended []*opened   // acknowledged as aborted or completed
}

// An opened upload, and what the server acknowledged of it.
type opened struct {
	id, path string
	k        int
	parts    []string // contents
	etags    []string
	complete bool // was asked for; if not, it was to be aborted
}

const partSize = 5 << 20 // the least that a part may have that is not the last

func (a *assembler) path(k int) string { return fmt.Sprintf("/crash-bucket/assembled/%d", k) }

func (a *assembler) work(ctx context.Context, t *testing.T, c *client) {
	for {
		if a.open == nil && !a.begin(ctx, t, c) {
			return
		}
		if !a.upload(ctx, t, c) || !a.end(ctx, t, c) {
			return
		}
		got, err := c.object(ctx, http.MethodGet, a.path(a.n%len(a.keys)), nil)
		if !a.heard(t, "GetObject", got, err, http.StatusNotFound) {
			return
		}
		a.compare(t, a.n%len(a.keys), got)
	}
}

func (a *assembler) begin(ctx context.Context, t *testing.T, c *client) bool {
	a.n++
	k := a.n % len(a.keys)
	got, err := c.object(ctx, http.MethodPost, a.path(k)+"?uploads=", nil)
	if !a.heard(t, "CreateMultipartUpload", got, err) {
		return false
	}
	u := &opened{id: names(t, got.body, "UploadId")[0], path: a.path(k), k: k, complete: a.n%4 != 0}
	if a.n%3 == 0 {
		u.parts = append(u.parts, strings.Repeat(fmt.Sprintf("%016d", a.n), partSize/16))
	}
	u.parts = append(u.parts, strings.Repeat(fmt.Sprintf("end %d ", a.n), 1000))
	a.open = u
	return true
}

// upload sends the parts that are not acknowledged yet.
func (a *assembler) upload(ctx context.Context, t *testing.T, c *client) bool {
	u := a.open
	for n := len(u.etags); n < len(u.parts); n++ {
		got, err := c.object(ctx, http.MethodPut, fmt.Sprintf("%s?partNumber=%d&uploadId=%s", u.path, n+1, u.id), []byte(u.parts[n]))
		// What ended unheard of has no parts any more.
		if !a.heard(t, "UploadPart", got, err) {
			return false
		}
		u.etags = append(u.etags, got.etag)
	}
	return true
}

func (a *assembler) end(ctx context.Context, t *testing.T, c *client) bool {
	u, what := a.open, a.open.path+"?uploadId="+a.open.id
	if !u.complete {
		got, err := c.object(ctx, http.MethodDelete, what, nil)
		if !a.heard(t, "AbortMultipartUpload", got, err, http.StatusNotFound) { // aborted already, unheard of
			return false
		}
		a.open, a.ended = nil, append(a.ended, u)
		return true
	}
	var list bytes.Buffer
	list.WriteString("<CompleteMultipartUpload>")
	for i, etag := range u.etags {
		fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, etag)
	}
	list.WriteString("</CompleteMultipartUpload>")
	whole := strings.Join(u.parts, "")
	if len(a.keys[u.k]) == 0 {
		a.keys[u.k] = []string{""}
	}
	a.keys[u.k] = append(a.keys[u.k], whole)
	got, err := c.object(ctx, http.MethodPost, what, list.Bytes())
	if !a.heard(t, "CompleteMultipartUpload", got, err) {
		return false
	}
	a.keys[u.k], a.open, a.ended = []string{whole}, nil, append(a.ended, u)
	return true
}

func (a *assembler) compare(t *testing.T, k int, got *answer) {
	t.Helper()
	w := &writer{world: a.world, name: "assembled"}
	if len(a.keys[k]) > 0 {
		w.keys[k] = a.keys[k]
		w.compare(t, k, got)
		a.keys[k] = w.keys[k]
	} else if got.status != http.StatusNotFound {
		t.Errorf("%s appeared by itself", a.path(k))
	}
}

// check reads the objects, and finds no upload open but the one that may be.
func (a *assembler) check(t *testing.T, c *client) {
	t.Helper()
	for k := range a.keys {
		got, err := c.object(t.Context(), http.MethodGet, a.path(k), nil)
		if err != nil {
			t.Fatal(err)
		}
		a.compare(t, k, got)
	}
	still := map[string]bool{}
	for _, id := range names(t, ok(t)(c.object(t.Context(), http.MethodGet, "/crash-bucket?uploads=", nil)).body, "UploadId") {
		still[id] = true
	}
	for _, u := range a.ended {
		if still[u.id] {
			t.Errorf("upload %s was acknowledged as ended and is open", u.id)
		}
	}
	if u := a.open; u != nil && len(u.etags) < len(u.parts) && !still[u.id] {
		t.Errorf("upload %s was acknowledged as begun and is gone", u.id)
	}
}
