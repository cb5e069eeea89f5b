package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/server"
	"bawn.dev/internal/verify"
)

// verifyCmd takes the record out of the house and checks what was taken. The second half
// works anywhere: with public keys and files.
type verifyCmd struct {
	Key    verifyKey    `cmd:"" help:"Print the public key of the record. Keep it where who could change the record cannot."`
	Export verifyExport `cmd:"" help:"Copy the record into a directory, or bring a copy up to date: checkpoint, tiles of the tree, records."`
	Prove  verifyProve  `cmd:"" help:"Print the proof of one event: record, place, hashes, checkpoint."`
	Extend verifyExtend `cmd:"" help:"Print the newest checkpoint with the proof that it extends an older one."`
	Status verifyStatus `cmd:"" help:"Say what remembers the newest checkpoint outside the database, files and witnesses of the running server, and how far its export is."`

	Log    verifyLog    `cmd:"" help:"Offline: check a copy of the record, or a range of it."`
	Record verifyRecord `cmd:"" help:"Offline: check the proof of one event, and print the event."`
	Heads  verifyHeads  `cmd:"" help:"Offline: check that one checkpoint extends another."`
	Trail  verifyTrail  `cmd:"" help:"Offline: check the files of a trail's bucket: digests and logs."`
}

type verifyData struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
}

func (d verifyData) key(ctx context.Context) (string, error) {
	k, err := administrate(ctx, d.Data, d.Database, "/record/key", server.RecordKeyRequest{Operator: server.Operator()}, (*server.Server).RecordKey)
	if err != nil {
		return "", err
	}
	return k.Key, nil
}

type verifyKey struct{ verifyData }

func (c *verifyKey) Run(ctx context.Context) error {
	key, err := c.key(ctx)
	if err != nil {
		return err
	}
	fmt.Println(key)
	return nil
}

type verifyExport struct {
	verifyData
	To string `arg:"" type:"path" help:"The copy's directory. One that holds a copy takes only what is new, and only if it extends that copy."`
}

func (c *verifyExport) Run(ctx context.Context) error {
	text, err := c.key(ctx)
	if err != nil {
		return err
	}
	key, err := ledger.ParseVerifier(text)
	if err != nil {
		return err
	}
	m, err := verify.OpenMirror(c.To, key)
	if err != nil {
		return err
	}
	defer m.Close()
	before, gone := m.Size(), int64(0)
	err = c.stream(ctx, server.ExportRequest{Operator: server.Operator(), From: before}, func(from io.Reader) (err error) {
		gone, err = m.Receive(from)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", c.To, err)
	}
	fmt.Printf("%s: %d leaves, %d of them new\n", c.To, m.Size(), m.Size()-before)
	if n := m.Pruned(); n > 0 {
		fmt.Printf("%d of the new leaves are without their record: it was pruned\n", n)
	}
	fmt.Printf("key: %s\n", key)
	if gone > 0 {
		return fmt.Errorf("%d of the new leaves have no record any more, or another than was sealed: bawn fsck tells: %w", gone, errProblems)
	}
	return nil
}

// stream asks the running server or, if none runs, the data directory.
func (c *verifyExport) stream(ctx context.Context, req server.ExportRequest, read func(io.Reader) error) error {
	cfg, err := load(c.Data, c.Database)
	if err != nil {
		return err
	}
	err = server.StreamRunning(ctx, cfg, "/record/export", req, read)
	if !errors.Is(err, server.ErrNotRunning) {
		return err
	}
	cfg.Secret = rootSecret{RootSecretFile: os.Getenv("BAWN_ROOT_SECRET_FILE"), RootSecretFD: -1}.ask
	s, err := server.Open(ctx, cfg, logger())
	if err != nil {
		return err
	}
	defer s.Close()
	from, to := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		to.CloseWithError(s.ExportRecord(ctx, req, to))
	}()
	err = read(from)
	from.Close()
	<-done
	return err
}

type verifyProve struct {
	verifyData
	Event  string `arg:"" optional:"" name:"event-id" help:"The event's eventID, as bawn audit --output json shows it."`
	Record string `type:"existingfile" placeholder:"FILE" help:"Instead of it, a file that holds the event, byte for byte: of one that was pruned."`
}

// Validate implements kong's.
func (c *verifyProve) Validate() error {
	if (c.Event == "") == (c.Record == "") {
		return errors.New("give the event's id, or --record")
	}
	return nil
}

func (c *verifyProve) Run(ctx context.Context) error {
	req := server.ProveRequest{Operator: server.Operator(), EventID: c.Event}
	var record []byte
	if c.Record != "" {
		text, err := os.ReadFile(c.Record)
		if err != nil {
			return err
		}
		record = bytes.TrimSuffix(text, []byte("\n"))
		leaf := ledger.LeafHash(record)
		req.Leaf = leaf[:]
	}
	out, err := administrate(ctx, c.Data, c.Database, "/record/prove", req, (*server.Server).Prove)
	if err != nil {
		return err
	}
	if record != nil {
		proof, err := ledger.ParseProof([]byte(out.Text))
		if err != nil {
			return err
		}
		proof.Record = record
		out.Text = string(proof.Text())
	}
	_, err = os.Stdout.WriteString(out.Text)
	return err
}

type verifyExtend struct {
	verifyData
	Checkpoint string `arg:"" type:"existingfile" help:"The older checkpoint."`
}

func (c *verifyExtend) Run(ctx context.Context) error {
	text, err := c.key(ctx)
	if err != nil {
		return err
	}
	key, err := ledger.ParseVerifier(text)
	if err != nil {
		return err
	}
	signed, err := verify.ReadFile(c.Checkpoint)
	if err != nil {
		return err
	}
	old, err := key.Open(signed)
	if err != nil {
		return err
	}
	req := server.ExtendRequest{Operator: server.Operator(), Old: old.Size}
	out, err := administrate(ctx, c.Data, c.Database, "/record/extend", req, (*server.Server).Extend)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(out.Text, "old ") {
		return errors.New("the server gave no proof")
	}
	_, err = os.Stdout.WriteString(out.Text)
	return err
}

type verifyStatus struct {
	Data   string `required:"" type:"path" help:"Data directory of the running server."`
	Output string `enum:"text,json" default:"text" help:"text or json."`
}

func (c *verifyStatus) Run(ctx context.Context) error {
	cfg, err := load(c.Data, "")
	if err != nil {
		return err
	}
	var out server.RecordMemories
	if err := server.AskRunning(ctx, cfg, "/record/memories", server.RememberedRequest{Operator: server.Operator()}, &out); err != nil {
		return err
	}
	troubled := 0
	for _, m := range out.Memories {
		if m.Trouble != "" {
			troubled++
		}
	}
	if c.Output == "json" {
		text, err := json.Marshal(out)
		if err != nil {
			return err
		}
		fmt.Println(ascii(text))
	} else {
		fmt.Printf("the newest checkpoint is over %d records\n", out.Size)
		for _, m := range out.Memories {
			at := "not asked yet"
			if m.At != nil {
				at = fmt.Sprintf("remembers %d records since %s", m.Size, m.At.UTC().Format(time.RFC3339))
			}
			fmt.Printf("%s: %s\n", visible(m.Name), at)
			if m.Trouble != "" {
				fmt.Printf("problem: %s: %s\n", visible(m.Name), visible(m.Trouble))
			}
		}
	}
	if e := out.Export; e != nil && c.Output == "text" {
		fmt.Printf("%s: exported up to record %d, %d to go\n", visible(e.To), e.Seq, e.Behind)
		if e.Trouble != "" {
			fmt.Printf("problem: %s: %s\n", visible(e.To), visible(e.Trouble))
		}
	}
	if out.Export != nil && out.Export.Trouble != "" {
		troubled++
	}
	if troubled > 0 {
		return fmt.Errorf("%d %w", troubled, errProblems)
	}
	return nil
}
