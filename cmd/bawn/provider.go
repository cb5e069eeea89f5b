package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"bawn.dev/internal/server"
	"bawn.dev/internal/signin"
)

type providerCmd struct {
	AddOIDC      providerAddOIDC      `cmd:"" name:"add-oidc" help:"Let people sign in at an OpenID provider."`
	AddSAML      providerAddSAML      `cmd:"" name:"add-saml" help:"Let people sign in at a SAML 2.0 provider."`
	List         providerList         `cmd:"" help:"List the external providers."`
	Remove       providerRemove       `cmd:"" help:"Remove an external provider: the sign-ins that it vouched for end."`
	AddClient    providerAddClient    `cmd:"" help:"Let an application sign people in here, and show its secret this once."`
	ListClients  providerListClients  `cmd:"" help:"List the applications."`
	RemoveClient providerRemoveClient `cmd:"" help:"Remove an application: its tokens end."`
	RotateKeys   providerRotateKeys   `cmd:"" help:"Make new keys that sign what applications are told. They sign from an hour on."`
}

type providerData struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
}

func (d *providerData) ask(ctx context.Context, req server.ProviderRequest) (*server.ProviderAnswer, error) {
	req.Operator = server.Operator()
	return administrate(ctx, d.Data, d.Database, "/provider", req, (*server.Server).Provider)
}

// providerPeople says who a provider's people are here.
type providerPeople struct {
	Create      bool              `help:"Make a person whom the directory does not know, without any rights."`
	Match       string            `enum:"userName,email,none" default:"userName" help:"What finds a person of the directory at her first sign-in: userName, email (only one that the provider has verified) or none."`
	MatchLinked bool              `name:"match-linked" help:"Match also who signs in by another provider: each of the two can then sign in as her."`
	Attribute   map[string]string `help:"The provider's name for one of userName, email, displayName, givenName, familyName, as userName=upn."`
	Replace     bool              `help:"Change the provider of this name: new keys, another secret, other people. Its issuer stays."`
	MFA         []string          `name:"mfa" help:"A value of amr or acr (OIDC), or a class of authentication (SAML), that means a second factor."`
}

func (p *providerPeople) into(to *signin.Provider) {
	to.Create, to.MatchLinked, to.Attributes, to.MFA = p.Create, p.MatchLinked, p.Attribute, p.MFA
	if p.Match != "none" {
		to.Match = p.Match
	}
}

type providerAddOIDC struct {
	providerData
	Name       string   `arg:"" help:"Its name here: people see it."`
	Issuer     string   `required:"" help:"Its issuer, as https://login.example.org."`
	ClientID   string   `required:"" name:"client-id" help:"The id that it gave to Bawn."`
	SecretFile string   `required:"" help:"File with the secret that it gave to Bawn; - reads standard input."`
	Scope      []string `default:"profile,email" help:"What to ask for beside openid."`
	providerPeople
}

func (c *providerAddOIDC) Run(ctx context.Context) error {
	secret, err := read(c.SecretFile)
	if err != nil {
		return err
	}
	p := &signin.Provider{ID: c.Name, Kind: signin.KindOIDC, Issuer: c.Issuer, ClientID: c.ClientID, Scopes: c.Scope}
	c.into(p)
	out, err := c.ask(ctx, server.ProviderRequest{Do: "add", Replace: c.Replace, Provider: p, Secret: strings.TrimSpace(string(secret))})
	if err != nil {
		return err
	}
	fmt.Printf("redirect URI  %s/oauth2/callback/%s\n", out.URL, c.Name)
	return nil
}

// read reads a file, or standard input.
func read(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(os.Stdin, 1<<20))
	}
	return os.ReadFile(name)
}

type providerAddSAML struct {
	providerData
	Name         string `arg:"" help:"Its name here: people see it."`
	Metadata     string `arg:"" help:"File with its metadata; - reads standard input."`
	IdPInitiated bool   `name:"idp-initiated" help:"Take people who begin at their provider. Whoever has an account there can then sign another's browser in as himself."`
	providerPeople
}

func (c *providerAddSAML) Run(ctx context.Context) error {
	metadata, err := read(c.Metadata)
	if err != nil {
		return err
	}
	p := &signin.Provider{ID: c.Name, Kind: signin.KindSAML, Metadata: string(bytes.TrimSpace(metadata)), IdPInitiated: c.IdPInitiated}
	c.into(p)
	out, err := c.ask(ctx, server.ProviderRequest{Do: "add", Replace: c.Replace, Provider: p})
	if err != nil {
		return err
	}
	fmt.Printf("entity and metadata  %s/saml/metadata/%s\nreceiver (ACS)       %[1]s/saml/acs/%s\n", out.URL, c.Name, c.Name)
	return nil
}

type providerList struct{ providerData }

func (c *providerList) Run(ctx context.Context) error {
	out, err := c.ask(ctx, server.ProviderRequest{Do: "list"})
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tISSUER\tMATCH\tCREATE")
	for _, p := range out.Providers {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%t\n", p.ID, p.Kind, p.Issuer, p.Match, p.Create)
	}
	return w.Flush()
}

type providerRemove struct {
	providerData
	Name string `arg:"" help:"Its name."`
}

func (c *providerRemove) Run(ctx context.Context) error {
	_, err := c.ask(ctx, server.ProviderRequest{Do: "remove", ID: c.Name})
	return err
}

type providerAddClient struct {
	providerData
	ID           string   `arg:"" help:"Client id."`
	RedirectURI  []string `required:"" name:"redirect-uri" sep:"none" help:"Where people are sent back to, letter by letter."`
	SignedOutURI []string `name:"signed-out-uri" sep:"none" help:"Where people may be sent after they signed out."`
	Group        []string `sep:"none" help:"Group whose people may use it; without any, everybody may."`
	Algorithm    string   `enum:"RS256,ES256" default:"RS256" help:"What signs id tokens: RS256 or ES256."`
	NoPKCE       bool     `name:"no-pkce" help:"Admit requests without a code challenge, of an application that cannot make one."`
}

func (c *providerAddClient) Run(ctx context.Context) error {
	out, err := c.ask(ctx, server.ProviderRequest{Do: "add-client", Groups: c.Group, Application: &signin.Application{
		ID: c.ID, RedirectURIs: c.RedirectURI, SignedOut: c.SignedOutURI, Algorithm: c.Algorithm, WithoutPKCE: c.NoPKCE,
	}})
	if err != nil {
		return err
	}
	fmt.Printf("issuer  %s/oidc\nclient  %s\nsecret  %s\n", out.URL, c.ID, out.Secret)
	fmt.Println("The secret is shown this once and stored nowhere.")
	return nil
}

type providerListClients struct{ providerData }

func (c *providerListClients) Run(ctx context.Context) error {
	out, err := c.ask(ctx, server.ProviderRequest{Do: "list-clients"})
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tALGORITHM\tGROUPS\tREDIRECT URIS")
	for _, a := range out.Applications {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", a.ID, a.Algorithm, strings.Join(a.Groups, " "), strings.Join(a.RedirectURIs, " "))
	}
	return w.Flush()
}

type providerRemoveClient struct {
	providerData
	ID string `arg:"" help:"Client id."`
}

func (c *providerRemoveClient) Run(ctx context.Context) error {
	_, err := c.ask(ctx, server.ProviderRequest{Do: "remove-client", ID: c.ID})
	return err
}

type providerRotateKeys struct {
	providerData
	Revoke bool `help:"End the old keys at once, and with them what they signed: for when one is in wrong hands."`
}

func (c *providerRotateKeys) Run(ctx context.Context) error {
	_, err := c.ask(ctx, server.ProviderRequest{Do: "rotate-keys", Revoke: c.Revoke})
	return err
}
