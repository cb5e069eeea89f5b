package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"bawn.dev/internal/server"
)

type explainCmd struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`

	Principal string `xor:"what" required:"" help:"Who: the ARN of a user, a role, a session of a role or a federated user, or a service (sagemaker.amazonaws.com)."`
	Request   string `xor:"what" required:"" help:"Instead: the id of a recorded call's request or event, to be decided anew."`
	Action    string `help:"What: an action, such as s3:GetObject."`
	Resource  string `default:"*" help:"On what: an ARN."`

	SessionName   string   `help:"Name of the role's session."`
	SessionPolicy string   `help:"Session policy, as JSON."`
	Tags          []string `sep:"none" placeholder:"KEY=VALUE" help:"Tag of the session. Repeat for more."`
	User          string   `help:"Of a federated user: the ARN of the user who made the session."`
	MFA           bool     `name:"mfa" help:"A one-time code was given for the session."`
	Person        string   `help:"On whose behalf: user name or id in the identity store."`
	Account       string   `help:"Of a service: the account in which it acts."`

	VPCEndpoint string   `name:"vpc-endpoint" placeholder:"VPCE-ID" help:"The VPC endpoint through which the call comes."`
	SourceIP    string   `name:"source-ip" help:"The address from which the call comes."`
	Via         []string `placeholder:"SERVICE" help:"A service that forwards the call, such as s3.amazonaws.com. Repeat for more, the first caller first."`
	Context     []string `sep:"none" placeholder:"KEY=VALUE" help:"Condition key of the request. Repeat for more keys, or for more values of one."`

	Output string `enum:"text,json" default:"text" help:"text or json."`
}

// Help implements kong.HelpProvider.
func (c *explainCmd) Help() string {
	return "Shows every policy that applies, each statement, and why it matched or did not, as it is decided now.\n\n" +
		"Exit status: 0 allowed, 5 denied, 1 the question has no answer."
}

// errDenied says that the question was answered, with no.
var errDenied = errors.New("denied")

func (c *explainCmd) Run(ctx context.Context) error {
	if c.Principal != "" && c.Action == "" {
		return errors.New("explain: --action is needed with --principal")
	}
	req := server.ExplainRequest{
		Operator: server.Operator(), RequestID: c.Request, Principal: c.Principal, Action: c.Action, Resource: c.Resource,
		Session: c.SessionName, User: c.User, Policy: c.SessionPolicy, Tags: map[string]string{}, MFA: c.MFA, Person: c.Person, Account: c.Account,
		Endpoint: c.VPCEndpoint, SourceIP: c.SourceIP, Via: c.Via, Context: map[string][]string{},
	}
	for _, pair := range c.Tags {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("explain: --tags %q is not KEY=VALUE", pair)
		}
		req.Tags[key] = value
	}
	for _, pair := range c.Context {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("explain: --context %q is not KEY=VALUE", pair)
		}
		req.Context[key] = append(req.Context[key], value)
	}
	answer, err := administrate(ctx, c.Data, c.Database, "/explain", req, (*server.Server).Explain)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		text, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		fmt.Println(ascii(text))
	} else if err := explain(os.Stdout, answer); err != nil {
		return err
	}
	if !answer.Allowed {
		return errDenied
	}
	return nil
}

// explain writes an answer for a reader. Names and policies are text that others
// chose.
func explain(to io.Writer, all *server.Explanations) error {
	var b strings.Builder
	if r := all.Recorded; r != nil {
		fmt.Fprintf(&b, "Recorded %s at %s, request %s: %s\n", visible(r.Event), visible(r.Time), visible(r.RequestID), visible(strings.TrimSpace("then "+cmp.Or(r.Error, "allowed")+". "+r.Message)))
	}
	for i, x := range all.Demands {
		if i > 0 || all.Recorded != nil {
			b.WriteString("\n")
		}
		explainOne(&b, x)
	}
	_, err := io.WriteString(to, b.String())
	return err
}

func explainOne(b *strings.Builder, x *server.Explanation) {
	answer := "DENIED"
	if x.Allowed {
		answer = "ALLOWED"
	}
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "  %-9s %s\n", name, visible(text))
		}
	}
	fmt.Fprintf(b, "%s: %s\n", answer, visible(x.Verdict))
	line("principal", x.Principal)
	line("action", x.Action)
	line("resource", x.Resource)
	line("owner", x.ResourceAccount)
	line("message", x.Message)
	for _, n := range x.Notes {
		line("note", n)
	}
	if len(x.Context) > 0 {
		b.WriteString("Condition keys of the request:\n")
		var keys []string
		for key := range x.Context {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			fmt.Fprintf(b, "  %s = %s\n", visible(key), visible(strings.Join(x.Context[key], ", ")))
		}
	}
	if len(x.Lacking) > 0 {
		fmt.Fprintf(b, "Condition keys that policies ask for and the request lacks:\n  %s\n", visible(strings.Join(x.Lacking, ", ")))
	}
	if len(x.Policies) > 0 {
		b.WriteString("Policies, in the order in which they were looked at:\n")
	}
	for _, p := range x.Policies {
		explainPolicy(b, &p)
	}
}

func explainPolicy(b *strings.Builder, p *server.Heard) {
	fmt.Fprintf(b, "  %s: %s", visible(p.Kind), visible(p.Policy))
	if strings.HasSuffix(p.Kind, "control policy") {
		fmt.Fprintf(b, " (level %d below the root)", p.Level)
	}
	b.WriteString("\n")
	if p.Unreadable {
		b.WriteString("    could not be read, and so refuses\n")
	}
	for _, st := range p.Statements {
		fmt.Fprintf(b, "    statement %d", st.Index)
		if st.Sid != "" {
			fmt.Fprintf(b, " %q", visible(st.Sid))
		}
		if st.Matched {
			fmt.Fprintf(b, ": %s, matches: it %s\n", visible(st.Effect), visible(st.Why))
		} else {
			fmt.Fprintf(b, ": %s, does not match: %s: %s\n", visible(st.Effect), visible(st.Element), visible(st.Why))
		}
		for _, c := range st.Conditions {
			met := "not met"
			if c.Met {
				met = "met"
			}
			fmt.Fprintf(b, "      %s %s [%s] %s: %s\n", visible(c.Operator), visible(c.Key), visible(strings.Join(c.Want, ", ")), met, visible(c.Why))
		}
	}
}
