package main

import (
	"context"
	"fmt"

	"bawn.dev/internal/server"
)

type unlockCmd struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
	Bucket   string `arg:"" help:"Its name."`
}

// Run shows the policy that it removed: so it can be mended and put again.
func (c *unlockCmd) Run(ctx context.Context) error {
	in := server.UnlockRequest{Operator: server.Operator(), Bucket: c.Bucket}
	out, err := administrate(ctx, c.Data, c.Database, "/unlock-bucket", in, (*server.Server).UnlockBucket)
	if err != nil {
		return err
	}
	fmt.Println(string(out.Policy))
	return nil
}
