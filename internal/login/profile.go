package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"bawn.dev/internal/config"
)

// A Profile is a sign-in as it is kept: mode 0600, below the person's home.
type Profile struct {
	Name    string `json:"-"`
	URL     string `json:"url"`
	CA      string `json:"ca,omitempty"`
	Region  string `json:"region"`
	Account string `json:"accountId"`
	Role    string `json:"roleName"`
	Tokens
}

var (
	profileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	// plainText is what stands in a configuration file without a second meaning.
	plainText = regexp.MustCompile(`^[\pL\pN /._:@+=,\[\]~-]+$`)
)

// ErrNoProfile says that nobody signed in under this name.
var ErrNoProfile = errors.New("there is no such profile: run `bawn login` first")

// refreshBefore is how long an access token must still be good to be used.
const refreshBefore = time.Minute

func home(elem ...string) (string, error) {
	dir, err := os.UserHomeDir()
	return filepath.Join(append([]string{dir, ".aws"}, elem...)...), err
}

func file(name, suffix string) (string, error) {
	if !profileName.MatchString(name) {
		return "", fmt.Errorf("%q cannot be the name of a profile", name)
	}
	return home("bawn", name+suffix)
}

// Locked does something with a profile while no other process does. It makes the
// directory.
func Locked(name string, do func() error) error {
	path, err := file(name, ".lock")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // and with it the lock
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	return do()
}

// Load reads a profile, or answers ErrNoProfile.
func Load(name string) (*Profile, error) {
	path, err := file(name, ".json")
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNoProfile
	}
	if err != nil {
		return nil, err
	}
	p := &Profile{Name: name}
	return p, json.Unmarshal(raw, p)
}

// Save keeps a profile, whole or not at all.
func (p *Profile) Save() error {
	path, err := file(p.Name, ".json")
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return config.WriteFile(path, append(raw, '\n'))
}

// Delete forgets a profile's tokens.
func (p *Profile) Delete() error {
	path, err := file(p.Name, ".json")
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// Dial prepares to talk to the profile's server.
func (p *Profile) Dial() (*Server, error) { return Dial(p.URL, p.CA) }

// Current gets credentials for a profile, with new tokens if the old ones are at
// their end. Two processes that need them at once get them one after the other: a
// refresh token is good once.
func Current(ctx context.Context, name string) (*Credentials, error) {
	var made *Credentials
	return made, Locked(name, func() error {
		p, err := Load(name)
		if err != nil {
			return err
		}
		s, err := p.Dial()
		if err != nil {
			return err
		}
		if time.Until(p.Expires) < refreshBefore {
			next, err := s.refresh(ctx, &p.Tokens)
			if err != nil {
				return err
			}
			p.Tokens = *next
			if err := p.Save(); err != nil {
				return err
			}
		}
		made, err = s.Credentials(ctx, &p.Tokens, p.Account, p.Role)
		return err
	})
}

// WriteProfile writes a section into AWS's configuration file that gets credentials
// from command, a program and its arguments up to the profile's name. A section of that
// name that something else wrote is left alone, and is an error.
func (p *Profile) WriteProfile(command string) error {
	path := os.Getenv("AWS_CONFIG_FILE")
	if path == "" {
		var err error
		if path, err = home("config"); err != nil {
			return err
		}
	}
	lines := []string{"credential_process = " + command + " --profile " + p.Name, "endpoint_url = " + p.URL, "region = " + p.Region}
	if p.CA != "" {
		lines = append(lines, "ca_bundle = "+p.CA)
	}
	for _, text := range []string{p.URL, p.Region, p.CA, strings.ReplaceAll(command, `"`, "")} {
		if text != "" && !plainText.MatchString(text) {
			return fmt.Errorf("%q cannot stand in AWS's configuration file", text)
		}
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	text, err := section(string(old), p.Name, lines)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return config.WriteFile(path, []byte(text))
}

// section puts a profile's section into a configuration, in the place of its old one.
func section(text, name string, lines []string) (string, error) {
	title := "[profile " + name + "]"
	if name == "default" {
		title = "[default]"
	}
	mine := title + "\n" + strings.Join(lines, "\n") + "\n"
	var before, old, after []string
	place := &before
	for line := range strings.Lines(text) {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "[") {
			switch {
			case strings.Join(strings.Fields(trimmed), " ") == title:
				if old != nil {
					return "", fmt.Errorf("there are two sections %s", title)
				}
				place = &old
			case place == &old:
				place = &after
			}
		}
		*place = append(*place, line)
	}
	if old != nil && !strings.Contains(strings.Join(old, ""), " credentials --profile "+name+"\n") {
		return "", fmt.Errorf("%s is there already, and not from here: choose another --profile", title)
	}
	head, tail := strings.Join(before, ""), strings.Join(after, "")
	if old == nil && head != "" {
		head = strings.TrimRight(head, "\n") + "\n\n"
	}
	if tail != "" {
		mine += "\n"
	}
	return head + mine + tail, nil
}
