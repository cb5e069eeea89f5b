package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"bawn.dev/internal/server"
)

type networkCmd struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`

	VPC     []string `name:"vpc" placeholder:"VPC-ID" help:"Only this VPC. Repeat for more."`
	Account string   `help:"Only the VPCs of this account."`
	SVG     string   `name:"svg" placeholder:"FILE" help:"Write a drawing to this file instead; - is standard output."`
	Output  string   `enum:"text,json" default:"text" help:"text or json."`
}

// Help implements kong.HelpProvider.
func (c *networkCmd) Help() string {
	return "Shows VPCs, subnets, groups, endpoints and gateways as they are enforced now, and every flow that they let pass."
}

func (c *networkCmd) Run(ctx context.Context) error {
	in := server.NetworkRequest{Operator: server.Operator(), VPCs: c.VPC, Account: c.Account}
	m, err := administrate(ctx, c.Data, c.Database, "/network", in, (*server.Server).Network)
	if err != nil {
		return err
	}
	switch {
	case c.SVG == "-":
		return drawSVG(os.Stdout, m)
	case c.SVG != "":
		return written(c.SVG, func(to io.Writer) error { return drawSVG(to, m) })
	case c.Output == "json":
		text, err := json.Marshal(m)
		if err != nil {
			return err
		}
		fmt.Println(ascii(text))
		return nil
	}
	return drawText(os.Stdout, m)
}

// written makes a file of what is drawn.
func written(path string, draw func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := draw(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
