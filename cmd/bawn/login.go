package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"bawn.dev/internal/login"
)

// loginCmd signs a person in and writes the profile that her tools use.
type loginCmd struct {
	URL     string `help:"Where Bawn is, as https://bawn.example.org:4680. Not needed to sign in again."`
	CA      string `name:"ca" type:"existingfile" help:"The certificate of Bawn's CA, if the machine does not trust it: DIR/ca.pem on the server."`
	Profile string `default:"bawn" help:"Name of the profile in AWS's configuration file."`
	Account string `help:"Account to use, where there are several."`
	Role    string `help:"Role to use in it, where there are several."`
	Region  string `help:"Bawn's region." default:"${region}"`
	Device  bool   `help:"Sign in with a browser on another computer, by a code."`
}

func (c *loginCmd) Run(ctx context.Context) error {
	p := &login.Profile{Name: c.Profile, URL: c.URL, Region: c.Region, Account: c.Account, Role: c.Role}
	before, err := login.Load(c.Profile)
	switch {
	case err == nil:
		p.URL, p.CA, p.Account, p.Role = cmp.Or(c.URL, before.URL), before.CA, cmp.Or(c.Account, before.Account), cmp.Or(c.Role, before.Role)
	case errors.Is(err, login.ErrNoProfile) && c.URL == "":
		return errors.New("where is Bawn? Give --url https://…")
	case !errors.Is(err, login.ErrNoProfile):
		return err
	}
	if c.CA != "" {
		if p.CA, err = filepath.Abs(c.CA); err != nil {
			return err
		}
	}
	s, err := p.Dial()
	if err != nil {
		return err
	}
	p.URL = s.URL
	tokens, err := c.signIn(ctx, s)
	if err != nil {
		return err
	}
	p.Tokens = *tokens
	if err := c.keep(ctx, s, p); err != nil {
		return errors.Join(err, s.Logout(ctx, tokens)) // nobody keeps the tokens
	}
	fmt.Printf("Signed in. Use it with: export AWS_PROFILE=%s\n", p.Name)
	return nil
}

// keep settles what the profile is for, and writes it.
func (c *loginCmd) keep(ctx context.Context, s *login.Server, p *login.Profile) error {
	if err := choose(ctx, s, p); err != nil {
		return err
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	if err := p.WriteProfile(strconv.Quote(path) + " credentials"); err != nil {
		return err
	}
	return login.Locked(p.Name, p.Save)
}

func (c *loginCmd) signIn(ctx context.Context, s *login.Server) (*login.Tokens, error) {
	open := browser()
	if c.Device || open == "" {
		return s.ByDevice(ctx, func(address, code string) {
			fmt.Printf("Open %s in any browser and type the code\n\n    %s\n\nWaiting for you to approve it there ...\n", visible(address), visible(code))
		})
	}
	return s.ByBrowser(ctx, func(address string) error {
		fmt.Printf("Your browser opens to sign you in. If it does not, open\n\n    %s\n\nor use --device.\n", visible(address))
		cmd := exec.Command(open, address)
		if err := cmd.Start(); err != nil {
			fmt.Fprintln(os.Stderr, "bawn:", err) // the address is on the screen
			return nil
		}
		go cmd.Wait()
		return nil
	})
}

// browser is the program that opens an address in one on this screen; empty where
// there is none.
func browser() string {
	name := "xdg-open"
	switch {
	case os.Getenv("SSH_CONNECTION") != "":
		return ""
	case runtime.GOOS == "darwin":
		name = "open"
	case os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "":
		return ""
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}

// choose settles which account and role the profile is for.
func choose(ctx context.Context, s *login.Server, p *login.Profile) error {
	all, err := s.Assignments(ctx, &p.Tokens)
	if err != nil {
		return err
	}
	var fit []login.Assignment
	for _, a := range all {
		if (p.Account == "" || a.AccountID == p.Account) && (p.Role == "" || a.Role == p.Role) {
			fit = append(fit, a)
		}
	}
	chosen := 0
	switch {
	case len(fit) == 0:
		return errors.New("nothing is assigned to you there: ask your administrator")
	case len(fit) > 1:
		for i, a := range fit {
			fmt.Printf("%3d  %s  %s  %s\n", i+1, visible(a.AccountID), visible(a.Role), visible(a.AccountName))
		}
		if info, err := os.Stdin.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
			return errors.New("which? Give --account and --role")
		}
		fmt.Print("Which? ")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil {
			return err
		}
		if chosen, err = strconv.Atoi(strings.TrimSpace(line)); err != nil || chosen < 1 || chosen > len(fit) {
			return errors.New("that is none of them")
		}
		chosen--
	}
	p.Account, p.Role = fit[chosen].AccountID, fit[chosen].Role
	return nil
}

type credentialsCmd struct {
	Profile string `default:"bawn" help:"Name of the profile."`
}

func (c *credentialsCmd) Run(ctx context.Context) error {
	made, err := login.Current(ctx, c.Profile)
	if errors.Is(err, login.ErrOver) {
		return fmt.Errorf("%w: run `bawn login --profile %s`", err, c.Profile)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(made)
}

type logoutCmd struct {
	Profile string `default:"bawn" help:"Name of the profile."`
}

func (c *logoutCmd) Run(ctx context.Context) error {
	return login.Locked(c.Profile, func() error {
		p, err := login.Load(c.Profile)
		if err != nil {
			return err
		}
		s, err := p.Dial()
		if err != nil {
			return err
		}
		// The file goes in any case: who asked to be signed out here is.
		return errors.Join(s.Logout(ctx, &p.Tokens), p.Delete())
	})
}
