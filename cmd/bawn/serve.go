package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"bawn.dev/internal/config"
	"bawn.dev/internal/locked"
	"bawn.dev/internal/rootkey"
	"bawn.dev/internal/server"
)

type initCmd struct {
	Data      string   `required:"" type:"path" help:"Directory to make."`
	AccountID string   `default:"${account}" help:"Management account, twelve digits."`
	Region    string   `default:"${region}" help:"The one region that is served."`
	Host      []string `help:"Name under which people reach Bawn, besides localhost. May be repeated. The CA can certify these names only."`
	Listen    string   `default:"${listen}" help:"Address that goes into the AWS profile."`
	PlainHTTP bool     `name:"plain-http" help:"The profile names a plain HTTP endpoint (loopback only)."`
	Database  string   `env:"BAWN_DATABASE" help:"postgres:// URL instead of the embedded database."`
	Blobs     string   `env:"BAWN_BLOBS" help:"${blobs}"`
	Root      string   `enum:"file,passphrase,pkcs11" default:"file" help:"What the root key is: file (DIR/keys/root.key), passphrase or pkcs11. bawn rekey changes it."`
	tokenFlags
	rootSecret
}

func (c *initCmd) Run(ctx context.Context) error {
	if err := c.check(c.Root); err != nil {
		return err
	}
	fresh := func(what string) ([]byte, error) {
		return secretFrom(c.RootSecretFile, c.RootSecretFD, credential, what, c.Root == rootkey.Passphrase)
	}
	cfg := config.Config{
		Root: config.Root{Kind: c.Root, Module: c.PKCS11Module, Token: c.PKCS11Token, Secret: fresh}, Secret: c.ask,
		Fixed: config.Fixed{AccountID: c.AccountID, Region: c.Region, Hosts: c.Host},
		Data:  c.Data, Listen: c.Listen, PlainHTTP: c.PlainHTTP, Database: c.Database, Blobs: c.Blobs,
	}
	if err := server.Init(ctx, cfg, logger()); err != nil {
		if errors.Is(err, server.ErrInitialized) {
			return fmt.Errorf("%s: %w", c.Data, err)
		}
		return err
	}
	fmt.Printf("initialized %s: account %s, region %s\n", c.Data, c.AccountID, c.Region)
	fmt.Printf("first administrator: AWS_SHARED_CREDENTIALS_FILE=%s AWS_CONFIG_FILE=%s AWS_PROFILE=bawn\n",
		filepath.Join(c.Data, "aws", "credentials"), filepath.Join(c.Data, "aws", "config"))
	fmt.Printf("next: bawn serve --data %s\n", c.Data)
	return nil
}

type serveCmd struct {
	Data        string        `required:"" type:"path" help:"Directory that bawn init made."`
	Listen      string        `default:"${listen}" help:"ADDR:PORT for people's clients."`
	PlainHTTP   bool          `name:"plain-http" help:"Without TLS; on a loopback address only."`
	Database    string        `env:"BAWN_DATABASE" help:"postgres:// URL instead of the embedded database."`
	Blobs       string        `env:"BAWN_BLOBS" help:"${blobs}"`
	AllowEgress []string      `help:"HOST:PORT that egress rules may open though its address is not public, such as a mirror in your network. May be repeated."`
	AllowFetch  []string      `help:"HOST:PORT of an identity provider that the server may ask though its address is private. May be repeated."`
	Pin         []string      `sep:"none" type:"path" placeholder:"FILE" help:"A file elsewhere, such as on a share, that remembers the record's newest head: make it empty to begin. May be repeated."`
	Witness     []string      `sep:"none" placeholder:"URL#KEY" help:"A witness that co-signs the record's heads (C2SP tlog-witness): its URL and its public key. May be repeated."`
	TrailPeriod time.Duration `default:"5m" help:"How often CloudTrail trails deliver, from 1s to 1h."`
	Export      string        `placeholder:"FILE" help:"Write every record, as a line of JSON, to this file (absolute path), or to whoever listens on unix:SOCKET."`
	Retain      int           `default:"0" placeholder:"DAYS" help:"Prune records that are older; the tree and its proofs stay. 0 keeps them for ever."`
	rootSecret
}

func (c *serveCmd) Run(ctx context.Context) error {
	tune()
	cfg, err := load(c.Data, c.Database)
	if err != nil {
		return err
	}
	cfg.Listen, cfg.PlainHTTP, cfg.AllowFetch, cfg.AllowEgress, cfg.Secret, cfg.Blobs = c.Listen, c.PlainHTTP, c.AllowFetch, c.AllowEgress, c.ask, c.Blobs
	cfg.TrailPeriod, cfg.Pins, cfg.Witnesses = c.TrailPeriod, c.Pin, c.Witness
	cfg.Export, cfg.Retain = c.Export, c.Retain
	if err := cfg.Validate(); err != nil {
		return err
	}
	log := logger()
	all := locked.All()
	s, err := server.Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer s.Close()
	tellMemory(log, all, s.Memory())
	return s.Serve(ctx, func(addr string) {
		log.Info("serving", "address", addr, "account", cfg.AccountID, "region", cfg.Region, "version", version(), "crypto", module())
	})
}

// tellMemory says what the host lets us keep out of swap.
func tellMemory(log *slog.Logger, all bool, keys locked.Status) {
	switch {
	case all:
		log.Info("memory", "core dumps", "off", "locked", "all")
	case keys.Unlocked == 0:
		log.Info("memory", "core dumps", "off", "locked", "keys", "bytes", keys.Locked)
	default:
		log.Warn("memory", "core dumps", "off", "locked", "not all keys", "bytes", keys.Locked, "unlocked", keys.Unlocked, "because", keys.Err,
			"help", "raise the limit on locked memory (systemd: LimitMEMLOCK=infinity), or use no swap")
	}
}

// load reads what init fixed. Where sealed bytes are is the environment's word for
// commands that have no flag for it.
func load(data, database string) (config.Config, error) {
	fixed, err := config.Load(data)
	if err != nil {
		return config.Config{}, fmt.Errorf("%s: %w", data, err)
	}
	return config.Config{Fixed: fixed, Data: data, Database: database, Blobs: os.Getenv("BAWN_BLOBS"), Listen: config.DefaultListen}, nil
}

// administrate runs an administration command: through the running server, or, if
// none runs, on the data directory itself.
func administrate[In, Out any](ctx context.Context, data, database, path string, in In, local func(*server.Server, context.Context, In) (Out, error)) (Out, error) {
	return administrateWith(ctx, data, database, path, in, local, rootSecret{RootSecretFile: os.Getenv("BAWN_ROOT_SECRET_FILE"), RootSecretFD: -1}.ask)
}

// administrateWith is administrate, with who tells the root key's secret if none runs.
func administrateWith[In, Out any](ctx context.Context, data, database, path string, in In, local func(*server.Server, context.Context, In) (Out, error),
	secret func(string) ([]byte, error)) (Out, error) {
	var out Out
	cfg, err := load(data, database)
	if err != nil {
		return out, err
	}
	cfg.Secret = secret
	err = server.AskRunning(ctx, cfg, path, in, &out)
	if !errors.Is(err, server.ErrNotRunning) {
		return out, err
	}
	s, err := server.Open(ctx, cfg, logger())
	if err != nil {
		return out, err
	}
	defer s.Close()
	defer s.Settle(ctx)
	return local(s, ctx, in)
}
