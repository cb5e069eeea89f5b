// Package bawn_test holds the house in shape: the arrows that must never be.
package bawn_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Every package has its floor; a new one is put on a floor here, on purpose.
var floors = map[string][]string{
	"floor":    {"arn", "policy", "sigv4", "shape", "wire", "seal", "ledger", "netmodel", "spec", "catalogue", "cache", "netlimit", "uuid", "locked", "lake"},
	"ground":   {"store", "blob", "trail", "authz", "api", "fetch", "egress", "saml", "oidc", "ldap"},
	"service":  {"accessgrants", "iam", "sts", "organizations", "identity", "signin", "kms", "cloudtrail", "s3", "ec2", "sagemaker", "logs"},
	"machines": {"host", "fabric", "driver", "worker", "metadata", "volume", "image"},
	"top":      {"config", "rootkey", "federation", "scim", "studio", "login", "verify", "witness", "export", "server"},
	"test":     {"oidctest"},
}

const module = "bawn.dev/internal/"

type pkg struct {
	ImportPath string
	Imports    []string
	Dir        string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Dir", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// room is the first name below internal: "driver" for internal/driver/oci.
func room(path string) string {
	rest, ok := strings.CutPrefix(path, module)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func floorOf(room string) string {
	for floor, rooms := range floors {
		if slices.Contains(rooms, room) {
			return floor
		}
	}
	return ""
}

// forTests are packages that only tests import.
func forTests(path string) bool {
	for _, suffix := range []string{"apitest", "servertest", "storetest", "pgtest", "drivertest", "oidctest", "samltest", "ldaptest", "/fake", "/generate", "/trim", "/probe"} {
		if strings.HasSuffix(path, suffix) {
			return true
		}
	}
	return false
}

func TestArrows(t *testing.T) {
	for _, p := range packages(t) {
		here := room(p.ImportPath)
		if here == "" {
			continue
		}
		floor := floorOf(here)
		if floor == "" {
			t.Errorf("%s has no floor: put it on one in architecture_test.go", p.ImportPath)
			continue
		}
		if forTests(p.ImportPath) {
			continue
		}
		for _, imported := range p.Imports {
			if why := forbidden(floor, here, imported); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
			}
		}
	}
}

func forbidden(floor, here, imported string) string {
	there := room(imported)
	other := floorOf(there)
	if forTests(imported) && here != "shape" {
		return "it is for tests"
	}
	switch floor {
	case "floor":
		if there != "" && other != "floor" {
			return "a floor package imports only floor packages"
		}
		if there == "" && strings.Contains(imported, ".") && !strings.HasPrefix(imported, "golang.org/x/") && !strings.HasPrefix(imported, "github.com/go-json-experiment/json") {
			return "a floor package imports the standard library, x/ and JSON only"
		}
		if slices.Contains([]string{"database/sql", "os/exec", "os"}, imported) {
			return "a floor package does no I/O"
		}
	case "ground":
		if other == "service" || other == "machines" || other == "top" {
			return "the ground imports no service and no machine"
		}
	case "service":
		if other == "service" && there != here {
			return "a service never imports a service: Invoke it"
		}
		// net/http is for the names of its status codes: the test below sees to that.
		if slices.Contains([]string{module + "wire", module + "sigv4", module + "authz"}, imported) {
			return "a service gets a Call, not the wire"
		}
		if other == "top" {
			return "nothing below imports the top"
		}
		if there == "driver" && imported != module+"driver" || there == "worker" {
			return "a service orders; it does not run"
		}
	case "machines":
		if other == "service" || other == "top" || slices.Contains([]string{"store", "api", "authz", "trail"}, there) {
			return "a machine knows no store, no api and no service"
		}
	}
	if imported == module+"server" {
		return "only cmd imports server"
	}
	if (imported == "modernc.org/sqlite" || strings.HasPrefix(imported, "github.com/jackc/pgx")) && here != "store" {
		return "databases stay in store"
	}
	return ""
}

// A service may name HTTP's status codes and nothing else of net/http.
func TestServicesTakeOnlyStatusesFromHTTP(t *testing.T) {
	for _, p := range packages(t) {
		if floorOf(room(p.ImportPath)) != "service" || !slices.Contains(p.Imports, "net/http") {
			continue
		}
		out, err := exec.Command("grep", "-rhoE", "--include=*.go", "--exclude=*_test.go", `\bhttp\.[A-Z][A-Za-z]*`, p.Dir).Output()
		if err != nil {
			t.Fatalf("%s: %v", p.ImportPath, err)
		}
		for name := range strings.FieldsSeq(string(out)) {
			if !strings.HasPrefix(name, "http.Status") {
				t.Errorf("%s uses %s", p.ImportPath, name)
			}
		}
	}
}
