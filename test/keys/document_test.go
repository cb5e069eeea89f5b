package keys

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var block = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// docs/clients.md does what it says: its commands, one after the other, as they stand
// there, with the profile that `bawn init` wrote.
func TestDocument(t *testing.T) {
	if err := sops(); err != nil {
		t.Fatal(err)
	}
	b := start(t)
	c := b.admin()
	dir := node(t, c)
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	profile := filepath.Join(b.data, "aws", "config")
	const usual = "https://127.0.0.1:4680"
	was := string(must[[]byte](t)(os.ReadFile(profile)))
	if !strings.Contains(was, usual) {
		t.Fatalf("the profile has another endpoint:\n%s", was)
	}
	write(profile, strings.ReplaceAll(was, usual, b.url))

	here := must[string](t)(os.Getwd())
	exchange := strings.NewReplacer(
		"/var/lib/bawn", b.data,
		"npm install @aws-crypto/client-node\n", "", // it is there, at the versions of the test
		"go run message.go", "(cd '"+here+"' && go run '"+dir+"/message.go')", // where its modules are known
	)
	script, blocks := "set -euo pipefail\n", 0
	for _, m := range block.FindAllStringSubmatch(string(must[[]byte](t)(os.ReadFile(filepath.Join("..", "..", "docs", "clients.md")))), -1) {
		blocks++
		if m[1] == "sh" {
			script += exchange.Replace(m[2])
			continue
		}
		name := strings.Fields(m[2])[1]
		if !strings.HasPrefix(name, "message.") {
			t.Fatalf("what file is this?\n%s", m[2])
		}
		write(filepath.Join(dir, name), m[2])
	}
	if blocks < 10 {
		t.Errorf("the page has %d blocks", blocks)
	}
	var env []string
	for _, pair := range append(os.Environ(), "PATH="+c.get("PATH"), "HOME="+t.TempDir(), "GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE")) {
		if !strings.HasPrefix(pair, "AWS_") {
			env = append(env, pair)
		}
	}
	out := (&caller{b, env}).run(script, dir, "bash")
	for _, want := range []string{"blood pressure 120/80", "password: seven lamps", "Verified OK", "GenerateDataKey\tadmin", "CreateKey\tadmin"} {
		if !strings.Contains(out, want) {
			t.Errorf("what it shows has no %q:\n%s", want, out)
		}
	}
	if n := strings.Count(out, "blood pressure 120/80"); n != 3 {
		t.Errorf("the message was opened %d times:\n%s", n, out)
	}
}

// goEnv is a setting of the go command, which another HOME would change.
func goEnv(t *testing.T, name string) string {
	t.Helper()
	c := caller{&bawn{t: t}, os.Environ()}
	return strings.TrimSpace(c.run("", "", "go", "env", name))
}
