package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"bawn.dev/internal/server"
)

type reachCmd struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`

	From string `arg:"" help:"Who sends: eni-…, a workload by its id, ARN or name, VPC-ID:ADDRESS, or a subnet, in which an interface is supposed (--group)."`
	To   string `arg:"" help:"Who is reached: eni-…, vpce-…, nat-…, an address, an AWS service (s3, kms), or a name (pypi.org)."`
	Port string `arg:"" help:"443, tcp/443, udp/53, icmp, icmp/8/0 or proto/47."`

	SourcePort uint16   `placeholder:"PORT" help:"The port from which it comes, to which replies go; without it, all are asked about."`
	Group      []string `placeholder:"SG-ID" help:"Group of the interface that is supposed. Repeat for more."`

	Output string `enum:"text,json" default:"text" help:"text or json."`
}

// Help implements kong.HelpProvider.
func (c *reachCmd) Help() string {
	return "Shows each gate on the way, there and back: routes, network ACLs, security groups, endpoints, transit gateways, and names outside; " +
		"and what would let it pass. It asks the model that the machine obeys, and sends nothing.\n\n" +
		"Exit status: 0 it passes, 5 it is refused, 1 the question has no answer."
}

func (c *reachCmd) Run(ctx context.Context) error {
	in := server.ReachRequest{
		Operator: server.Operator(), From: c.From, To: c.To, Port: c.Port, SourcePort: c.SourcePort, Groups: c.Group,
	}
	answer, err := administrate(ctx, c.Data, c.Database, "/reach", in, (*server.Server).Reach)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		text, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		fmt.Println(ascii(text))
	} else if err := reached(os.Stdout, answer); err != nil {
		return err
	}
	if !answer.Allowed {
		return errDenied
	}
	return nil
}

// reached writes an answer for a reader.
func reached(to io.Writer, x *server.Reached) error {
	var b strings.Builder
	answer := "REFUSED"
	if x.Allowed {
		answer = "PASSES"
	}
	fmt.Fprintf(&b, "%s: %s\n", answer, visible(x.Verdict))
	fmt.Fprintf(&b, "  from  %s\n", endText(&x.From))
	fmt.Fprintf(&b, "  to    %s\n", endText(&x.To))
	fmt.Fprintf(&b, "  what  %s\n", visible(x.What))
	if len(x.Steps) > 0 {
		b.WriteString("Gates, in the order in which they are asked:\n")
	}
	where, back := "", false
	for _, s := range x.Steps {
		if s.Where != where || s.Back != back {
			where, back = s.Where, s.Back
			about := ""
			if back {
				about = ", about the replies"
			}
			fmt.Fprintf(&b, "  %s%s\n", visible(where), about)
		}
		verdict := "refuses"
		if s.Allowed {
			verdict = "passes"
		}
		fmt.Fprintf(&b, "    %-8s %-8s %s\n", visible(s.Gate), verdict, visible(s.Why))
		for _, r := range s.Rules {
			fmt.Fprintf(&b, "    %-17s %s\n", "", visible(r))
		}
	}
	for _, n := range x.Notes {
		fmt.Fprintf(&b, "Note: %s\n", visible(n))
	}
	if len(x.Advice) > 0 {
		b.WriteString("This gate would let it pass after (another may be behind it):\n")
	}
	for _, a := range x.Advice {
		fmt.Fprintf(&b, "  %s\n", visible(a))
	}
	_, err := io.WriteString(to, b.String())
	return err
}

func endText(e *server.ReachEnd) string {
	var words []string
	for _, w := range []string{e.ID, e.Address, e.Name} {
		if w != "" {
			words = append(words, visible(w))
		}
	}
	text := strings.Join(words, " ")
	if e.MadeUp {
		text += " (supposed)"
	}
	if e.VPC != "" {
		text += " in " + visible(strings.TrimPrefix(e.Subnet+" of "+e.VPC, " of "))
	}
	if len(e.Groups) > 0 {
		text += " [" + visible(strings.Join(e.Groups, ", ")) + "]"
	}
	return text + ownerText(server.NetworkMember{Owner: e.Owner, Person: e.Person})
}
