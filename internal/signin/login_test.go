package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/login"
)

// The command line's half against this one, with an SDK at its end.
func TestLogin(t *testing.T) {
	g := newGate(t)
	g.hasty = true // the program's clock is the machine's
	t.Setenv("HOME", g.Dir)
	t.Setenv("AWS_CONFIG_FILE", "")
	_, ada := g.signIn(g.ada)
	s, err := login.Dial(g.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := s.ByDevice(t.Context(), func(address, code string) {
		if address != g.URL+"/device" {
			t.Errorf("she is sent to %s", address)
		}
		g.page("ApproveDevice", values{"Session": ada, "UserCode": code}).must(t)
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.Assignments(t.Context(), tokens)
	if err != nil || len(all) != 3 || all[0] != (login.Assignment{AccountID: apitest.Account, AccountName: "account " + apitest.Account, Role: "Scientist"}) {
		t.Fatalf("%v %v", all, err)
	}
	p := &login.Profile{Name: "work", URL: s.URL, Region: apitest.Region, Account: apitest.Account, Role: "Scientist", Tokens: *tokens}
	if err := login.Locked(p.Name, p.Save); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WriteProfile(strconv.Quote(self) + " -test.run=TestCredentialProcess -- credentials"); err != nil {
		t.Fatal(err)
	}
	g.Python(t, g.admin, `
for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
    os.environ.pop(name)
os.environ["BAWN_TEST_CREDENTIALS"] = "work"
me = boto3.Session(profile_name="work").client("sts").get_caller_identity()
assert me["Arn"] == "arn:aws:sts::`+apitest.Account+`:assumed-role/AWSReservedSSO_Scientist_0123456789abcdef/ada", me
`)
	for name, want := range map[string]os.FileMode{".aws/bawn": 0o700, ".aws/bawn/work.json": 0o600, ".aws/config": 0o600} {
		info, err := os.Stat(filepath.Join(g.Dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}

	// At the end of an access token many processes want the next at once.
	p.Expires = time.Now()
	if err := login.Locked(p.Name, p.Save); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := login.Current(context.Background(), "work"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	after, err := login.Load("work")
	if err != nil || after.RefreshToken == p.RefreshToken {
		t.Fatalf("%+v %v", after, err)
	}
	if err := s.Logout(t.Context(), &after.Tokens); err != nil {
		t.Error(err)
	}
	if _, err := login.Current(t.Context(), "work"); !errors.Is(err, login.ErrOver) {
		t.Errorf("after she signed out: %v", err)
	}
	if err := s.Logout(t.Context(), &after.Tokens); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if _, err := login.Current(t.Context(), "nobody"); !errors.Is(err, login.ErrNoProfile) {
		t.Errorf("a profile that is not there: %v", err)
	}
}

// TestCredentialProcess is what the profile of TestLogin runs.
func TestCredentialProcess(t *testing.T) {
	name := os.Getenv("BAWN_TEST_CREDENTIALS")
	if name == "" {
		t.Skip("it is not asked for")
	}
	made, err := login.Current(t.Context(), name)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(made)
	os.Exit(0)
}

func TestLoginByBrowser(t *testing.T) {
	g := newGate(t)
	_, ada := g.signIn(g.ada)
	s, err := login.Dial(g.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	get := func(address, host string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	browser := func(decide func(in values, back *url.URL) string) func(string) error {
		return func(address string) error {
			u, err := url.Parse(address)
			if err != nil || !strings.HasPrefix(address, g.URL+"/authorize?") {
				t.Errorf("the browser opens %s: %v", address, err)
			}
			q := u.Query()
			back, err := url.Parse(q.Get("redirect_uri"))
			if err != nil {
				return err
			}
			in := values{"Session": ada, "ClientId": q.Get("client_id"), "RedirectUri": q.Get("redirect_uri"), "ResponseType": q.Get("response_type"),
				"CodeChallenge": q.Get("code_challenge"), "CodeChallengeMethod": q.Get("code_challenge_method"), "State": q.Get("state"), "Scopes": strings.Fields(q.Get("scopes"))}
			to := decide(in, back)
			if got := get(to, back.Host); got != http.StatusOK {
				t.Errorf("the browser ends with %d", got)
			}
			return nil
		}
	}
	tokens, err := s.ByBrowser(t.Context(), browser(func(in values, back *url.URL) string {
		to := g.page("Authorize", in).must(t).text("RedirectTo")
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		// Somebody else on this computer, and a page that rebinds a name, try first.
		for why, try := range map[string]string{"no state": "?code=x", "another state": "?code=x&state=y", "another page": "/x?" + u.RawQuery} {
			if got := get(back.String()+try, back.Host); got != http.StatusBadRequest {
				t.Errorf("%s: %d", why, got)
			}
		}
		if got := get(to, "evil.example"); got != http.StatusBadRequest {
			t.Errorf("by another name: %d", got)
		}
		return to
	}))
	if err != nil {
		t.Fatal(err)
	}
	g.alive("by the browser", tokens.AccessToken, true)
	if _, err := s.ByBrowser(t.Context(), browser(func(in values, _ *url.URL) string {
		return g.page("DescribeAuthorization", in).must(t).text("DenyTo")
	})); err == nil {
		t.Error("who said no is signed in")
	}
}

func TestLoginTrustsOnlyWhatItWasGiven(t *testing.T) {
	for _, address := range []string{"http://bawn.example", "https://u:p@bawn.example", "https://bawn.example/start", "ftp://127.0.0.1", "bawn.example", "", "http://127.0.0.1.evil.example", "https://bawn.example?x"} {
		if _, err := login.Dial(address, ""); err == nil {
			t.Errorf("%q is an address", address)
		}
	}
	for _, address := range []string{"https://bawn.example:4680", "https://bawn.example/", "http://127.0.0.1:4680", "http://localhost:1", "http://[::1]:1"} {
		if _, err := login.Dial(address, ""); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// Whatever stands in the configuration stays.
func TestProfileSections(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	path := filepath.Join(dir, "config")
	t.Setenv("AWS_CONFIG_FILE", path)
	p := &login.Profile{Name: "work", URL: "https://bawn.example:4680", Region: "eu-west-1", CA: "/etc/bawn/ca.pem"}
	write := func(content, name, command string) (string, error) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		one := *p
		one.Name = name
		err := one.WriteProfile(command)
		raw, readErr := os.ReadFile(path)
		if readErr != nil {
			t.Fatal(readErr)
		}
		return string(raw), err
	}
	const mine = "[profile work]\ncredential_process = \"/bin/bawn\" credentials --profile work\nendpoint_url = https://bawn.example:4680\nregion = eu-west-1\nca_bundle = /etc/bawn/ca.pem\n"
	const other = "[profile other]\nregion = us-east-1 # mine\n"
	for before, want := range map[string]string{
		"":                                 mine,
		other:                              other + "\n" + mine,
		mine:                               mine,
		other + "\n" + mine + "\n" + other: other + "\n" + mine + "\n" + other,
		"[profile  work]\nold = x\ncredential_process = \"/old\" credentials --profile work\n" + other: mine + "\n" + other,
	} {
		if got, err := write(before, "work", `"/bin/bawn" credentials`); err != nil || got != want {
			t.Errorf("%q becomes\n%s(%v), want\n%s", before, got, err, want)
		}
	}
	for why, c := range map[string]struct{ before, name, command string }{
		"somebody else's":     {"[profile work]\nregion = x\n", "work", `"/bin/bawn" credentials`},
		"of another profile":  {"[profile work]\ncredential_process = bawn credentials --profile work2\n", "work", `"/bin/bawn" credentials`},
		"twice":               {mine + mine, "work", `"/bin/bawn" credentials`},
		"a line of its own":   {"", "work", "\"/bin/bawn\nregion = x\" credentials"},
		"a command in a path": {"", "work", "\"/bin/$(id)\" credentials"},
	} {
		if got, err := write(c.before, c.name, c.command); err == nil || got != c.before {
			t.Errorf("%s: %q, %v", why, got, err)
		}
	}
	for _, name := range []string{"../x", "a/b", "", ".x", "a b", "a]\n[b"} {
		if err := login.Locked(name, func() error { return nil }); err == nil {
			t.Errorf("%q is the name of a profile", name)
		}
	}
}
