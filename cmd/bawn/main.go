// Command bawn is the one binary: it makes a data directory, serves it, and
// answers an administrator's questions about it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"bawn.dev/internal/config"
	"bawn.dev/internal/locked"
	"bawn.dev/internal/server"
)

// Exit codes beyond 0 and 1.
const (
	exitUsage    = 2
	exitNotReady = 3 // not initialized, or not running
	exitProblems = 4 // fsck or verify found something, or serve that the record is not what it was
	exitDenied   = 5 // explain, reach: it would be denied
)

type cli struct {
	Init        initCmd        `cmd:"" help:"Make a data directory: keys, CA, organization, first administrator."`
	Serve       serveCmd       `cmd:"" help:"Serve the AWS APIs over a data directory."`
	Host        hostCmd        `cmd:"" help:"Run workloads and networks on this machine, as root."`
	Audit       auditCmd       `cmd:"" help:"Show the record: who did what, in which role, on whose behalf."`
	Explain     explainCmd     `cmd:"" help:"Say why something would be allowed or denied."`
	Network     networkCmd     `cmd:"" help:"Show the networks as they are enforced, and every flow that they let pass; or draw them."`
	Reach       reachCmd       `cmd:"" help:"Say whether a packet would pass between two places, and why."`
	Fsck        fsckCmd        `cmd:"" help:"Check the database, the record and the stored bytes."`
	Verify      verifyCmd      `cmd:"" help:"Take the record out, and check offline what was taken out."`
	Witness     witnessCmd     `cmd:"" help:"Remember the heads of other logs, and co-sign what extends them."`
	Rekey       rekeyCmd       `cmd:"" help:"Put another root key in force: a file, a passphrase or a PKCS#11 token."`
	Image       imageCmd       `cmd:"" help:"Manage the images that workloads run."`
	Scim        scimCmd        `cmd:"" help:"Manage the tokens with which an identity provider provisions people and groups."`
	People      peopleCmd      `cmd:"" help:"Manage how people sign in: passwords, second factors, sessions."`
	Provider    providerCmd    `cmd:"" help:"Manage who else signs people in, and the applications that sign people in here."`
	Directory   directoryCmd   `cmd:"" help:"Manage the LDAP directories that people and groups come from."`
	Egress      egressCmd      `cmd:"" help:"Manage which names outside workloads may reach: none, unless allowed here."`
	Site        siteCmd        `cmd:"" help:"Manage which addresses of your own network accounts may offer to VPCs."`
	Unlock      unlockCmd      `cmd:"" name:"unlock-bucket" help:"Remove a bucket's policy that locks everyone out."`
	Login       loginCmd       `cmd:"" help:"Sign in, and write a profile for AWS's tools."`
	Credentials credentialsCmd `cmd:"" help:"Print a profile's credentials, as AWS's tools ask for them."`
	Logout      logoutCmd      `cmd:"" help:"Sign a profile out."`
	Version     versionCmd     `cmd:"" help:"Show version, Go toolchain and cryptographic module."`
}

func main() {
	if code, shim := runShim(); shim {
		os.Exit(code)
	}
	if err := locked.NoDumps(); err != nil {
		fmt.Fprintln(os.Stderr, "bawn:", err)
		os.Exit(1)
	}
	var c cli
	parser, err := kong.New(&c, kong.Name("bawn"), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Description("A self-hosted, secure environment for machine-learning teams that speaks AWS's protocols."),
		variables())
	if err != nil {
		panic(err)
	}
	k, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bawn:", err)
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	k.BindTo(ctx, (*context.Context)(nil))
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "bawn:", err)
		os.Exit(exitCode(err))
	}
}

func exitCode(err error) int {
	switch {
	case errors.Is(err, config.ErrNotInitialized), errors.Is(err, server.ErrRunning), errors.Is(err, server.ErrNotRunning):
		return exitNotReady
	case errors.Is(err, errProblems), server.Altered(err):
		return exitProblems
	case errors.Is(err, errDenied):
		return exitDenied
	}
	return 1
}

func logger() *slog.Logger { return slog.New(slog.NewTextHandler(os.Stderr, nil)) }

// variables are what the help of flags names.
func variables() kong.Vars {
	return kong.Vars{"account": config.DefaultAccountID, "region": config.DefaultRegion, "listen": config.DefaultListen,
		"blobs": "s3://BUCKET/PREFIX?endpoint=URL&region=REGION&profile=PROFILE, a bucket elsewhere that keeps the sealed bytes instead of DIR/blobs."}
}
