package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"bawn.dev/internal/config"
	"bawn.dev/internal/server"
	"bawn.dev/internal/trail"
)

// A worker calls until the server is gone, and then says whether what was
// acknowledged is there.
type worker interface {
	work(ctx context.Context, t *testing.T, c *client)
	check(t *testing.T, c *client)
}

// The world is what all of them were told.
type world struct {
	tick func() // after each answer

	mu           sync.Mutex
	acknowledged map[string]act // by request id
	users, keys  []string       // that are there
}

type act struct {
	name   string
	failed bool
}

// heard notes an answer. It says whether there was one.
func (w *world) heard(t *testing.T, name string, a *answer, err error, statuses ...int) bool {
	t.Helper()
	if err != nil {
		return false
	}
	known := a.status/100 == 2
	for _, s := range statuses {
		known = known || a.status == s
	}
	if !known || a.id == "" {
		t.Errorf("%s answers %d %q: %s", name, a.status, a.id, a.body)
	}
	w.mu.Lock()
	w.acknowledged[a.id] = act{name, a.status/100 != 2}
	w.mu.Unlock()
	w.tick()
	return true
}

// check finds the record of every acknowledged call, and of every change whether or not
// it was; and every change that the record has.
func (w *world) check(t *testing.T, data string) {
	t.Helper()
	fixed, err := config.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Open(t.Context(), config.Config{Fixed: fixed, Data: data, Listen: "127.0.0.1:0", Database: os.Getenv("BAWN_DATABASE")}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Trail().Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	recorded := map[string]act{}
	var users, keys []string
	for q := (trail.Query{Account: fixed.AccountID}); ; {
		page, err := s.Trail().Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			r := e.Record
			endOfStream := strings.Contains(string(r.AdditionalEventData), `"stream":"end"`) // of a long one: a record of its own
			if r.RequestID != "" && !endOfStream {
				if _, twice := recorded[r.RequestID]; twice {
					t.Errorf("two records of request %s: %+v and %s", r.RequestID, recorded[r.RequestID], r.EventName)
				}
				recorded[r.RequestID] = act{r.EventName, r.ErrorCode != ""}
			}
			switch {
			case r.ErrorCode != "":
			case r.EventName == "CreateUser":
				users = append(users, change(t, r.RequestParameters).UserName)
			case r.EventName == "CreateKey" && r.EventType == "AwsServiceEvent": // of a managed key
				keys = append(keys, r.Resources[0].ARN[strings.LastIndexByte(r.Resources[0].ARN, '/')+1:])
			case r.EventName == "CreateKey":
				keys = append(keys, change(t, r.ResponseElements).KeyMetadata.KeyID)
			}
		}
		if q.Token = page.NextToken; q.Token == "" {
			break
		}
	}
	for name, both := range map[string][2][]string{"users": {w.users, users}, "keys": {w.keys, keys}} {
		slices.Sort(both[0])
		slices.Sort(both[1])
		if both[0] != nil && !slices.Equal(both[0], both[1]) {
			t.Errorf("%d %s are there, and %d on record:\n%v\n%v", len(both[0]), name, len(both[1]), both[0], both[1])
		}
	}
	t.Logf("%d acknowledged calls, %d records", len(w.acknowledged), len(recorded))
	if len(w.acknowledged) < kills {
		t.Error("hardly anything was acknowledged")
	}
	for id, want := range w.acknowledged {
		if got, ok := recorded[id]; !ok || got != want {
			t.Errorf("request %s was acknowledged as %+v and is recorded as %+v (%v)", id, want, got, ok)
		}
	}
}

// A changed is what a record says of a user or key that was made.
type changed struct {
	UserName    string
	KeyMetadata struct {
		KeyID string `json:"keyId"`
	}
}

func change(t *testing.T, text []byte) (made changed) {
	t.Helper()
	unmarshal(t, text, &made)
	return made
}

// A writer puts, replaces and deletes objects of its own, and reads them back.
type writer struct {
	*world
	name  string
	large bool // beyond what is packed with others
	n     int
	keys  [4][]string // contents that each may have; one, once acknowledged; "" is none
}

func (w *writer) path(k int) string { return fmt.Sprintf("/crash-bucket/%s/%d", w.name, k) }

func (w *writer) work(ctx context.Context, t *testing.T, c *client) {
	for {
		w.n++
		k := w.n % len(w.keys)
		content := fmt.Sprintf("%s-%d ", w.name, w.n)
		content = strings.Repeat(content, 4096/len(content))
		method, name := http.MethodPut, "PutObject"
		switch {
		case w.n%7 == 0:
			content, method, name = "", http.MethodDelete, "DeleteObject"
		case w.large:
			content = strings.Repeat(content, 50)
		}
		if len(w.keys[k]) == 0 {
			w.keys[k] = []string{""}
		}
		w.keys[k] = append(w.keys[k], content) // from now on it may be so
		a, err := c.object(ctx, method, w.path(k), []byte(content))
		if !w.heard(t, name, a, err) {
			return
		}
		w.keys[k] = []string{content} // and now it is
		a, err = c.object(ctx, http.MethodGet, w.path(k), nil)
		if !w.heard(t, "GetObject", a, err, http.StatusNotFound) {
			return
		}
		w.compare(t, k, a)
	}
}

func (w *writer) compare(t *testing.T, k int, a *answer) {
	t.Helper()
	got := string(a.body)
	if a.status == http.StatusNotFound {
		got = ""
	}
	for _, want := range w.keys[k] {
		if got == want {
			w.keys[k] = []string{want}
			return
		}
	}
	t.Errorf("%s holds %.40q (%d bytes, status %d), none of %d contents that it may have", w.path(k), got, len(got), a.status, len(w.keys[k]))
}

func (w *writer) check(t *testing.T, c *client) {
	t.Helper()
	for k := range w.keys {
		if len(w.keys[k]) > 0 {
			a, err := c.object(t.Context(), http.MethodGet, w.path(k), nil)
			if err != nil {
				t.Fatal(err)
			}
			w.compare(t, k, a)
		}
	}
}

// A hirer makes users.
type hirer struct {
	*world
	n     int
	hired []string
}

func (h *hirer) work(ctx context.Context, t *testing.T, c *client) {
	for {
		h.n++
		name := fmt.Sprintf("user-%d", h.n)
		a, err := c.iam(ctx, "CreateUser", "UserName", name)
		if !h.heard(t, "CreateUser", a, err) {
			return
		}
		h.hired = append(h.hired, name)
	}
}

func (h *hirer) check(t *testing.T, c *client) {
	t.Helper()
	there := map[string]bool{}
	for marker, more := "", true; more; {
		pairs := []string{"MaxItems", "1000"}
		if marker != "" {
			pairs = append(pairs, "Marker", marker)
		}
		a := ok(t)(c.iam(t.Context(), "ListUsers", pairs...))
		for _, name := range names(t, a.body, "UserName") {
			there[name] = true
		}
		next := names(t, a.body, "Marker")
		if more = len(next) == 1; more {
			marker = next[0]
		}
	}
	for _, name := range h.hired {
		if !there[name] {
			t.Errorf("user %s was acknowledged and is not there", name)
		}
	}
	delete(there, "admin") // whom init made
	h.users = slices.Collect(maps.Keys(there))
}

// A keeper makes keys and encrypts under them.
type keeper struct {
	*world
	n      int
	sealed map[string]string // ciphertext to plaintext, both in base64
}

func (k *keeper) work(ctx context.Context, t *testing.T, c *client) {
	for {
		k.n++
		a, err := c.kms(ctx, "CreateKey", "{}")
		if !k.heard(t, "CreateKey", a, err) {
			return
		}
		var made struct{ KeyMetadata struct{ KeyId string } }
		if err := json.Unmarshal(a.body, &made); err != nil {
			t.Error(err)
		}
		plain := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "secret %d", k.n))
		a, err = c.kms(ctx, "Encrypt", `{"KeyId":"`+made.KeyMetadata.KeyId+`","Plaintext":"`+plain+`"}`)
		if !k.heard(t, "Encrypt", a, err) {
			return
		}
		var sealed struct{ CiphertextBlob string }
		if err := json.Unmarshal(a.body, &sealed); err != nil {
			t.Error(err)
		}
		if k.sealed == nil {
			k.sealed = map[string]string{}
		}
		k.sealed[sealed.CiphertextBlob] = plain
	}
}

func (k *keeper) check(t *testing.T, c *client) {
	t.Helper()
	for blob, plain := range k.sealed {
		a := ok(t)(c.kms(t.Context(), "Decrypt", `{"CiphertextBlob":"`+blob+`"}`))
		if !strings.Contains(string(a.body), `"`+plain+`"`) {
			t.Errorf("a key that was acknowledged decrypts to %s", a.body)
		}
	}
	k.keys = []string{}
	for marker, more := "", true; more; {
		var page struct {
			Keys       []struct{ KeyId string }
			NextMarker string
			Truncated  bool
		}
		unmarshal(t, ok(t)(c.kms(t.Context(), "ListKeys", `{"Limit":1000`+marker+`}`)).body, &page)
		for _, key := range page.Keys {
			k.keys = append(k.keys, key.KeyId)
		}
		marker, more = `,"Marker":"`+page.NextMarker+`"`, page.Truncated
	}
}

// An asker only reads, and is refused as often as not.
type asker struct{ *world }

func (r *asker) work(ctx context.Context, t *testing.T, c *client) {
	for {
		a, err := c.identity(ctx)
		if !r.heard(t, "GetCallerIdentity", a, err) {
			return
		}
		a, err = c.iam(ctx, "GetUser", "UserName", "nobody-of-this-name")
		if !r.heard(t, "GetUser", a, err, http.StatusNotFound) {
			return
		}
	}
}

func (r *asker) check(*testing.T, *client) {}
