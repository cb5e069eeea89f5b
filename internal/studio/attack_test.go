package studio_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/studio"
	"bawn.dev/internal/trail"
)

// Where a sign-in leads to is a place here, whatever a link says.
func TestASignInLeadsNowhereElse(t *testing.T) {
	for _, bad := range []string{
		"https://evil.example", "//evil.example", `\\evil.example`, `/\evil.example`, "/start/../../evil", "javascript:alert(1)", "/start@evil.example",
		"//evil.example/start", "https:/start", "/%2fevil.example", "/start%2f..%2f", "http:///start", "/start/signout", "/bucket/evil.html", "\t//evil.example",
		"/device\r\nSet-Cookie: x=y", "/%73tart/x", "data:text/html,x", "/start/" + strings.Repeat("x", 9000), "//localhost/start", "/healthz", "/start;evil",
	} {
		if got := studio.Next(bad); got != "/start" {
			t.Errorf("%q leads to %q", bad, got)
		}
	}
	for _, good := range []string{"/start", "/start/security", "/device?user_code=BCDF-GHJK", "/authorize?client_id=x&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2F"} {
		if got := studio.Next(good); got != good {
			t.Errorf("%q leads to %q", good, got)
		}
	}
	if got := studio.Next("/device?user_code=a#//evil.example"); got != "/device?user_code=a" {
		t.Errorf("leads to %q", got)
	}

	b := servertest.Start(t)
	s := surf(t, b)
	s.join("ada", person(t, b, "ada", "Ada"))
	s.get("/start").send("/start/signout")
	s.get("/start/signin?next=" + url.QueryEscape("//evil.example/"))
	if got := s.fields("/start/signin", "username").Get("next"); got != "/start" {
		t.Errorf("the form leads to %q", got)
	}
	s.send("/start/signin", "username", "ada", "next", "https://evil.example/")
	if got := s.fields("/start/signin/proof", "password").Get("next"); got != "/start" {
		t.Errorf("the next form leads to %q", got)
	}
}

// Forms of other sites, of other origins of this site, and of a sandboxed object in a
// bucket do nothing, and are recorded.
func TestFormsFromElsewhereDoNothing(t *testing.T) {
	b := servertest.Start(t)
	s := surf(t, b)
	s.join("ada", person(t, b, "ada", "Ada"))
	for why, edit := range map[string]func(*http.Request){
		"another site":            func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"another name below ours": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"an old browser": func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://evil.example")
		},
		"a sandbox": func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "null")
		},
	} {
		for _, path := range []string{"/start/sessions/end-all", "/start/signout", "/start/signin", "/start/credentials", "/device", "/authorize", "/start/security/codes"} {
			if s.do("POST", path, url.Values{"user_code": {"BCDFGHJK"}, "decision": {"approve"}}, edit); s.answer.StatusCode != http.StatusForbidden {
				t.Errorf("%s posts to %s: %s", why, path, s.answer.Status)
			}
		}
	}
	if s.get("/start"); s.at.Path != "/start" {
		t.Errorf("signed out by a form from elsewhere: at %s", s.at)
	}
	page, err := b.Trail().Find(t.Context(), trail.Query{Account: b.Config.AccountID, EventName: "CrossOriginRequest", Limit: 50})
	if err != nil || len(page.Entries) != 28 {
		t.Errorf("%d records, %v", len(page.Entries), err)
	}
}

// A session that somebody planted is not the one that a person gets, and is never hers.
func TestASessionCannotBePlanted(t *testing.T) {
	b := servertest.Start(t)
	once := person(t, b, "ada", "Ada")
	s := surf(t, b)
	u, err := url.Parse(s.site)
	if err != nil {
		t.Fatal(err)
	}
	planted := strings.Repeat("PLANTED2", 6) + "ABCD"
	s.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-bawn", Value: planted, Path: "/", Secure: true}})
	s.join("ada", once)
	recovery := strings.Fields(s.find(`(?s)<pre id="codes">(.*?)</pre>`))
	mine := s.cookie("__Host-bawn")
	if mine == planted || mine == "" {
		t.Fatal("the planted session is hers")
	}
	thief := surf(t, b)
	thief.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-bawn", Value: planted, Path: "/", Secure: true}})
	if thief.get("/start"); thief.at.Path != "/start/signin" {
		t.Errorf("the planted session is at %s", thief.at)
	}

	// Signing in once more ends the session that was there before.
	s.get("/start/signin").send("/start/signin", "username", "ada")
	s.send("/start/signin/proof", "password", goodPassword)
	if s.cookie("__Host-bawn") != mine {
		t.Error("half a sign-in changed the session")
	}
	s.send("/start/signin/proof", "recovery", recovery[0])
	if now := s.cookie("__Host-bawn"); now == mine || now == "" {
		t.Error("the session is the one of before")
	}
	thief.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-bawn", Value: mine, Path: "/", Secure: true}})
	if thief.get("/start"); thief.at.Path != "/start/signin" {
		t.Errorf("the session of before is at %s", thief.at)
	}
}

// What was begun in one browser cannot be gone on with in another: neither by who
// steals it nor by who slips it to somebody.
func TestASignInBelongsToItsBrowser(t *testing.T) {
	b := servertest.Start(t)
	once := person(t, b, "mallory", "Mallory")
	mallory, ada := surf(t, b), surf(t, b)
	mallory.get("/start/signin").send("/start/signin", "username", "mallory")
	form := mallory.fields("/start/signin/proof", "password")
	form.Set("password", once)
	ada.get("/start/signin").send("/start/signin", "username", "ada")
	if ada.do("POST", "/start/signin/proof", form, nil); ada.answer.StatusCode != http.StatusForbidden {
		t.Errorf("a flow of another browser: %s", ada.answer.Status)
	}
	if ada.sees("This sign-in is over", "Begin again"); ada.cookie("__Host-bawn") != "" {
		t.Error("she is signed in as somebody else")
	}
	// A form is good once.
	mallory.do("POST", "/start/signin/proof", form, nil).sees("Choose a new password")
	if mallory.do("POST", "/start/signin/proof", form, nil); mallory.answer.StatusCode != http.StatusForbidden {
		t.Errorf("the form once more: %s", mallory.answer.Status)
	}
}

// Every page tells the browser what it may not do; cookies go to this host alone.
func TestPagesAreGuarded(t *testing.T) {
	b := servertest.Start(t)
	s := surf(t, b)
	s.join("ada", person(t, b, "ada", "Ada"))
	host := strings.TrimPrefix(s.site, "https://")
	for _, path := range []string{
		"/start", "/start/", "/start/signin", "/start/security", "/start/sessions", "/start/password", "/device", "/device?user_code=BCDF-GHJK", "/authorize",
		"/start/nothing", "/_assets/style.css", "/_assets/nothing.js",
	} {
		h := s.get(path).answer.Header
		csp := h.Get("Content-Security-Policy")
		for _, rule := range []string{"default-src 'none'", "script-src " + host + "/_assets/;", "form-action 'self';", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, rule) {
				t.Errorf("%s: %q lacks %q", path, csp, rule)
			}
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if !strings.HasPrefix(path, "/_assets/style") && h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached", path)
		}
		if strings.Contains(s.page, "<style") || strings.Contains(s.page, "style=") || strings.Contains(s.page, "onclick") || strings.Contains(s.page, "ZgotmplZ") {
			t.Errorf("%s has style or script in it", path)
		}
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"} {
		if s.do(method, "/start", nil, nil); s.answer.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s /start: %s", method, s.answer.Status)
		}
	}
	if s.do("HEAD", "/start/security", nil, nil); s.answer.StatusCode != http.StatusOK || s.page != "" {
		t.Errorf("HEAD /start/security: %s %q", s.answer.Status, s.page)
	}
	for _, path := range []string{"/start/sessions/end-all", "/start/signout", "/start/credentials", "/start/security/remove"} {
		if s.get(path); s.answer.StatusCode != http.StatusMethodNotAllowed && s.answer.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s", path, s.answer.Status)
		}
	}
	if s.do("POST", "/start/password", url.Values{"password": {strings.Repeat("x", 200_000)}}, nil); s.answer.StatusCode != http.StatusBadRequest {
		t.Errorf("a form without end: %s", s.answer.Status)
	}

	fresh := surf(t, b)
	fresh.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	fresh.get("/start/signin").send("/start/signin", "username", "ada")
	for _, line := range fresh.answer.Header.Values("Set-Cookie") {
		for _, flag := range []string{"__Host-", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
			if !strings.Contains(line, flag) || strings.Contains(line, "Domain") {
				t.Errorf("cookie %q", line)
			}
		}
	}
}

// A page is served under this server's own names: a name that somebody points here
// (DNS rebinding) gets none, nor does one of a bucket. A signed request means a bucket.
func TestPagesHaveThisServersNames(t *testing.T) {
	b := servertest.Start(t)
	s := surf(t, b)
	for _, host := range []string{"evil.example", "bucket.localhost", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.2", ""} {
		for _, path := range []string{"/start", "/start/signin", "/device", "/authorize"} {
			s.do("GET", path, nil, func(r *http.Request) { r.Host = host + ":1" })
			if strings.Contains(s.page, "<form") || s.answer.Header.Get("Set-Cookie") != "" || s.answer.StatusCode < 400 {
				t.Errorf("%s under %q: %s", path, host, s.answer.Status)
			}
		}
	}
	for _, edit := range []func(*http.Request){
		func(r *http.Request) {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE00000000/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00")
		},
		func(r *http.Request) { r.URL.RawQuery = "X-Amz-Algorithm=AWS4-HMAC-SHA256" },
		func(r *http.Request) { r.URL.RawQuery = "x-amz-signature=00" },
	} {
		if s.do("GET", "/start", nil, edit); strings.Contains(s.page, "<html") {
			t.Errorf("a signed request got a page: %s", s.answer.Status)
		}
	}
	b.Python(t, `
s3 = client("s3")
s3.create_bucket(Bucket="start")
s3.put_object(Bucket="start", Key="signin", Body=b"an object")
assert s3.get_object(Bucket="start", Key="signin")["Body"].read() == b"an object"
`)
}

// Names that others chose are text.
func TestNamesAreText(t *testing.T) {
	b := servertest.Start(t)
	evil := `"><script>alert(1)</script><img src=x onerror=alert(1)>{{.}}`
	s := surf(t, b)
	once := person(t, b, "ada", evil)
	s.join("ada", once)
	s.get("/start/security").send("/start/security/rename", "device", evil[:60])
	agent := func(r *http.Request) { r.Header.Set("User-Agent", "Firefox/1"+evil) }
	s.do("GET", "/start", nil, agent)
	other := surf(t, b)
	other.do("GET", "/start/signin", nil, agent)
	pages := []string{s.get("/start").page, s.get("/start/security").page, s.get("/start/sessions").page, s.get("/device?user_code=" + url.QueryEscape(evil[:20])).page,
		s.get("/start?account=" + url.QueryEscape(evil)).page, s.get("/authorize?client_id=" + url.QueryEscape(evil)).page,
		s.do("POST", "/start/signin", url.Values{"username": {evil}}, nil).page}
	for _, page := range pages {
		if strings.Contains(page, "<script>") || strings.Contains(page, "<img src=x") {
			t.Errorf("a name is more than text:\n%s", page)
		}
	}
	if !strings.Contains(pages[0], "&lt;script&gt;alert(1)") {
		t.Error("her name is not there at all")
	}
}

// A name that is nobody's is asked as any, and refused as a wrong password is.
func TestPagesTellNothingOfNames(t *testing.T) {
	b := servertest.Start(t)
	person(t, b, "ada", "Ada")
	normal := func(name string) (string, string) {
		s := surf(t, b)
		s.get("/start/signin").send("/start/signin", "username", name)
		hide := func(page string) string {
			page = strings.ReplaceAll(page, name, "NAME")
			for _, field := range []string{"flow", "options"} {
				for _, m := range strings.Split(page, `name="`+field+`" value="`)[1:] {
					value := m[:strings.IndexByte(m, '"')]
					page = strings.ReplaceAll(page, value, field+strings.Repeat("x", len(value)%7))
				}
			}
			return page
		}
		first := hide(s.page)
		return first, hide(s.send("/start/signin/proof", "password", "wrong wrong wrong wrong").page)
	}
	first, second := normal("ada")
	if a, c := normal("bob"); a != first || c != second {
		t.Errorf("a name that is nobody's:\n%s\n%s\none that is somebody's:\n%s\n%s", a, c, first, second)
	}
}

// Who guesses is told to wait, and for how long; the form stays, for whoever did not.
func TestGuessesWait(t *testing.T) {
	b := servertest.Start(t)
	once := person(t, b, "ada", "Ada")
	s := surf(t, b)
	s.get("/start/signin").send("/start/signin", "username", "ada")
	for n := 0; !strings.Contains(s.page, "too many wrong tries"); n++ {
		if n == 30 {
			t.Fatal("nobody is told to wait")
		}
		s.send("/start/signin/proof", "password", "wrong wrong wrong wrong")
	}
	s.sees("Try again in", "Use a passkey")
	if s.send("/start/signin/proof", "password", once).sees("too many wrong tries"); s.cookie("__Host-bawn") != "" {
		t.Error("the right password does not wait")
	}
}
