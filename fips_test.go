package bawn_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What the FIPS module does not approve, or does not do itself, is used in these files
// only, because a protocol fixes it. docs/fips.md has the same list, with the reasons.
var unapproved = map[string][]string{
	"internal/iam/device_code.go":    {"HMAC-SHA-1"},
	"internal/iam/device_op.go":      {"HMAC-SHA-1"},
	"internal/cloudtrail/signing.go": {"MD5"},
	"internal/ec2/address.go":        {"math/rand"},
	"internal/kms/keywrap.go":        {"AES-KWP"},
	"internal/s3/checksum.go":        {"MD5", "SHA-1"},
	"internal/signin/factor_totp.go": {"HMAC-SHA-1"},
	"internal/store/postgres.go":     {"math/rand"},
	"internal/sts/saml.go":           {"SHA-1"},
	"internal/wire/checksum.go":      {"MD5", "SHA-1"},
}

// The packages and functions that are looked for, and what using them is called.
// crypto/aes is approved, and a mode over it that is not the module's own is not.
var (
	unapprovedImports = map[string]string{
		"crypto/md5": "MD5", "crypto/sha1": "SHA-1", "crypto/rc4": "RC4", "crypto/des": "DES", "crypto/dsa": "DSA",
		"golang.org/x/crypto": "x/crypto", "github.com/pquerna/otp": "HMAC-SHA-1", "crypto/aes": "AES-KWP", "math/rand": "math/rand",
	}
	unapprovedNames = map[string]*regexp.Regexp{
		"crypto":        regexp.MustCompile(`^(MD4|MD5|SHA1|MD5SHA1|RIPEMD160|BLAKE.*)$`),
		"crypto/cipher": regexp.MustCompile(`^New`), // but for one
		"crypto/ecdh":   regexp.MustCompile(`^X25519$`),
		"crypto/rsa":    regexp.MustCompile(`^(Encrypt|Decrypt)PKCS1v15`),
		"crypto/tls":    regexp.MustCompile(`^(VersionTLS1[01]|VersionSSL30|X25519|.*_(RC4|3DES|CHACHA20).*)$`),
		"crypto/x509":   regexp.MustCompile(`^(MD2|MD5|SHA1|DSA|ECDSAWithSHA1).*|(En|De)cryptPEMBlock$`),
	}
)

// unapprovedIn answers what a file uses.
func unapprovedIn(f *ast.File) []string {
	found := map[string]bool{}
	names := map[string]string{} // as the file calls its imports
	for _, i := range f.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		name := path[strings.LastIndex(path, "/")+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = path
		for unapproved, called := range unapprovedImports {
			if path == unapproved || strings.HasPrefix(path, unapproved+"/") {
				found[called] = true
			}
		}
		if name == "." && strings.HasPrefix(path, "crypto") {
			found["all of "+path] = true
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Obj == nil {
				path := names[x.Name]
				if p := unapprovedNames[path]; p != nil && p.MatchString(s.Sel.Name) && path+"."+s.Sel.Name != "crypto/cipher.NewGCMWithRandomNonce" {
					found[path+"."+s.Sel.Name] = true
				}
			}
		}
		return true
	})
	return slices.Sorted(maps.Keys(found))
}

// notShipped are directories whose code is in no program that people run.
func notShipped(dir string) bool {
	return dir == "test" || dir == "tools" || dir == "sample" || strings.HasPrefix(dir, ".") && dir != "." || strings.HasSuffix(dir, "/testdata") ||
		forTests(dir)
}

func TestOnlyApprovedCryptography(t *testing.T) {
	found := map[string][]string{}
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && notShipped(path) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		if uses := unapprovedIn(f); uses != nil && path != "internal/seal/seal.go" { // AES-GCM with random nonces, on which all rests
			found[path] = uses
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the code", found, "this test", unapproved)
	same(t, "docs/fips.md", documented(t), "this test", unapproved)
}

var unapprovedRow = regexp.MustCompile("(?m)^\\| `([^`]+\\.go)` \\| ([^|]+) \\|")

// documented is the table of docs/fips.md.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("docs/fips.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, m := range unapprovedRow.FindAllStringSubmatch(string(text), -1) {
		what := strings.Split(m[2], ", ")
		slices.Sort(what)
		rows[m[1]] = what
	}
	return rows
}

func same(t *testing.T, nameA string, a map[string][]string, nameB string, b map[string][]string) {
	t.Helper()
	files := maps.Clone(a)
	maps.Copy(files, b)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if !slices.Equal(a[file], b[file]) {
			t.Errorf("%s: %v in %s, %v in %s", file, a[file], nameA, b[file], nameB)
		}
	}
}

// The lint sees what it is to see, however the file names it.
func TestUnapprovedIsSeen(t *testing.T) {
	for code, want := range map[string]string{
		`import "crypto/md5"`:                                            "MD5",
		`import m "crypto/sha1"`:                                         "SHA-1",
		`import _ "crypto/des"`:                                          "DES",
		`import "golang.org/x/crypto/chacha20poly1305"`:                  "x/crypto",
		`import "github.com/pquerna/otp/totp"`:                           "HMAC-SHA-1",
		`import . "crypto/cipher"`:                                       "all of crypto/cipher",
		"import \"crypto/cipher\"\nvar _ = cipher.NewGCM":                "crypto/cipher.NewGCM",
		"import c \"crypto/cipher\"\nvar _ = c.NewGCM":                   "crypto/cipher.NewGCM",
		"import \"crypto\"\nvar _ = crypto.SHA1":                         "crypto.SHA1",
		"import \"crypto/ecdh\"\nvar _ = ecdh.X25519()":                  "crypto/ecdh.X25519",
		"import \"crypto/rsa\"\nvar _ = rsa.EncryptPKCS1v15":             "crypto/rsa.EncryptPKCS1v15",
		"import \"crypto/tls\"\nvar _ = tls.VersionTLS10":                "crypto/tls.VersionTLS10",
		"import \"math/rand/v2\"\nvar _ = rand.Int":                      "math/rand",
		"import \"crypto/cipher\"\nvar _ = cipher.NewGCMWithRandomNonce": "",
		"import \"crypto/sha256\"\nvar _ = sha256.New":                   "",
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+code, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(unapprovedIn(f), ", "); got != want {
			t.Errorf("%s: %q, not %q", code, got, want)
		}
	}
}
