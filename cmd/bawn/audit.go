package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"bawn.dev/internal/server"
	"bawn.dev/internal/trail"
)

type auditCmd struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`

	Person   string `help:"Only what was done on behalf of this person (id, or who has this user name now), through any role or job, in any account."`
	Resource string `help:"Only events about this ARN, or about what has this as the last part of its ARN."`
	Reads    bool   `help:"Only what read: with --resource, who read it, or copied it."`
	Key      string `help:"Only what was done with this key: an access key's id, or a KMS key's id or ARN."`
	Job      string `help:"The timeline of this job (name or ARN): what was done to it, by it and in its name, its connections and its keys."`
	Denied   bool   `help:"What was denied, counted by error, cause, action and person."`
	Errors   bool   `help:"Only calls that failed, or some of what they were about."`
	Event    string `help:"Only events of this name, such as GetObject."`
	User     string `help:"Only events of this user or session name."`
	Account  string `help:"Only this account's record."`
	Since    when   `placeholder:"WHEN" help:"From here on: a date, a date and time, or so long ago, such as 24h or 7d."`
	Until    when   `placeholder:"WHEN" help:"Up to here, likewise; a date alone is its end."`
	Limit    *int   `placeholder:"N" help:"At most so many, the newest; 0 is all. Without it 100, and all with --job and --denied."`
	Output   string `enum:"table,json,csv" default:"table" help:"table, json (one event a line) or csv."`
	Follow   bool   `help:"Go on with what happens from now on, until interrupted. The server may restart meanwhile."`
}

// Help implements kong.HelpProvider.
func (*auditCmd) Help() string {
	return "Shows the record. The table, and every timeline of a job, has the oldest first; json and csv have the newest first, as they are found.\n\n" +
		"Examples:\n\n" +
		"  bawn audit --data DIR --resource arn:aws:s3:::scans/a.dcm --reads --since 2026-01-01 --until 2026-03-31\n\n" +
		"  bawn audit --data DIR --person ada --output csv --limit 0\n\n" +
		"  bawn audit --data DIR --denied --since 7d\n\n" +
		"Names that strangers chose are shown with their control characters written out, and no cell of csv is a formula. " +
		"The question itself is recorded.\n\n" +
		"Exit status: 0 the question was answered, 2 it was not understood, 3 the directory is not initialized, or --follow finds no server, 1 anything else."
}

// Validate implements kong's.
func (c *auditCmd) Validate() error {
	named := 0
	for _, s := range []string{c.Resource, c.Key, c.Job} {
		if s != "" {
			named++
		}
	}
	switch {
	case named > 1:
		return errors.New("--resource, --key and --job exclude each other")
	case c.Follow && (c.Denied || !c.Until.IsZero() || !c.Since.IsZero() || c.Limit != nil):
		return errors.New("--follow begins now, goes on and counts nothing: not with --denied, --since, --until or --limit")
	case c.Limit != nil && *c.Limit < 0:
		return errors.New("--limit is 0 or more")
	}
	return nil
}

func (c *auditCmd) Run(ctx context.Context) error {
	now := time.Now()
	req := server.AuditRequest{
		Operator: server.Operator(), Account: c.Account, Person: c.Person, Name: c.Event, Resource: c.Resource, Key: c.Key, Job: c.Job,
		Username: c.User, Errors: c.Errors, Denied: c.Denied, Reads: c.Reads, Since: c.Since.begin(now), Until: c.Until.end(now),
	}
	out, err := newAuditWriter(os.Stdout, c.Output)
	if err != nil {
		return err
	}
	switch {
	case c.Follow:
		return c.follow(ctx, req, out)
	case c.Denied:
		return c.count(ctx, req)
	case c.Job != "" || c.Output == "table":
		var lines []server.AuditLine
		err := c.pages(ctx, req, func(some []server.AuditLine) error {
			lines = append(lines, some...)
			return nil
		})
		if err != nil {
			return err
		}
		slices.Reverse(lines) // it reads as what happened
		return errors.Join(out.write(lines...), out.end())
	}
	return errors.Join(c.pages(ctx, req, func(some []server.AuditLine) error { return out.write(some...) }), out.end())
}

// pages asks until as many lines were found as are wanted, and says on a terminal how
// far it is.
func (c *auditCmd) pages(ctx context.Context, req server.AuditRequest, found func([]server.AuditLine) error) error {
	left := 100
	if c.Limit != nil {
		left = *c.Limit
	} else if c.Job != "" || c.Denied {
		left = 0
	}
	all := left == 0
	var told progress
	defer told.clear()
	for all || left > 0 {
		if req.Limit = trail.MaxSearch; !all {
			req.Limit = min(left, req.Limit)
		}
		page, err := administrate(ctx, c.Data, c.Database, "/audit", req, (*server.Server).Audit)
		if err != nil {
			return err
		}
		if !page.Pruned.IsZero() && req.After == "" {
			fmt.Fprintf(os.Stderr, "bawn: events up to %s were pruned; they are where they were exported to\n", page.Pruned.Local().Format(time.DateTime))
		}
		if page.Nobody && req.After == "" {
			fmt.Fprintf(os.Stderr, "bawn: nobody has the name or id %s now: it is taken for the id of somebody who was here\n", visible(c.Person))
		}
		told.say(page.Read, len(page.Lines))
		if err := found(page.Lines); err != nil {
			return err
		}
		left -= len(page.Lines)
		if req.After = page.Next; req.After == "" {
			return nil
		}
	}
	return nil
}

// progress is of a question that takes long, told to whoever watches.
type progress struct {
	began       time.Time
	read, found int
	shown       bool
}

func (p *progress) say(read, found int) {
	p.read, p.found = p.read+read, p.found+found
	if p.began.IsZero() {
		p.began = time.Now()
	}
	info, err := os.Stderr.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 || time.Since(p.began) < time.Second {
		return
	}
	p.shown = true
	fmt.Fprintf(os.Stderr, "\r%d records looked at, %d found ", p.read, p.found)
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}
