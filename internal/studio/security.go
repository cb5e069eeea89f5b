package studio

import (
	"strings"

	sign "bawn.dev/internal/shape/signin"
)

// securityPage is what a person proves herself with.
type securityPage struct {
	Devices   []sign.Device
	CodesLeft int32
	Password  bool // it is kept here
	Required  bool // a second factor is
	Fresh     bool // she signed in a moment ago, so that she may change it
}

// security lists a person's devices.
func (s *Studio) security(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	out, err := call[sign.ListDevicesOutput](v, "ListDevices", &sign.ListDevicesInput{Session: v.secret()})
	if err != nil {
		return err
	}
	p := securityPage{
		Devices: out.Devices, Required: v.own.MfaPolicy == sign.MfaPolicyRequired,
		Password: v.own.LocalPassword != nil && *v.own.LocalPassword, Fresh: v.own.Recent != nil && *v.own.Recent,
	}
	if out.RecoveryCodesLeft != nil {
		p.CodesLeft = *out.RecoveryCodesLeft
	}
	return v.shown("security", "Security", p)
}

func (s *Studio) renameDevice(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	_, err := call[sign.RenameDeviceOutput](v, "RenameDevice", &sign.RenameDeviceInput{Session: v.secret(), Id: v.form("id"), DeviceName: strings.TrimSpace(v.form("device"))})
	return v.done(err, "/start/security")
}

func (s *Studio) removeDevice(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	var err error
	if v.form("kind") == string(sign.DeviceKindPasskey) {
		_, err = call[sign.DeletePasskeyOutput](v, "DeletePasskey", &sign.DeletePasskeyInput{Session: v.secret(), Id: v.form("id")})
	} else {
		_, err = call[sign.DeleteTOTPOutput](v, "DeleteTOTP", &sign.DeleteTOTPInput{Session: v.secret(), Id: v.form("id")})
	}
	return v.done(err, "/start/security")
}

// done leads on after a change.
func (v *visit) done(err error, next string) error {
	if err != nil {
		return err
	}
	return v.to(next)
}

// A registration is a device on its way in.
type registration struct {
	Setup   string
	Totp    *sign.TotpSetup
	Options string // of a passkey, for the script
	Failure string
}

func (s *Studio) beginApp(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	out, err := call[sign.BeginTOTPOutput](v, "BeginTOTP", &sign.BeginTOTPInput{Session: v.secret()})
	if err != nil {
		return err
	}
	return v.shown("register", "Add an authenticator application", registration{Setup: out.Setup, Totp: out.Totp})
}

func (s *Studio) finishApp(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	out, err := call[sign.ConfirmTOTPOutput](v, "ConfirmTOTP", &sign.ConfirmTOTPInput{
		Session: v.secret(), Setup: v.form("setup"), Code: digits(v.form("code")), DeviceName: strings.TrimSpace(v.form("device")),
	})
	if err != nil {
		return err
	}
	if out.Failure != "" { // the setup is still good, and the application has it
		return v.shown("register", "Error: Add an authenticator application", registration{Setup: v.form("setup"), Failure: out.Message})
	}
	return v.registered(out.RecoveryCodes)
}

func (s *Studio) beginPasskey(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	out, err := call[sign.BeginPasskeyOutput](v, "BeginPasskey", &sign.BeginPasskeyInput{Session: v.secret()})
	if err != nil {
		return err
	}
	return v.shown("register", "Add a passkey", registration{Setup: out.Setup, Options: out.PasskeyOptions})
}

func (s *Studio) finishPasskey(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	out, err := call[sign.FinishPasskeyOutput](v, "FinishPasskey", &sign.FinishPasskeyInput{
		Session: v.secret(), Setup: v.form("setup"), Passkey: v.form("passkey"), DeviceName: strings.TrimSpace(v.form("device")),
	})
	if err != nil {
		return err
	}
	if out.Failure != "" {
		v.problem(400, problem{Title: "The passkey was not added", Text: out.Message, Link: "/start/security", Label: "Try again"})
		return nil
	}
	return v.registered(out.RecoveryCodes)
}

func (v *visit) registered(recovery []string) error {
	if len(recovery) == 0 {
		return v.to("/start/security")
	}
	return v.shown("codes", "Keep your recovery codes", codes{recovery, "/start/security"})
}

// codes are recovery codes, told once.
type codes struct {
	Codes []string
	Next  string
}

// Text is what is copied of them.
func (c codes) Text() string { return strings.Join(c.Codes, "\n") + "\n" }

func (s *Studio) newCodes(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	out, err := call[sign.CreateRecoveryCodesOutput](v, "CreateRecoveryCodes", &sign.CreateRecoveryCodesInput{Session: v.secret()})
	if err != nil {
		return err
	}
	return v.shown("codes", "Keep your recovery codes", codes{out.RecoveryCodes, "/start/security"})
}
