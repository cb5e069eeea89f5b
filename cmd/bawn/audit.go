package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"bawn.dev/internal/server"
)

type auditCmd struct {
	Data     string        `required:"" type:"path" help:"Data directory."`
	Database string        `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
	Account  string        `help:"Only this account."`
	Person   string        `help:"Only what was done on behalf of this person (user name or id)."`
	Event    string        `help:"Only events of this name, such as GetObject."`
	Resource string        `help:"Only events about this ARN."`
	User     string        `help:"Only events of this user or session name."`
	Errors   bool          `help:"Only calls that failed."`
	Since    time.Duration `help:"Only this long back, such as 24h."`
	Limit    int           `default:"100" help:"At most so many, the newest."`
	Output   string        `enum:"table,json" default:"table" help:"table or json (one event a line)."`
}

func (c *auditCmd) Run(ctx context.Context) error {
	req := server.AuditRequest{
		Operator: server.Operator(), Account: c.Account, Person: c.Person, Name: c.Event, Resource: c.Resource,
		Username: c.User, Errors: c.Errors, Limit: c.Limit,
	}
	if c.Since > 0 {
		req.Since = time.Now().Add(-c.Since)
	}
	lines, err := administrate(ctx, c.Data, c.Database, "/audit", req, (*server.Server).Audit)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		for _, l := range lines {
			fmt.Println(ascii(l.Event))
		}
		return nil
	}
	return table(os.Stdout, lines)
}

// event is what the table shows of a record.
type event struct {
	EventTime    time.Time `json:"eventTime"`
	EventName    string    `json:"eventName"`
	EventSource  string    `json:"eventSource"`
	ErrorCode    string    `json:"errorCode"`
	UserIdentity struct {
		Type      string `json:"type"`
		ARN       string `json:"arn"`
		UserName  string `json:"userName"`
		InvokedBy string `json:"invokedBy"`
	} `json:"userIdentity"`
	Resources []struct {
		ARN string `json:"ARN"`
	} `json:"resources"`
}

func table(to io.Writer, lines []server.AuditLine) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tPERSON\tPRINCIPAL\tACTION\tRESOURCE\tRESULT")
	for i := len(lines) - 1; i >= 0; i-- { // oldest first: it reads as what happened
		var e event
		if err := json.Unmarshal(lines[i].Event, &e); err != nil {
			return err
		}
		result := "ok"
		if e.ErrorCode != "" {
			result = e.ErrorCode
		}
		resource := "-"
		if len(e.Resources) > 0 {
			resource = e.Resources[0].ARN
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s:%s\t%s\t%s\n", e.EventTime.Local().Format(time.DateTime), visible(cmp.Or(lines[i].Person, "-")), visible(principal(e)),
			visible(strings.TrimSuffix(e.EventSource, ".amazonaws.com")), visible(e.EventName), visible(resource), visible(result))
	}
	return w.Flush()
}

func principal(e event) string {
	who := cmp.Or(e.UserIdentity.ARN, cmp.Or(e.UserIdentity.UserName, e.UserIdentity.Type))
	if i := strings.LastIndex(who, ":"); i >= 0 {
		who = who[i+1:]
	}
	if via := strings.TrimSuffix(e.UserIdentity.InvokedBy, ".amazonaws.com"); via != "" {
		who += " via " + via
	}
	return who
}

type fsckCmd struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
	Output   string `enum:"text,json" default:"text" help:"text or json."`
}

// errProblems says that the check itself worked and found something.
var errProblems = errors.New("problems found")

func (c *fsckCmd) Run(ctx context.Context) error {
	report, err := administrate(ctx, c.Data, c.Database, "/fsck", server.CheckRequest{Operator: server.Operator()}, (*server.Server).Check)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
			return err
		}
	} else {
		for _, p := range report.Problems {
			fmt.Println("problem:", visible(p))
		}
		fmt.Printf("checked: %s; %d problems; %d orphans collected, %d blobs moved together\n",
			strings.Join(report.Checked, ", "), len(report.Problems), report.Orphans, report.Moved)
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("%d %w", len(report.Problems), errProblems)
	}
	return nil
}
