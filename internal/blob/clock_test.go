package blob

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A store whose clock is hours late does not make an old blob of one that was written
// just now.
func TestLateClock(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	id := newID().String()
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now().Add(-3 * time.Hour).UTC()
		w.Header().Set("Date", now.Format(http.TimeFormat))
		switch {
		case r.URL.Query().Has("uploads"):
			fmt.Fprint(w, "<ListMultipartUploadsResult></ListMultipartUploadsResult>")
		case r.URL.Query().Has("list-type"):
			fmt.Fprintf(w, "<ListBucketResult><Contents><Key>blobs/%s</Key><Size>5</Size><LastModified>%s</LastModified></Contents></ListBucketResult>",
				id, now.Format(time.RFC3339))
		case r.Method == http.MethodGet:
			fmt.Fprint(w, "me")
		}
	}))
	defer store.Close()
	b, err := OpenBucket(t.Context(), Location{Bucket: "sealed", Endpoint: store.URL, Region: "us-east-1"}, "me")
	must(t, err)
	n := 0
	for s, err := range b.Refs(t.Context()) {
		must(t, err)
		n++
		if age := time.Since(s.Created); age > time.Minute || s.Ref != (place{object: id, length: 5}).ref() {
			t.Errorf("%+v is %s old", s, age)
		}
	}
	if n != 1 {
		t.Errorf("%d blobs", n)
	}
}
