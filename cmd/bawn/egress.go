package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"bawn.dev/internal/server"
)

// egressCmd manages the names outside that workloads may reach. Nobody can open one
// over the AWS API.
type egressCmd struct {
	Allow  egressAllow  `cmd:"" help:"Let the members of a security group reach a name outside, through their VPC's NAT gateway."`
	List   egressList   `cmd:"" help:"List what is open, and how much of its budget is used."`
	Revoke egressRevoke `cmd:"" help:"Close what a rule opened: connections end at once."`
}

type egressData struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
	Output   string `enum:"text,json" default:"text" help:"text or json."`
}

func (d *egressData) ask(ctx context.Context, req server.OutsideRequest) error {
	req.Operator = server.Operator()
	rules, err := administrate(ctx, d.Data, d.Database, "/egress", req, (*server.Server).Outside)
	if err != nil {
		return err
	}
	if d.Output == "json" {
		text, err := json.Marshal(rules)
		if err != nil {
			return err
		}
		fmt.Println(ascii(text))
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tVPC\tGROUP\tNAME\tPORTS\tUSED\tBUDGET\tBY")
	for _, r := range rules {
		budget := "-"
		if r.Budget > 0 {
			budget = size(r.Budget)
		}
		var ports []string
		for _, p := range r.Ports {
			ports = append(ports, strconv.Itoa(int(p)))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.VPC, r.Group, r.Name, strings.Join(ports, ","), size(r.Used), budget, visible(r.Operator))
	}
	return w.Flush()
}

type egressAllow struct {
	egressData
	Group  string `required:"" placeholder:"SG-ID" help:"The security group."`
	Name   string `arg:"" placeholder:"NAME:PORT[,PORT]" help:"A host name with its ports, such as pypi.org:443. Put '*.' before it for all names below it."`
	Budget string `placeholder:"BYTES" help:"How many bytes may pass in all, both ways together, such as 500MiB or 10GiB. Without it there is no limit."`
}

// Help implements kong.HelpProvider.
func (*egressAllow) Help() string {
	return "A rule alone opens nothing: the workload's subnet needs a default route to a NAT gateway, the gateway's subnet one to the VPC's internet gateway, " +
		"and the group an egress rule that lets it reach the gateway. `bawn reach` says what is missing."
}

func (c *egressAllow) Run(ctx context.Context) error {
	name, list, ok := strings.Cut(c.Name, ":")
	if !ok {
		return fmt.Errorf("egress: %q has no port: say %s:443, for HTTPS", c.Name, c.Name)
	}
	req := server.OutsideRequest{Do: "allow", Group: c.Group, Name: name}
	for p := range strings.SplitSeq(list, ",") {
		port, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return fmt.Errorf("egress: %q is not a port", p)
		}
		req.Ports = append(req.Ports, uint16(port))
	}
	if c.Budget != "" {
		var err error
		if req.Budget, err = parseSize(c.Budget); err != nil {
			return err
		}
	}
	return c.ask(ctx, req)
}

type egressList struct {
	egressData
	VPC string `name:"vpc" placeholder:"VPC-ID" help:"Of this VPC only."`
}

func (c *egressList) Run(ctx context.Context) error {
	return c.ask(ctx, server.OutsideRequest{Do: "list", VPC: c.VPC})
}

type egressRevoke struct {
	egressData
	ID string `arg:"" help:"The rule's id, eo-…"`
}

func (c *egressRevoke) Run(ctx context.Context) error {
	return c.ask(ctx, server.OutsideRequest{Do: "revoke", ID: c.ID})
}

// units of sizes, the largest first.
var units = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// size writes a number of bytes for a reader.
func size(n int64) string {
	for _, u := range units {
		if n >= u.bytes && u.bytes > 1 {
			return strconv.FormatFloat(float64(n)/float64(u.bytes), 'f', 1, 64) + " " + u.name
		}
	}
	return fmt.Sprintf("%d B", n)
}

// parseSize reads a number of bytes above 0: digits, and one of units' names.
func parseSize(s string) (int64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err == nil && n > 0 && n <= math.MaxInt64/u.bytes {
			return n * u.bytes, nil
		}
		break
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("%q is not a number of bytes above 0, such as 500MiB", s)
}
