package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"bawn.dev/internal/identity"
	"bawn.dev/internal/ldap"
	"bawn.dev/internal/server"
)

type directoryCmd struct {
	Add    directoryAdd    `cmd:"" help:"Add a directory, or change one. It is read within a minute."`
	List   directoryList   `cmd:"" help:"List the directories, and what came of reading them."`
	Remove directoryRemove `cmd:"" help:"Remove a directory: its people are disabled, and what they do ends."`
	Sync   directorySync   `cmd:"" help:"Read a directory now, and make the people and groups here what it says."`
	Test   directoryTest   `cmd:"" help:"Read a directory and change nothing."`
}

type directoryData struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
}

func (d *directoryData) ask(ctx context.Context, req server.DirectoryRequest) (*server.DirectoryAnswer, error) {
	req.Operator = server.Operator()
	return administrate(ctx, d.Data, d.Database, "/directory", req, (*server.Server).Directory)
}

type directoryAdd struct {
	directoryData
	Name         string            `arg:"" help:"Its name here: a letter, then letters, digits and -."`
	URL          string            `required:"" name:"url" help:"ldaps://host[:port], or ldap://host[:port], where StartTLS is demanded."`
	CA           string            `name:"ca" type:"path" help:"File with the certificates that vouch for it; without one, those of this machine do."`
	Kind         string            `enum:"ad,rfc2307bis" required:"" help:"ad or rfc2307bis."`
	BindDN       string            `required:"" name:"bind-dn" help:"Whom to read it as."`
	PasswordFile string            `required:"" help:"File with the password of whom it is read as; - reads standard input."`
	UserBase     string            `required:"" help:"DN below which people are."`
	UserFilter   string            `help:"Who of those are people who may come in; each kind has its own."`
	GroupBase    string            `help:"DN below which groups are; without one, no group comes in."`
	GroupFilter  string            `help:"What of that are groups; each kind has its own."`
	Attribute    map[string]string `help:"The directory's name for one of id, userName, displayName, givenName, familyName, email, groupName, member, as userName=userPrincipalName."`
	Nested       string            `enum:"read,chain,none" default:"read" help:"Who is in a group by another: read (those groups are read too), chain (Active Directory is asked, one question a group) or none."`
	Interval     time.Duration     `default:"15m" help:"How often it is read: 1m to 24h."`
}

func (c *directoryAdd) Run(ctx context.Context) error {
	password, err := read(c.PasswordFile)
	if err != nil {
		return err
	}
	var ca []byte
	if c.CA != "" {
		if ca, err = os.ReadFile(c.CA); err != nil {
			return err
		}
	}
	src := &identity.Source{Name: c.Name, Nested: c.Nested == "read", Seconds: int(c.Interval / time.Second), Directory: ldap.Directory{
		URL: c.URL, CA: string(ca), Kind: c.Kind, BindDN: c.BindDN, UserBase: c.UserBase, UserFilter: c.UserFilter,
		GroupBase: c.GroupBase, GroupFilter: c.GroupFilter, Attributes: c.Attribute, Chain: c.Nested == "chain",
	}}
	_, err = c.ask(ctx, server.DirectoryRequest{Do: "add", Name: c.Name, Source: src, Password: string(bytes.TrimRight(password, "\r\n"))})
	return err
}

type directoryList struct{ directoryData }

func (c *directoryList) Run(ctx context.Context) error {
	out, err := c.ask(ctx, server.DirectoryRequest{Do: "list"})
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tURL\tREAD\tPEOPLE\tGROUPS\tPROBLEMS\tRESULT")
	for _, s := range out.Sources {
		read, result, r := "never", "-", &identity.SourceReport{}
		if s.Report != nil {
			r, read, result = s.Report, s.Report.Started.Local().Format(time.DateTime), "ok"
			if r.Error != "" {
				result = visible(r.Error)
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\n", s.Name, s.Directory.URL, read, r.People, r.Groups, r.Troubled, result)
	}
	return w.Flush()
}

type directoryRemove struct {
	directoryData
	Name string `arg:"" help:"Its name."`
}

func (c *directoryRemove) Run(ctx context.Context) error {
	_, err := c.ask(ctx, server.DirectoryRequest{Do: "remove", Name: c.Name})
	return err
}

type directorySync struct {
	directoryData
	Name  string `arg:"" help:"Its name."`
	Force bool   `help:"Believe it though more than half of the people or groups are gone."`
}

func (c *directorySync) Run(ctx context.Context) error {
	out, err := c.ask(ctx, server.DirectoryRequest{Do: "sync", Name: c.Name, Force: c.Force})
	if err != nil {
		return err
	}
	return reported(os.Stdout, out.Report)
}

type directoryTest struct {
	directoryData
	Name string `arg:"" help:"Its name."`
}

func (c *directoryTest) Run(ctx context.Context) error {
	out, err := c.ask(ctx, server.DirectoryRequest{Do: "test", Name: c.Name})
	if err != nil {
		return err
	}
	return reported(os.Stdout, out.Report)
}

// reported shows a report. What ended a run is the command's error.
func reported(to io.Writer, r *identity.SourceReport) error {
	fmt.Fprintf(to, "%d people and %d groups in the directory\n", r.People, r.Groups)
	fmt.Fprintf(to, "%d created, %d changed, %d enabled, %d disabled, %d joined a group, %d left one\n", r.Created, r.Changed, r.Enabled, r.Disabled, r.Joined, r.Left)
	for _, p := range r.Problems {
		fmt.Fprintf(to, "%s: %s\n", visible(p.Entry), visible(p.Why))
	}
	if more := r.Troubled - len(r.Problems); more > 0 {
		fmt.Fprintf(to, "and %d more problems\n", more)
	}
	if r.Error != "" {
		return errors.New(visible(r.Error))
	}
	return nil
}
