package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"bawn.dev/internal/server"
	"bawn.dev/internal/verify"
)

type fsckCmd struct {
	Data     string   `required:"" type:"path" help:"Data directory."`
	Database string   `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
	Pin      []string `sep:"none" type:"existingfile" placeholder:"FILE" help:"A head of the record that was kept elsewhere (bawn serve --pin): the record must extend it. May be repeated."`
	Output   string   `enum:"text,json" default:"text" help:"text or json."`
}

// errProblems says that the check itself worked and found something.
var errProblems = errors.New("problems found")

func (c *fsckCmd) Run(ctx context.Context) error {
	in := server.CheckRequest{Operator: server.Operator()}
	for _, name := range c.Pin {
		head, err := verify.ReadFile(name)
		if err != nil {
			return err
		}
		in.Heads = append(in.Heads, string(head))
	}
	report, err := administrate(ctx, c.Data, c.Database, "/fsck", in, (*server.Server).Check)
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
		for _, n := range report.Notes {
			fmt.Println("note:", visible(n))
		}
		fmt.Printf("checked: %s; %d problems; %d orphans collected, %d blobs moved together\n",
			strings.Join(report.Checked, ", "), len(report.Problems), report.Orphans, report.Moved)
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("%d %w", len(report.Problems), errProblems)
	}
	return nil
}
