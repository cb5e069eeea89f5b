package blob

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A peer answers as AWS does in what matters here: an object that came in parts is as
// old as its first request.
type peer struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key, query := strings.TrimPrefix(r.URL.Path, "/bucket/"), r.URL.Query()
	switch {
	case r.Method == http.MethodGet && query.Has("uploads"):
		fmt.Fprint(w, `<ListMultipartUploadsResult></ListMultipartUploadsResult>`)
	case r.Method == http.MethodGet && query.Has("list-type"):
		fmt.Fprint(w, `<ListBucketResult>`)
		for key, content := range p.objects {
			if strings.HasPrefix(key, query.Get("prefix")) {
				fmt.Fprintf(w, `<Contents><Key>%s</Key><Size>%d</Size><LastModified>%s</LastModified></Contents>`,
					key, len(content), time.Now().Add(-3*time.Hour).UTC().Format(time.RFC3339))
			}
		}
		fmt.Fprint(w, `</ListBucketResult>`)
	case r.Method == http.MethodGet:
		w.Write(p.objects[key])
	case r.Method == http.MethodPost && query.Has("uploads"):
		p.objects[key] = nil
		fmt.Fprint(w, `<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>`)
	case r.Method == http.MethodPost:
		fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
	case r.Method == http.MethodPut:
		content, _ := io.ReadAll(r.Body)
		p.objects[key] = append(p.objects[key], content...)
		w.Header().Set("ETag", `"e"`)
	}
}

// TestSlowUploadIsNew: a long upload is no older than its end, whatever the bucket says.
func TestSlowUploadIsNew(t *testing.T) {
	s := httptest.NewServer(&peer{objects: map[string][]byte{}})
	t.Cleanup(s.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	where, err := ParseLocation("s3://bucket/prefix?endpoint=" + s.URL)
	must(t, err)
	b, err := OpenBucket(t.Context(), where, "owner")
	must(t, err)
	write := func(size int) Ref {
		w, err := b.Create(t.Context())
		must(t, err)
		_, err = w.Write(random(size))
		must(t, err)
		r, err := w.Commit()
		must(t, err)
		return r
	}
	slow, short := write(partSize+1), write(100)
	ages := map[string]time.Duration{}
	for found, err := range b.Refs(t.Context()) {
		must(t, err)
		p, err := found.Ref.parse()
		must(t, err)
		ages[p.object] = time.Since(found.Created)
	}
	of := func(r Ref) time.Duration {
		p, err := r.parse()
		must(t, err)
		age, there := ages[p.object]
		if !there {
			t.Errorf("%s is not listed", r)
		}
		return age
	}
	if age := of(slow); age > time.Hour {
		t.Errorf("what was committed just now is %s old", age)
	}
	if age := of(short); age < 2*time.Hour {
		t.Errorf("the bucket's word counts for nothing: %s", age)
	}
}
