package studio

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/sso"
)

// maxPages bounds how much of a list one page reads.
const maxPages = 20

// The accounts page: all of them, and of one the permission sets.
type accountsPage struct {
	Accounts []sso.AccountInfo
	Open     string // the account whose permission sets are shown
	Roles    []sso.RoleInfo
	More     bool // the list was cut
}

// accounts lists what was assigned to her.
func (s *Studio) accounts(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	p := accountsPage{Open: v.r.URL.Query().Get("account")}
	in := &sso.ListAccountsInput{AccessToken: v.secret()}
	for n := 0; n == 0 || in.NextToken != ""; n++ {
		if n == maxPages {
			p.More = true
			break
		}
		out, err := api.Visited[sso.ListAccountsOutput](v.ctx, v.Visit, "sso:ListAccounts", in)
		if err != nil {
			return err
		}
		p.Accounts, in.NextToken = append(p.Accounts, out.AccountList...), out.NextToken
	}
	if p.Open == "" && len(p.Accounts) == 1 {
		p.Open = p.Accounts[0].AccountId
	}
	if err := v.roles(&p); err != nil {
		return err
	}
	return v.shown("accounts", "Accounts", p)
}

// roles reads the permission sets of the account that is open.
func (v *visit) roles(p *accountsPage) error {
	in := &sso.ListAccountRolesInput{AccessToken: v.secret(), AccountId: p.Open}
	for n := 0; p.Open != "" && n < maxPages && (n == 0 || in.NextToken != ""); n++ {
		out, err := api.Visited[sso.ListAccountRolesOutput](v.ctx, v.Visit, "sso:ListAccountRoles", in)
		if err != nil {
			return err
		}
		p.Roles, in.NextToken = append(p.Roles, out.RoleList...), out.NextToken
	}
	return nil
}

// Credentials as a person takes them along.
type credentialsPage struct {
	Account, Role string
	Expires       time.Time
	Forms         []form
}

// A form is one way to write credentials.
type form struct{ ID, Title, Hint, Text string }

// credentials fetches credentials of a role. It is a form and not a link: nothing is
// made by following one.
func (s *Studio) credentials(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	account, role := v.form("account"), v.form("role")
	out, err := api.Visited[sso.GetRoleCredentialsOutput](v.ctx, v.Visit, "sso:GetRoleCredentials", &sso.GetRoleCredentialsInput{
		AccessToken: v.secret(), AccountId: account, RoleName: role,
	})
	if err != nil {
		return err
	}
	c := out.RoleCredentials
	if c == nil || c.Expiration == nil {
		return errors.New("studio: credentials without an end")
	}
	p := credentialsPage{Account: account, Role: role, Expires: time.UnixMilli(*c.Expiration)}
	if p.Forms, err = s.forms(c, address(v.r), role+"-"+account, p.Expires); err != nil {
		return err
	}
	return v.shown("credentials", "Credentials", p)
}

// forms writes credentials as shells, the clients' files and credential_process have
// them.
func (s *Studio) forms(c *sso.RoleCredentials, endpoint, profile string, expires time.Time) ([]form, error) {
	pairs := [][2]string{
		{"AWS_ACCESS_KEY_ID", c.AccessKeyId}, {"AWS_SECRET_ACCESS_KEY", c.SecretAccessKey}, {"AWS_SESSION_TOKEN", c.SessionToken},
		{"AWS_REGION", s.Region}, {"AWS_ENDPOINT_URL", endpoint},
	}
	var shell, power, file strings.Builder
	fmt.Fprintf(&file, "[%s]\n", profile)
	for _, p := range pairs {
		if strings.ContainsAny(p[1], "'\"`$\r\n") {
			return nil, fmt.Errorf("studio: %s cannot be written for a shell", p[0])
		}
		fmt.Fprintf(&shell, "export %s='%s'\n", p[0], p[1])
		fmt.Fprintf(&power, "$Env:%s='%s'\n", p[0], p[1])
		name := strings.ToLower(p[0])
		if name == "aws_region" || name == "aws_endpoint_url" {
			name = strings.TrimPrefix(name, "aws_")
		}
		fmt.Fprintf(&file, "%s = %s\n", name, p[1])
	}
	raw, err := json.Marshal(map[string]any{
		"Version": 1, "AccessKeyId": c.AccessKeyId, "SecretAccessKey": c.SecretAccessKey, "SessionToken": c.SessionToken,
		"Expiration": expires.UTC().Format(time.RFC3339),
	}, json.Deterministic(true), jsontext.WithIndent("  "))
	return []form{
		{"shell", "Shell", "Paste into a terminal on Linux or macOS.", shell.String()},
		{"powershell", "PowerShell", "Paste into PowerShell on Windows.", power.String()},
		{"profile", "Profile", "Add to the file ~/.aws/credentials.", file.String()},
		{"json", "JSON", "As a credential_process answers it.", string(raw) + "\n"},
	}, err
}

// address is this server's as the browser knows it.
func address(r *http.Request) string {
	if r.TLS == nil && (hostname(r.Host) == "localhost" || hostname(r.Host) == "127.0.0.1" || hostname(r.Host) == "::1") {
		return "http://" + r.Host
	}
	return "https://" + r.Host // what comes in clear from elsewhere was TLS to the browser
}
