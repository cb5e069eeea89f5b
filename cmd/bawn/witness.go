package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bawn.dev/internal/config"
	"bawn.dev/internal/ledger"
	"bawn.dev/internal/netlimit"
	"bawn.dev/internal/witness"
)

// witnessCmd runs a witness, on another machine than the log's: one that those who
// administer the log do not.
type witnessCmd struct {
	Init  witnessInit  `cmd:"" help:"Make a witness's directory and key, and print its public key."`
	Serve witnessServe `cmd:"" help:"Serve it."`
}

type witnessInit struct {
	Dir  string `arg:"" type:"path" help:"Directory to make."`
	Name string `required:"" help:"The witness's name, such as witness.example/1: no spaces, no '+'."`
}

const witnessKey = "witness.key"

func (c *witnessInit) Run() error {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	cosigner, err := ledger.NewCosigner(c.Name, ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return err
	}
	path := filepath.Join(c.Dir, witnessKey)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is a witness's key already", path)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	if err := config.WriteFile(path, []byte(c.Name+" "+base64.StdEncoding.EncodeToString(seed)+"\n")); err != nil {
		return err
	}
	fmt.Println(cosigner.Public())
	return nil
}

type witnessServe struct {
	Dir     string   `arg:"" type:"existingdir" help:"Directory that bawn witness init made."`
	Log     []string `required:"" sep:"none" placeholder:"KEY" help:"Public key of a log to witness, as bawn verify key prints it. May be repeated."`
	Listen  string   `default:"127.0.0.1:4681" help:"ADDR:PORT. Without a certificate on a loopback address only, for a proxy in front."`
	TLSCert string   `name:"tls-cert" type:"existingfile" help:"Certificate chain, PEM."`
	TLSKey  string   `name:"tls-key" type:"existingfile" help:"Its key, PEM."`
}

// witnessConnections bounds what strangers may hold open. A log needs one.
var witnessConnections = netlimit.Limits{PerSource: 32, Total: 512}

func (c *witnessServe) Run(ctx context.Context) error {
	addr, err := netip.ParseAddrPort(c.Listen)
	if err != nil {
		return err
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key belong together")
	}
	if c.TLSCert == "" && !addr.Addr().IsLoopback() {
		return errors.New("without --tls-cert a witness listens on a loopback address only")
	}
	raw, err := os.ReadFile(filepath.Join(c.Dir, witnessKey))
	if err != nil {
		return err
	}
	name, encoded, _ := strings.Cut(strings.TrimSpace(string(raw)), " ")
	seed, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(seed) != ed25519.SeedSize {
		return fmt.Errorf("%s is not a witness's key", witnessKey)
	}
	cosigner, err := ledger.NewCosigner(name, ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return err
	}
	var logs []ledger.Verifier
	for _, text := range c.Log {
		v, err := ledger.ParseVerifier(text)
		if err != nil {
			return err
		}
		logs = append(logs, v)
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	l = netlimit.Listen(l, witnessConnections)
	srv := &http.Server{Handler: witness.New(c.Dir, cosigner, logs, time.Now), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	go func() {
		<-ctx.Done()
		srv.Close()
	}()
	logger().Info("serving", "address", l.Addr().String(), "witness", name, "logs", len(logs))
	if c.TLSCert != "" {
		err = srv.ServeTLS(l, c.TLSCert, c.TLSKey)
	} else {
		err = srv.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
