package witness_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/witness"
)

func cosignerOf(t *testing.T, name string) ledger.Cosigner {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	c, err := ledger.NewCosigner(name, key)
	must(t, err)
	return c
}

// Whatever a witness answers, nothing but its signature over the head that it was shown
// counts as one, and nothing but its word that it remembers otherwise as that.
func TestAskWhoeverAnswers(t *testing.T) {
	signer, cosigner := signerOf(t, "bawn.test/log"), cosignerOf(t, "witness.test/1")
	l := newLog(20, -1)
	next, e := l.shown(t, signer, 5, 12)
	sign := func(c ledger.Cosigner, signed []byte) string {
		line, err := c.Cosign(signed, noon)
		must(t, err)
		return string(line)
	}
	good, elsewhere := sign(cosigner, e.Signed), ""
	away := func(err error) bool {
		var c *witness.Conflict
		return err != nil && !errors.Is(err, witness.ErrHistory) && !errors.As(err, &c)
	}
	remembers := func(size int64) func(error) bool {
		return func(err error) bool {
			var c *witness.Conflict
			return errors.As(err, &c) && c.Size == size
		}
	}
	for _, c := range []struct {
		name, body string
		status     int
		want       func(error) bool // nil: it signs
	}{
		{name: "a signature", body: good},
		{name: "among others'", body: sign(cosignerOf(t, "witness.test/2"), e.Signed) + "— x AAAA\n" + good},
		{name: "nothing", want: away},
		{name: "garbage", body: "\x00\xff\x1b[2J\n\n— \n", want: away},
		{name: "ten megabytes", body: strings.Repeat("x", 10<<20), want: away},
		{name: "a signature after ten megabytes", body: strings.Repeat("x\n", 5<<20) + good, want: away},
		{name: "another key's signature in its name", body: sign(cosignerOf(t, "witness.test/1"), e.Signed), want: away},
		{name: "an older head's signature", body: sign(cosigner, l.ask(t, signer, 0, 5).Signed), want: away},
		{name: "a signature without its end", body: strings.TrimSuffix(good, "\n"), want: away},
		{name: "a redirect", status: http.StatusTemporaryRedirect, want: away},
		{name: "an error with a signature", status: http.StatusInternalServerError, body: good, want: away},
		{name: "not its log", status: http.StatusNotFound, want: away},
		{name: "it remembers more", status: http.StatusConflict, body: "100\n", want: remembers(100)},
		{name: "it remembers less", status: http.StatusConflict, body: "3\n", want: remembers(3)},
		{name: "it remembers what it was asked to extend", status: http.StatusConflict, body: "5\n", want: away},
		{name: "a conflict without a size", status: http.StatusConflict, body: "<html>", want: away},
		{name: "a negative size", status: http.StatusConflict, body: "-1\n", want: away},
		{name: "a size beyond all", status: http.StatusConflict, body: "99999999999999999999\n", want: away},
		{name: "a size with more", status: http.StatusConflict, body: "100\n100\n", want: away},
		{name: "another history", status: http.StatusUnprocessableEntity, want: func(err error) bool { return errors.Is(err, witness.ErrHistory) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("/prefix/add-checkpoint", func(w http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); err != nil || string(body) != string(e.Text()) {
					t.Errorf("%q, %v", body, err)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(max(c.status, http.StatusOK))
				io.WriteString(w, c.body) //nolint:errcheck // the client may have heard enough
			})
			mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, _ *http.Request) {
				elsewhere = c.name
				io.WriteString(w, good) //nolint:errcheck // likewise
			})
			server := httptest.NewServer(mux)
			defer server.Close()
			w, err := witness.ParseRemote(server.URL + "/prefix/#" + cosigner.Public())
			must(t, err)
			line, err := w.Ask(t.Context(), next, e)
			switch {
			case c.want == nil && (err != nil || string(line) != good):
				t.Errorf("%q, %v", line, err)
			case c.want != nil && (!c.want(err) || line != nil):
				t.Errorf("%q, %v", line, err)
			}
		})
	}
	if elsewhere != "" {
		t.Errorf("%s: it was followed", elsewhere)
	}
}

// A witness that never ends its answer is left when the context ends.
func TestAskASlowWitness(t *testing.T) {
	signer, cosigner := signerOf(t, "bawn.test/log"), cosignerOf(t, "witness.test/1")
	begun := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "—") //nolint:errcheck // it was heard
		w.(http.Flusher).Flush()
		close(begun)
		<-r.Context().Done()
	}))
	defer server.Close()
	w, err := witness.ParseRemote(server.URL + "#" + cosigner.Public())
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	next, e := newLog(5, -1).shown(t, signer, 0, 5)
	if line, err := w.Ask(ctx, next, e); !errors.Is(err, context.Canceled) {
		t.Errorf("%q, %v", line, err)
	}
}

func TestParseRemote(t *testing.T) {
	key := cosignerOf(t, "witness.test/1").Public()
	for text, want := range map[string]bool{
		"https://witness.test/a/#" + key:         true,
		"http://127.0.0.1:4681#" + key:           true,
		"http://[::1]:4681#" + key:               true,
		"http://witness.test#" + key:             false,
		"http://localhost#" + key:                false, // a name that somebody else may answer to
		"http://127.0.0.1.witness.test#" + key:   false,
		"https://ada:secret@witness.test#" + key: false,
		"https://witness.test?x=y#" + key:        false,
		"file:///witness#" + key:                 false,
		"https://#" + key:                        false,
		"https://witness.test":                   false,
		"https://witness.test#" + key + "x":      false,
	} {
		if _, err := witness.ParseRemote(text); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Two houses that were set up alike have logs of one name: their witness tells them apart
// by their keys.
func TestLogsOfOneName(t *testing.T) {
	one, two := signerOf(t, "bawn.test/log"), signerOf(t, "bawn.test/log")
	first, err := one.Verifier()
	must(t, err)
	second, err := two.Verifier()
	must(t, err)
	server := httptest.NewServer(witness.New(t.TempDir(), cosignerOf(t, "witness.test/1"), []ledger.Verifier{first, second}, func() time.Time { return noon }))
	defer server.Close()
	for _, s := range []ledger.Signer{one, two} {
		for _, sizes := range [][2]int64{{0, 5}, {5, 12}} {
			resp, err := http.Post(server.URL+"/add-checkpoint", "text/plain", strings.NewReader(string(newLog(20, -1).ask(t, s, sizes[0], sizes[1]).Text())))
			must(t, err)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Error(resp.Status)
			}
		}
	}
}
