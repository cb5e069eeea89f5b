package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/verify"
)

// offline is what all checks of files share.
type offline struct {
	Output string `enum:"text,json" default:"text" help:"text or json."`
}

// show prints a report; problems are exit code 4.
func (o offline) show(r *verify.Report) error {
	if o.Output == "json" {
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		fmt.Println(ascii(text))
	} else {
		for _, p := range r.Problems {
			fmt.Printf("problem: %s: %s\n", visible(p.Where), visible(p.What))
		}
		if r.Truncated {
			fmt.Println("problem: and more")
		}
		for _, n := range r.Notes {
			fmt.Println("note:", visible(n))
		}
		of := r.Of
		if r.Log != "" {
			of += fmt.Sprintf(" %s, %d leaves signed", visible(r.Log), r.Size)
		}
		fmt.Printf("%s: %d hold, %d problems\n", of, r.Checked, len(r.Problems))
	}
	if len(r.Problems) > 0 {
		return fmt.Errorf("%d %w", len(r.Problems), errProblems)
	}
	return nil
}

// keyFlag is the record's public key.
type keyFlag struct {
	Key     string   `required:"" help:"The record's public key, as bawn verify key printed it, or a file that holds it."`
	Witness []string `sep:"none" placeholder:"KEY" help:"Public key of a witness that must have co-signed a checkpoint of this check. May be repeated."`
}

func (k keyFlag) witnesses() ([]ledger.Witness, error) {
	var all []ledger.Witness
	for _, text := range k.Witness {
		w, err := ledger.ParseWitness(text)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

func (k keyFlag) verifier() (ledger.Verifier, error) {
	if v, err := ledger.ParseVerifier(k.Key); err == nil {
		return v, nil
	}
	text, err := verify.ReadFile(k.Key)
	if err != nil {
		return ledger.Verifier{}, fmt.Errorf("--key is neither a key nor a file of one: %w", err)
	}
	return ledger.ParseVerifier(strings.TrimSpace(string(text)))
}

type verifyLog struct {
	offline
	keyFlag
	Dir   string   `arg:"" type:"existingdir" help:"The copy that bawn verify export made."`
	From  int64    `default:"-1" help:"Check only from this leaf on."`
	To    int64    `default:"-1" help:"Check only up to this leaf, which is the last."`
	Known []string `type:"existingfile" help:"A checkpoint that was kept elsewhere: the log must extend it. May be repeated."`
}

func (c *verifyLog) Run() error {
	key, err := c.verifier()
	if err != nil {
		return err
	}
	witnesses, err := c.witnesses()
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	log := verify.Log{Files: root.FS(), Key: key}
	if c.From < 0 && c.To < 0 {
		known := make([][]byte, len(c.Known))
		for i, name := range c.Known {
			if known[i], err = verify.ReadFile(name); err != nil {
				return err
			}
		}
		head, err := log.Signed()
		if err != nil {
			return err
		}
		report := log.Whole(known...)
		report.Witnessed(witnesses, append(known, head)...)
		return c.show(report)
	}
	if len(c.Known)+len(c.Witness) > 0 {
		return fmt.Errorf("--known and --witness are for a check of the whole log")
	}
	from, to := max(c.From, 0), c.To+1
	if c.To < 0 {
		if to, err = log.Size(); err != nil {
			return err
		}
	}
	return c.show(log.Range(from, to))
}

type verifyRecord struct {
	offline
	keyFlag
	Proof string `arg:"" type:"existingfile" help:"The proof that bawn verify prove printed."`
}

func (c *verifyRecord) Run() error {
	key, err := c.verifier()
	if err != nil {
		return err
	}
	text, err := verify.ReadFile(c.Proof)
	if err != nil {
		return err
	}
	witnesses, err := c.witnesses()
	if err != nil {
		return err
	}
	report, record := verify.Record(key, text)
	if p, err := ledger.ParseProof(text); err == nil {
		report.Witnessed(witnesses, p.Signed)
	}
	if record != nil && c.Output == "text" {
		fmt.Println(ascii(record))
	}
	return c.show(report)
}

type verifyHeads struct {
	offline
	keyFlag
	Older string `arg:"" type:"existingfile" help:"A checkpoint."`
	Newer string `arg:"" type:"existingfile" help:"Another, or what bawn verify extend printed."`
	Log   string `type:"existingdir" help:"A copy of the record that proves it, if NEWER does not."`
}

func (c *verifyHeads) Run() error {
	key, err := c.verifier()
	if err != nil {
		return err
	}
	older, err := verify.ReadFile(c.Older)
	if err != nil {
		return err
	}
	newer, err := verify.ReadFile(c.Newer)
	if err != nil {
		return err
	}
	prove := func(ledger.Checkpoint, ledger.Checkpoint) ([]ledger.Hash, error) {
		return nil, fmt.Errorf("give --log, or what bawn verify extend printed")
	}
	if bytes.HasPrefix(newer, []byte("old ")) {
		e, err := ledger.ParseExtension(newer)
		if err != nil {
			return err
		}
		newer = e.Signed
		prove = func(ledger.Checkpoint, ledger.Checkpoint) ([]ledger.Hash, error) { return e.Hashes, nil }
	}
	if c.Log != "" {
		root, err := os.OpenRoot(c.Log)
		if err != nil {
			return err
		}
		defer root.Close()
		prove = verify.Log{Files: root.FS(), Key: key}.Prove
	}
	witnesses, err := c.witnesses()
	if err != nil {
		return err
	}
	report := verify.Heads(key, older, newer, prove)
	report.Witnessed(witnesses, older, newer)
	return c.show(report)
}

type verifyTrail struct {
	offline
	Dir       string `arg:"" type:"existingdir" help:"A copy of the bucket, a file for each object under its key (aws s3 sync)."`
	Keys      string `required:"" type:"existingfile" help:"What aws cloudtrail list-public-keys printed."`
	Signature string `help:"The newest digest's signature, from its object's metadata; instead of a file DIGEST.signature."`
}

func (c *verifyTrail) Run() error {
	text, err := verify.ReadFile(c.Keys)
	if err != nil {
		return err
	}
	keys, err := verify.ParseKeys(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Keys, err)
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return c.show(verify.Trail{Files: root.FS(), Keys: keys, Newest: c.Signature}.Check())
}
