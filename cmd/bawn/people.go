package main

import (
	"context"
	"fmt"

	"bawn.dev/internal/server"
)

type peopleCmd struct {
	SetPassword peopleSetPassword `cmd:"" help:"Give somebody a one-time password, which she must change when she signs in with it."`
	Unlock      peopleUnlock      `cmd:"" help:"Forget the wrong passwords and codes that somebody was tried with."`
	ResetMFA    peopleResetMFA    `cmd:"" name:"reset-mfa" help:"Take somebody's devices and recovery codes, and end her sessions."`
	EndSessions peopleEndSessions `cmd:"" help:"Sign somebody out everywhere, and end what runs on her behalf."`
	MFAPolicy   peopleMFAPolicy   `cmd:"" name:"mfa-policy" help:"Show or change when a second factor is needed."`
}

// peopleData is where the people are.
type peopleData struct {
	Data     string `required:"" type:"path" help:"Data directory."`
	Database string `env:"BAWN_DATABASE" help:"postgres:// URL, if the server uses one."`
}

func (d *peopleData) ask(ctx context.Context, req server.PeopleRequest) (*server.PeopleAnswer, error) {
	req.Operator = server.Operator()
	return administrate(ctx, d.Data, d.Database, "/people", req, (*server.Server).People)
}

// peopleUser is who is meant.
type peopleUser struct {
	peopleData
	User string `arg:"" help:"User name, or id in the identity store."`
}

type peopleSetPassword struct{ peopleUser }

func (c *peopleSetPassword) Run(ctx context.Context) error {
	out, err := c.ask(ctx, server.PeopleRequest{Do: "set-password", User: c.User})
	if err != nil {
		return err
	}
	fmt.Println(out.Password)
	return nil
}

type peopleUnlock struct{ peopleUser }

func (c *peopleUnlock) Run(ctx context.Context) error {
	_, err := c.ask(ctx, server.PeopleRequest{Do: "unlock", User: c.User})
	return err
}

type peopleResetMFA struct{ peopleUser }

func (c *peopleResetMFA) Run(ctx context.Context) error {
	_, err := c.ask(ctx, server.PeopleRequest{Do: "reset-mfa", User: c.User})
	return err
}

type peopleEndSessions struct{ peopleUser }

func (c *peopleEndSessions) Run(ctx context.Context) error {
	_, err := c.ask(ctx, server.PeopleRequest{Do: "end-sessions", User: c.User})
	return err
}

type peopleMFAPolicy struct {
	peopleData
	Policy string `arg:"" optional:"" enum:"required,when-registered," default:"" help:"required (from everybody, and registered at the first sign-in) or when-registered (from who has a device)."`
}

func (c *peopleMFAPolicy) Run(ctx context.Context) error {
	out, err := c.ask(ctx, server.PeopleRequest{Do: "mfa-policy", Policy: c.Policy})
	if err != nil {
		return err
	}
	fmt.Println(out.Policy)
	return nil
}
