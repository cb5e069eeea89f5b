package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"text/tabwriter"

	"bawn.dev/internal/server"
)

// siteCmd manages addresses of the operator's own network that accounts may offer to
// VPCs, as endpoint services. Nobody can name one over the AWS API that is not here.
type siteCmd struct {
	Allow  siteAllow  `cmd:"" help:"Let an account offer an address outside all VPCs, under a name, by its endpoint services."`
	List   siteList   `cmd:"" help:"List the sites, with the target to name in an endpoint service."`
	Revoke siteRevoke `cmd:"" help:"Withdraw a site: connections to it end at once."`
}

type siteData struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
	Output   string `enum:"text,json" default:"text" help:"text or json."`
}

func (d *siteData) ask(ctx context.Context, req server.SiteRequest) error {
	req.Operator = server.Operator()
	sites, err := administrate(ctx, d.Data, d.Database, "/site", req, (*server.Server).Sites)
	if err != nil {
		return err
	}
	if d.Output == "json" {
		text, err := json.Marshal(sites)
		if err != nil {
			return err
		}
		fmt.Println(ascii(text))
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACCOUNT\tNAME\tADDRESS\tTARGET\tBY")
	for _, s := range sites {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Account, s.Name, net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port))), s.Target, visible(s.Operator))
	}
	return w.Flush()
}

type siteAllow struct {
	siteData
	Name    string `arg:"" help:"Its name: lower-case letters, digits and hyphens."`
	Address string `arg:"" placeholder:"HOST:PORT" help:"Where the server connects to: a host name or an IPv4 address, and a TCP port."`
	Account string `required:"" help:"The account that may offer it."`
}

func (c *siteAllow) Run(ctx context.Context) error {
	host, digits, err := net.SplitHostPort(c.Address)
	if err != nil {
		return fmt.Errorf("site: %q is not HOST:PORT", c.Address)
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return fmt.Errorf("site: %q is not a port", digits)
	}
	return c.ask(ctx, server.SiteRequest{Do: "allow", Account: c.Account, Name: c.Name, Host: host, Port: uint16(port)})
}

type siteList struct {
	siteData
	Account string `help:"Of this account only."`
}

func (c *siteList) Run(ctx context.Context) error {
	return c.ask(ctx, server.SiteRequest{Do: "list", Account: c.Account})
}

type siteRevoke struct {
	siteData
	Name    string `arg:"" help:"Its name."`
	Account string `required:"" help:"The account that it was for."`
}

func (c *siteRevoke) Run(ctx context.Context) error {
	return c.ask(ctx, server.SiteRequest{Do: "revoke", Account: c.Account, Name: c.Name})
}
