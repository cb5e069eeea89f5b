// Package config is Bawn's one configuration: what was fixed when the data
// directory was made, and what a start may choose.
//
// It trusts whoever may write the data directory; he owns everything anyway. It
// refuses what it does not know, so that a misspelt setting never leaves
// something off.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Fixed is what `bawn init` settles for the life of a data directory.
type Fixed struct {
	// AccountID is the management account: twelve digits.
	AccountID string `json:"accountId"`
	// Region is the one region that is served: "us-east-1".
	Region string `json:"region"`
	// Hosts are the names, besides localhost, under which people reach Bawn. The
	// server's CA can certify these (and names below them, for virtual-host
	// buckets) and no others.
	Hosts []string `json:"hosts,omitempty"`
}

// Config is a start of `bawn serve`.
type Config struct {
	Fixed
	// Data is the directory that holds keys, database, sealed bytes and sockets.
	Data string
	// Listen is the address that people's clients connect to. Only a loopback
	// address can be served without TLS.
	Listen string
	// PlainHTTP serves without TLS, on loopback only.
	PlainHTTP bool
	// Database is a postgres:// URL; empty means SQLite in the data directory.
	Database string
	// Blobs is an s3:// URL of where sealed bytes are kept; empty means the data
	// directory. Credentials come from the environment and files of whoever starts it.
	Blobs string
	// AllowEgress names "host:port" of what rules of `bawn egress` may open although
	// its address is not one of the public internet: a mirror inside the house, say.
	AllowEgress []string
	// AllowFetch names "host:port" of identity providers that the server may ask
	// though their addresses are not public.
	AllowFetch []string
	// TrailPeriod is how often trails deliver to their buckets; 0 is every five minutes.
	TrailPeriod time.Duration
	// Pins are files, absolute paths, that remember the record's newest head.
	Pins []string
	// Witnesses co-sign the record's heads: URL#KEY of each.
	Witnesses []string
	// Export is where every record is written as a line of JSON: the absolute path of a
	// file, or unix: and that of a socket. Empty is nowhere.
	Export string
	// Retain is how many days records stay; 0 is for ever.
	Retain int
	// Root is the root key that init makes.
	Root Root
	// Secret asks for what the root key needs (a passphrase, a PIN), which it is told;
	// nil answers nothing. The caller clears what it gets.
	Secret func(what string) ([]byte, error)
}

// A Root is the root key that somebody wants: a key in a file, a passphrase, or a key
// on a PKCS#11 token.
type Root struct {
	Kind   string // "file", "passphrase" or "pkcs11"
	Module string // of pkcs11: absolute path of the library that speaks to the token
	Token  string // of pkcs11: its label
	Secret func(what string) ([]byte, error)
}

// Defaults of `bawn init` and `bawn serve`.
const (
	DefaultAccountID = "123456789012"
	DefaultRegion    = "us-east-1"
	DefaultListen    = "127.0.0.1:4680"
)

const maxRetain = 36500

var (
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)
	hostPattern    = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// ErrNotInitialized says that the data directory was never initialized, or not to
// the end.
var ErrNotInitialized = errors.New("this is not an initialized data directory: run `bawn init --data DIR` first")

// Validate says what is wrong with the fixed part.
func (f Fixed) Validate() error {
	if !accountPattern.MatchString(f.AccountID) {
		return fmt.Errorf("account id %q is not twelve digits", f.AccountID)
	}
	if !regionPattern.MatchString(f.Region) {
		return fmt.Errorf("region %q does not look like us-east-1", f.Region)
	}
	for _, h := range f.Hosts {
		if !hostPattern.MatchString(h) || len(h) > 253 {
			return fmt.Errorf("host %q is not a lower-case DNS name", h)
		}
		if strings.HasSuffix(h, "amazonaws.com") || strings.HasSuffix(h, "api.aws") {
			return fmt.Errorf("host %q belongs to AWS: those names are served inside workloads only", h)
		}
	}
	return nil
}

// Validate says what is wrong with a start.
func (c Config) Validate() error {
	if err := c.Fixed.Validate(); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q is not ADDR:PORT", c.Listen)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("--listen %q: give an IP address, not a name", c.Listen)
	}
	if c.PlainHTTP && !ip.IsLoopback() {
		return errors.New("--plain-http is for loopback addresses only: leave it out, and clients verify the CA in DIR/ca.pem")
	}
	if c.Database != "" && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		return errors.New("--database takes a postgres:// URL")
	}
	if c.Data != "" && strings.HasPrefix(filepath.Clean(c.Export)+"/", filepath.Clean(c.Data)+"/") {
		return errors.New("--export writes outside the data directory only")
	}
	if c.Retain < 0 || c.Retain > maxRetain {
		return fmt.Errorf("--retain is 1 to %d days, or 0 for ever", maxRetain)
	}
	return nil
}

// Path is a file below the data directory.
func (c Config) Path(elem ...string) string {
	return filepath.Join(append([]string{c.Data}, elem...)...)
}

const fixedName = "bawn.json"

// Load reads what init fixed. ErrNotInitialized if nothing is there.
func Load(dir string) (Fixed, error) {
	raw, err := os.ReadFile(filepath.Join(dir, fixedName))
	if errors.Is(err, os.ErrNotExist) {
		return Fixed{}, ErrNotInitialized
	}
	if err != nil {
		return Fixed{}, err
	}
	var f Fixed
	if err := json.Unmarshal(raw, &f, json.RejectUnknownMembers(true)); err != nil {
		return Fixed{}, fmt.Errorf("%s: %w", fixedName, err)
	}
	return f, f.Validate()
}

// Save writes what init fixed. It is the last thing that init does: a directory
// without it is not initialized.
func Save(dir string, f Fixed) error {
	raw, err := json.Marshal(f, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(dir, fixedName), append(raw, '\n'))
}

// WriteFile makes a file, mode 0600, that is there whole or not at all.
func WriteFile(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// URL is where people's clients find Bawn.
func (c Config) URL() string {
	scheme := "https"
	if c.PlainHTTP {
		scheme = "http"
	}
	host, port, _ := net.SplitHostPort(c.Listen)
	if len(c.Hosts) > 0 {
		host = c.Hosts[0]
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
