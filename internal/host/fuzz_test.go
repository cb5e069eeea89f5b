package host_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/host"
	"bawn.dev/internal/worker"
)

// Whatever is asked, a machine that is able to do nothing does nothing, and every
// refusal is one that the client can read.
func FuzzRequests(f *testing.F) {
	id := strings.Repeat("a", 26)
	for _, r := range [][3]string{
		{"GET", "/capabilities", ""}, {"GET", "/vpcs", ""}, {"PUT", "/workloads/" + id, `{"spec":{},"key":"AA=="}`},
		{"PUT", "/workloads/" + id + "/file?path=a/b", "content"}, {"GET", "/workloads/" + id + "/archive?dir=model", ""},
		{"PUT", "/vpcs/vpc-a", `{"id":"vpc-a"}`}, {"GET", "/workloads/" + id + "/logs?from=0&max=1", ""}, {"GET", "//", ""},
		{"DELETE", "/workloads/" + id, ""}, {"POST", "/workloads/" + id + "/start", ""}, {"GET", "/vpcs/vpc-a/flows", ""},
	} {
		f.Add(r[0], r[1], r[2])
	}
	h := host.Handler(worker.Unable{Sandbox: []string{"it is a test"}}, nil)
	f.Fuzz(func(t *testing.T, method, target, body string) {
		req, err := http.NewRequest(method, "http://host"+target, strings.NewReader(body))
		if err != nil {
			return // no server would have read it
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		switch {
		case w.Code == http.StatusOK:
			if req.URL.Path != "/capabilities" && req.URL.Path != "/vpcs" || method != http.MethodGet && method != http.MethodHead && method != "" {
				t.Errorf("%s %s was done", method, target)
			}
		case w.Code >= 300 && w.Code < 400: // a path that was not clean
		default:
			var f struct{ Code, Message string }
			if err := json.Unmarshal(w.Body.Bytes(), &f, json.MatchCaseInsensitiveNames(true)); err != nil || f.Code == "" {
				t.Errorf("%s %s: %d %q", method, target, w.Code, w.Body)
			}
		}
	})
}
