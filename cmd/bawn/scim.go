package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"bawn.dev/internal/server"
)

// scimCmd manages the tokens of identity providers. Two are valid at a time, so that
// one can follow the other without a gap.
type scimCmd struct {
	CreateToken scimCreateCmd `cmd:"" help:"Make a token, valid for a year, and show it this once."`
	ListTokens  scimListCmd   `cmd:"" help:"List the tokens, without their text."`
	DeleteToken scimDeleteCmd `cmd:"" help:"End a token: the next request with it is refused."`
}

type scimCreateCmd struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
	Output   string `enum:"text,json" default:"text" help:"text or json."`
}

func (c *scimCreateCmd) Run(ctx context.Context) error {
	in := server.ScimRequest{Operator: server.Operator()}
	t, err := administrate(ctx, c.Data, c.Database, "/scim/create-token", in, (*server.Server).CreateScimToken)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return json.NewEncoder(os.Stdout).Encode(t)
	}
	fmt.Printf("endpoint  %s\ntoken     %s\nid        %s\nexpires   %s\n", t.URL, t.Text, t.ID, t.Expires.Format(time.DateOnly))
	fmt.Println("The token is shown this once and stored nowhere.")
	return nil
}

type scimListCmd struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
	Output   string `enum:"text,json" default:"text" help:"text or json."`
}

func (c *scimListCmd) Run(ctx context.Context) error {
	in := server.ScimRequest{Operator: server.Operator()}
	list, err := administrate(ctx, c.Data, c.Database, "/scim/list-tokens", in, (*server.Server).ListScimTokens)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return json.NewEncoder(os.Stdout).Encode(list)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tCREATED\tEXPIRES")
	for _, t := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\n", t.ID, t.Created.Format(time.DateOnly), t.Expires.Format(time.DateOnly))
	}
	return w.Flush()
}

type scimDeleteCmd struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
	ID       string `arg:"" help:"Id of the token."`
}

func (c *scimDeleteCmd) Run(ctx context.Context) error {
	in := server.ScimDeletion{Operator: server.Operator(), ID: c.ID}
	_, err := administrate(ctx, c.Data, c.Database, "/scim/delete-token", in, (*server.Server).DeleteScimToken)
	return err
}
