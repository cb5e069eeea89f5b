package sts_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"bawn.dev/internal/api"
)

// A network is the hosts that can be asked for keys.
type network map[string]http.Handler

// Get implements oidc.Fetcher.
func (n network) Get(_ context.Context, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || n[u.Host] == nil {
		return nil, fmt.Errorf("no route to %s", address)
	}
	w := httptest.NewRecorder()
	n[u.Host].ServeHTTP(w, httptest.NewRequest(http.MethodGet, u.Path, nil))
	if w.Code != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", address, w.Code)
	}
	return w.Body.Bytes(), nil
}

// An answer is what a call without a signature heard: the text of each element
// that holds no other, by name.
type answer map[string]string

// post makes a call that nobody signed.
func (h *house) post(t testing.TB, action string, members map[string]string) answer {
	t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2011-06-15"}}
	for name, value := range members {
		form.Set(name, value)
	}
	resp, err := http.PostForm(h.URL+"/", form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	all := answer{}
	d := xml.NewDecoder(resp.Body)
	for name := ""; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			name = x.Name.Local
		case xml.CharData:
			if text := strings.TrimSpace(string(x)); text != "" {
				all[name] += text
			}
		}
	}
}

// claim opens what an answer brought, as the door does.
func (h *house) opened(t testing.TB, a answer) api.Claim {
	t.Helper()
	if a["Code"] != "" {
		t.Fatalf("%s: %s", a["Code"], a["Message"])
	}
	claim, err := h.open(t, h.sts, a["AccessKeyId"], a["SessionToken"])
	if err != nil {
		t.Fatal(err)
	}
	return claim
}

// refusedWith fails the test unless an answer is a refusal of this code.
func refusedWith(t testing.TB, what string, a answer, code string) {
	t.Helper()
	if a["Code"] != code || a["SessionToken"] != "" {
		t.Errorf("%s: %q %s, not %s", what, a["Code"], a["Message"], code)
	}
}
