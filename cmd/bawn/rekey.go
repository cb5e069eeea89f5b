package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"bawn.dev/internal/rootkey"
	"bawn.dev/internal/server"
)

// rekeyCmd puts another root key in force, while the server runs or when none does.
type rekeyCmd struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
	To       string `required:"" enum:"file,passphrase,pkcs11" help:"What the new root key is: file (DIR/keys/root.key), passphrase or pkcs11."`
	tokenFlags
	newRootSecret
	rootSecret
	Output string `enum:"text,json" default:"text" help:"text or json."`
}

// tokenFlags say where a root key on a token is made.
type tokenFlags struct {
	PKCS11Module string `name:"pkcs11-module" type:"path" help:"The token's PKCS#11 library."`
	PKCS11Token  string `name:"pkcs11-token" help:"The token's label."`
}

func (t tokenFlags) check(kind string) error {
	if kind != rootkey.PKCS11 && (t.PKCS11Module != "" || t.PKCS11Token != "") {
		return errors.New("--pkcs11-module and --pkcs11-token are for a root key on a token: pkcs11")
	}
	if kind == rootkey.PKCS11 && (t.PKCS11Module == "" || t.PKCS11Token == "") {
		return errors.New("a root key on a token needs --pkcs11-module and --pkcs11-token")
	}
	return nil
}

func (c *rekeyCmd) Run(ctx context.Context) error {
	if err := c.check(c.To); err != nil {
		return err
	}
	if _, err := load(c.Data, c.Database); err != nil {
		return err // before anybody is asked for a secret
	}
	req := server.RekeyRequest{Operator: server.Operator(), To: c.To, Module: c.PKCS11Module, Token: c.PKCS11Token}
	var err error
	switch c.To {
	case rootkey.Passphrase:
		req.Secret, err = c.newRootSecret.ask("the new passphrase")
	case rootkey.PKCS11:
		req.Secret, err = secretFrom(c.NewSecretFile, c.NewSecretFD, credential+"-new", fmt.Sprintf("the PIN of the token %q", c.PKCS11Token), false)
	}
	if err != nil {
		return err
	}
	defer clear(req.Secret)
	answer, err := administrateWith(ctx, c.Data, c.Database, "/rekey", req, (*server.Server).Rekey, c.rootSecret.ask)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return json.NewEncoder(os.Stdout).Encode(answer)
	}
	fmt.Printf("in force  %s\nbefore    %s: it opens nothing any more\n", describe(answer.To), describe(answer.From))
	if answer.From.Kind == rootkey.PKCS11 {
		fmt.Println("Its key is still on the token: destroy it with the token's own program when no copy of this directory needs it.")
	}
	fmt.Println("Copy DIR/keys to where your backups are, with the database: an older copy of one does not open with the other.")
	return nil
}

func describe(r server.RootName) string {
	if r.Kind == rootkey.PKCS11 {
		return fmt.Sprintf("pkcs11, key %s on the token %q", r.Key, r.Token)
	}
	return r.Kind + " " + r.ID
}
