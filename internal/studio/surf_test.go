package studio_test

import (
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"bawn.dev/internal/server"
	"bawn.dev/internal/server/servertest"
)

const goodPassword = "seven lamps over Dublin"

// A surfer is a browser without script: it keeps cookies, follows redirects and sends
// the forms that it is shown.
type surfer struct {
	t      *testing.T
	site   string
	client *http.Client
	at     *url.URL // where it is
	page   string
	answer *http.Response
}

func surf(t *testing.T, b *servertest.Bawn) *surfer {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := b.Client(t)
	client.Jar, client.CheckRedirect = jar, nil
	return &surfer{t: t, site: strings.Replace(b.URL, "127.0.0.1", "localhost", 1), client: client}
}

// do sends a request as the browser would, with what edit changes of it.
func (s *surfer) do(method, path string, form url.Values, edit func(*http.Request)) *surfer {
	s.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, s.site+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if edit != nil {
		edit(r)
	}
	s.answer, err = s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer s.answer.Body.Close()
	raw, err := io.ReadAll(s.answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	s.page, s.at = string(raw), s.answer.Request.URL
	return s
}

func (s *surfer) get(path string) *surfer { s.t.Helper(); return s.do("GET", path, nil, nil) }

var (
	formTag  = regexp.MustCompile(`(?s)<form[^>]* action="([^"]*)"[^>]*>(.*?)</form>`)
	inputTag = regexp.MustCompile(`<input[^>]*>`)
	attrs    = regexp.MustCompile(`([a-z_-]+)="([^"]*)"`)
)

// fields are the hidden fields, and those with a value, of the page's first form that
// goes to action and has a field or button of this name.
func (s *surfer) fields(action, having string) url.Values {
	s.t.Helper()
	for _, m := range formTag.FindAllStringSubmatch(s.page, -1) {
		if m[1] != action || having != "" && !strings.Contains(m[2], `name="`+having+`"`) {
			continue
		}
		v := url.Values{}
		for _, tag := range inputTag.FindAllString(m[2], -1) {
			a := map[string]string{}
			for _, x := range attrs.FindAllStringSubmatch(tag, -1) {
				a[x[1]] = html.UnescapeString(x[2])
			}
			v.Add(a["name"], a["value"])
		}
		return v
	}
	s.t.Fatalf("no form to %s with %q on %s:\n%s", action, having, s.at, s.page)
	return nil
}

// send fills a form and sends it. The names of values say which form it is.
func (s *surfer) send(action string, pairs ...string) *surfer {
	s.t.Helper()
	having := ""
	if len(pairs) > 0 {
		having = pairs[0]
	}
	v := s.fields(action, having)
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return s.do("POST", action, v, nil)
}

// sees ends the test unless the page says something.
func (s *surfer) sees(texts ...string) *surfer {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.page, html.EscapeString(text)) {
			s.t.Fatalf("%s (%s) does not say %q:\n%s", s.at, s.answer.Status, text, s.page)
		}
	}
	return s
}

// find is what the page has between two texts.
func (s *surfer) find(pattern string) string {
	s.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(s.page)
	if m == nil {
		s.t.Fatalf("%s has no %s:\n%s", s.at, pattern, s.page)
	}
	return html.UnescapeString(m[1])
}

// cookie is the value of a cookie that the browser keeps.
func (s *surfer) cookie(name string) string {
	u, err := url.Parse(s.site)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range s.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// person makes a person and answers her one-time password.
func person(t *testing.T, b *servertest.Bawn, name, display string) string {
	t.Helper()
	given, err := json.Marshal(display)
	if err != nil {
		t.Fatal(err)
	}
	b.Python(t, `
store = client("sso-admin").list_instances()["Instances"][0]["IdentityStoreId"]
client("identitystore").create_user(IdentityStoreId=store, UserName=sys.argv[1], DisplayName=json.loads(sys.argv[2]),
    Name={"GivenName": "Ada", "FamilyName": "Lovelace"}, Emails=[{"Value": sys.argv[1] + "@example.org", "Primary": True}])
`, name, string(given))
	return oneTime(t, b, name)
}

func oneTime(t *testing.T, b *servertest.Bawn, name string) string {
	t.Helper()
	out, err := b.People(t.Context(), server.PeopleRequest{Operator: "test", Do: "set-password", User: name})
	if err != nil {
		t.Fatal(err)
	}
	return out.Password
}

// join is a whole first sign-in. It answers the seed of her application.
func (s *surfer) join(name, once string) string {
	s.t.Helper()
	s.get("/start").send("/start/signin", "username", name)
	s.send("/start/signin/proof", "password", once).sees("Choose a new password")
	s.send("/start/signin/proof", "newpassword", goodPassword, "repeated", goodPassword).sees("Register a device")
	secret := strings.ReplaceAll(s.find(`id="totpkey">([^<]*)<`), " ", "")
	s.send("/start/signin/proof", "code", code(s.t, secret), "device", "phone").sees("Keep your recovery codes")
	return secret
}

func code(t *testing.T, secret string) string {
	t.Helper()
	c, err := totp.GenerateCode(secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}
