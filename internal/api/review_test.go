package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/sigv4"
	"bawn.dev/internal/store"
)

// A watched answer remembers until when its connection is read from.
type watched struct {
	*httptest.ResponseRecorder
	end time.Time
}

// SetReadDeadline implements what http.ResponseController asks for.
func (w *watched) SetReadDeadline(t time.Time) error {
	w.end = t
	return nil
}

// An arriving body does something before its first byte.
type arriving struct {
	io.Reader
	before func() error
}

func (b *arriving) Read(p []byte) (int, error) {
	if err := b.before(); err != nil {
		return 0, err
	}
	return b.Reader.Read(p)
}

func (b *arriving) Close() error { return nil }

// reading is a source of credentials that looks into the database, as IAM does.
type reading struct{ of api.Credentials }

func (s *reading) Credential(ctx context.Context, sn *store.Snapshot, id, token string, now time.Time) (string, api.Claim, error) {
	var n int
	if err := sn.QueryRow(`SELECT count(*) FROM things WHERE name = 'revoked'`).Scan(&n); err != nil {
		return "", api.Claim{}, err
	}
	if n > 0 {
		return "", api.Claim{}, api.ErrGone
	}
	return s.of.Credential(ctx, sn, id, token, now)
}

// signed is a call of ListKeys whose body arrives when before has run.
func signed(t *testing.T, c *apitest.Caller, now time.Time, before func() error) *http.Request {
	t.Helper()
	const text = `{}`
	req := httptest.NewRequest(http.MethodPost, "/", &arriving{strings.NewReader(text), before})
	req.ContentLength = int64(len(text))
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "TrentService.ListKeys")
	sum := sha256.Sum256([]byte(text))
	if err := sigv4.Sign(req, sigv4.Credential{AccessKeyID: c.AccessKeyID, Secret: c.Secret}, "kms", apitest.Region, now, hex.EncodeToString(sum[:])); err != nil {
		t.Fatal(err)
	}
	return req
}

// Anybody can send the first half of a request and then nothing. Nothing of the
// database may be held for him meanwhile, and the wait must have an end.
func TestNothingIsHeldForASlowSender(t *testing.T) {
	s, source := &things{}, &reading{}
	r := apitest.New(t, apitest.Options{Migrations: migrations, Credentials: map[string]api.Credentials{"AKIA": source}}, s.api())
	source.of = r
	ann := r.User(t, apitest.Account, "ann", apitest.Admin)
	w := &watched{ResponseRecorder: httptest.NewRecorder()}
	req := signed(t, ann, r.Now(), func() error {
		if w.end.IsZero() || time.Until(w.end) > 2*time.Minute {
			t.Errorf("the sender may take until %v", w.end)
		}
		return r.Store.Update(context.Background(), func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO things (name) VALUES ('revoked') ON CONFLICT DO NOTHING`)
			return err
		})
	})
	r.Door.Handler(api.Origin{}).ServeHTTP(w, req)
	// A snapshot that was taken before the body had come would not see the revocation.
	if w.Code != http.StatusForbidden && w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "UnrecognizedClient") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}

// A body that stops is told so, and is no failure of the server's.
func TestBodyThatDoesNotArrive(t *testing.T) {
	_, r := rig(t)
	ann := r.User(t, apitest.Account, "ann", apitest.Admin)
	w := &watched{ResponseRecorder: httptest.NewRecorder()}
	r.Door.Handler(api.Origin{}).ServeHTTP(w, signed(t, ann, r.Now(), func() error { return os.ErrDeadlineExceeded }))
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "RequestTimeout") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	if got := r.Records(t, apitest.Account, "ListKeys"); len(got) != 1 || got[0].ErrorCode != "RequestTimeout" {
		t.Errorf("recorded %+v", got)
	}
}
