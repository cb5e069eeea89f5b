package studio

import (
	"net/http"
	"slices"
	"strings"

	sign "bawn.dev/internal/shape/signin"
)

// name asks who wants to sign in.
func (s *Studio) name(v *visit) error {
	return v.shown("name", "Sign in", struct{ Next string }{Next(v.r.URL.Query().Get("next"))})
}

// A step is what a sign-in asks next.
type step struct {
	UserName  string
	Flow      string
	Next      string // where the sign-in leads to
	Ways      []string
	Providers []string
	Options   string // of a passkey, for the script
	Totp      *sign.TotpSetup
	Failure   string
	Wait      int32 // seconds
}

// Can says whether a step can be taken in a way.
func (p step) Can(way string) bool { return slices.Contains(p.Ways, way) }

// Begin, Change and Register say which of the steps it is.
func (p step) Begin() bool { return p.Can("password") }

// Change is the step that wants a new password.
func (p step) Change() bool { return p.Can("newPassword") }

// Register is the step that wants a first device.
func (p step) Register() bool { return p.Can("registerTotp") || p.Can("registerPasskey") }

const redirect = "redirect:"

func providersIn(ways []string) (ids []string) {
	for _, w := range ways {
		if id, ok := strings.CutPrefix(w, redirect); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// begin begins a sign-in, bound to this browser. The answer for a name that is
// nobody's is that of any.
func (s *Studio) begin(v *visit) error {
	name := strings.TrimSpace(v.form("username"))
	remembered := cookie(v.r, rememberedCookie)
	if len(remembered) > 1024 {
		remembered = ""
	}
	out, err := call[sign.BeginSignInOutput](v, "BeginSignIn", &sign.BeginSignInInput{UserName: name, Binding: v.binding(), Remembered: remembered})
	if err != nil {
		return err
	}
	ways := out.Methods
	if name == "" { // only a passkey says whose it is
		ways = append([]string{"passkeyAlone"}, providersIn(ways)...)
	}
	return v.step(step{UserName: name, Flow: out.Flow, Next: Next(v.form("next")), Ways: ways, Providers: providersIn(out.Methods), Options: out.PasskeyOptions})
}

func (v *visit) step(p step) error {
	status, title := http.StatusOK, "Sign in"
	switch {
	case p.Change():
		title = "Choose a new password"
	case p.Register():
		title = "Register a device"
	case !p.Begin() && p.UserName != "":
		title = "Confirm that it is you"
	}
	if p.Failure != "" {
		title = "Error: " + title // what a screen reader says first
	}
	v.show(status, "step", title, p)
	return nil
}

// proof brings one proof and shows what comes next, or lets her in.
func (s *Studio) proof(v *visit) error {
	p := step{UserName: v.form("username"), Next: Next(v.form("next"))}
	in := &sign.ContinueSignInInput{
		Flow: v.form("flow"), Binding: v.binding(), Password: v.form("password"), NewPassword: v.form("newpassword"),
		Code: digits(v.form("code")), RecoveryCode: strings.TrimSpace(v.form("recovery")), Passkey: v.form("passkey"), Provider: v.form("provider"),
		DeviceName: strings.TrimSpace(v.form("device")),
	}
	if in.NewPassword != "" && in.NewPassword != v.form("repeated") {
		p.Flow, p.Ways, p.Failure = in.Flow, []string{"newPassword"}, "The two are not the same. Please type the new password twice."
		return v.step(p)
	}
	if in.Code == "" && in.Passkey == "" {
		in.DeviceName = ""
	}
	out, err := call[sign.ContinueSignInOutput](v, "ContinueSignIn", in)
	if err != nil {
		return err
	}
	return v.went(p, out)
}

// went shows what came of a proof.
func (v *visit) went(p step, out *sign.ContinueSignInOutput) error {
	if out.Session != "" {
		return v.enter(p.Next, out)
	}
	if ids := providersIn(out.Next); len(ids) == 1 && len(out.Next) == 1 && v.s.Leave != nil {
		v.s.Leave(v.w, v.r, Departure{Provider: ids[0], Flow: out.Flow, Binding: v.binding(), Next: p.Next})
		return nil
	}
	p.Flow, p.Ways, p.Providers, p.Options, p.Totp, p.Failure = out.Flow, out.Next, providersIn(out.Next), out.PasskeyOptions, out.Totp, out.Message
	if out.RetryAfter != nil {
		p.Wait = *out.RetryAfter
	}
	if len(p.Ways) == 0 { // she is to wait, and the flow with her
		p.Ways, p.Options = v.r.PostForm["way"], v.form("options")
		p.Providers = providersIn(p.Ways)
	}
	if p.UserName == "" && p.Can("password") {
		p.Ways = []string{"passkeyAlone"}
	}
	return v.step(p)
}

// enter gives the browser the new session. One that it had before ends: nobody stays
// in behind who signs in.
func (v *visit) enter(next string, out *sign.ContinueSignInOutput) error {
	if old := v.secret(); old != "" {
		if _, err := call[sign.EndSessionOutput](v, "EndSession", &sign.EndSessionInput{Session: old}); err != nil && !isCode(err, "UnauthorizedException") {
			return err
		}
	}
	set(v.w, SessionCookie, out.Session, out.ExpiresAt)
	unset(v.w, bindingCookie)
	if out.Remembered != "" {
		set(v.w, rememberedCookie, out.Remembered, out.ExpiresAt.Add(rememberedLife))
	}
	if len(out.RecoveryCodes) > 0 {
		return v.shown("codes", "Keep your recovery codes", codes{out.RecoveryCodes, next})
	}
	if leadsOut(next) {
		return v.away(next)
	}
	return v.to(next)
}

// Entered goes on with a sign-in that an external provider vouched for: it lets the
// browser in, or shows what is asked next.
func (s *Studio) Entered(w http.ResponseWriter, r *http.Request, next string, out *sign.ContinueSignInOutput) {
	guard(w.Header(), r)
	v := s.visit(w, r)
	if err := v.went(step{Next: Next(next)}, out); err != nil {
		v.fail(err)
	}
}

// signOut ends this browser's session.
func (s *Studio) signOut(v *visit) error {
	if v.secret() != "" {
		_, err := call[sign.EndSessionOutput](v, "EndSession", &sign.EndSessionInput{Session: v.secret()})
		if err != nil && !isCode(err, "UnauthorizedException") {
			return err
		}
	}
	unset(v.w, SessionCookie)
	v.w.Header().Set("Clear-Site-Data", `"cache"`)
	v.problem(http.StatusOK, problem{Title: "You are signed out", Text: "Credentials that you fetched before stay good until they expire.", Link: "/start/signin", Label: "Sign in again"})
	return nil
}

// digits drops what people put into codes to read them.
func digits(text string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\u00a0' {
			return -1
		}
		return r
	}, text)
}
