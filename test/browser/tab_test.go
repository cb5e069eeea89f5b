package browser

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"
)

const goodPassword = "seven lamps over Dublin"

// patience is how long a page may take before a test gives up.
const patience = 20 * time.Second

// A tab is a window of a browser that is nobody else's: its cookies are its own.
type tab struct {
	t       *testing.T
	ctx     context.Context
	private cdp.BrowserContextID
	// said is what the browser complains of, and dialogs what script asked for.
	said, dialogs []string
}

func newTab(t *testing.T) *tab {
	t.Helper()
	whole := cdp.WithExecutor(chromium, chromedp.FromContext(chromium).Browser)
	private, err := target.CreateBrowserContext().Do(whole)
	if err != nil {
		t.Fatal(err)
	}
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(private).WithNewWindow(true).Do(whole)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithTargetID(id))
	t.Cleanup(func() {
		cancel()
		if err := target.DisposeBrowserContext(private).Do(whole); err != nil {
			t.Error(err)
		}
	})
	b := &tab{t: t, ctx: ctx, private: private}
	chromedp.ListenTarget(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			if ev.Entry.Level == log.LevelError || ev.Entry.Level == log.LevelWarning {
				b.said = append(b.said, ev.Entry.Text)
			}
		case *cdpruntime.EventExceptionThrown:
			b.said = append(b.said, ev.ExceptionDetails.Error())
		case *page.EventJavascriptDialogOpening:
			b.dialogs = append(b.dialogs, ev.Message)
			go chromedp.Run(ctx, page.HandleJavaScriptDialog(true))
		}
	})
	if err := chromedp.Run(ctx, network.Enable(), log.Enable()); err != nil { // the first lasts as long as its context
		t.Fatal(err)
	}
	return b
}

// do does things in the tab, or ends the test with what the page says.
func (b *tab) do(actions ...chromedp.Action) *tab {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("%v\nat %s the page says:\n%s\nthe browser says: %q", err, b.at(), b.text(), b.said)
	}
	return b
}

func (b *tab) open(path string) *tab {
	b.t.Helper()
	return b.do(chromedp.Navigate(site+path), chromedp.WaitReady("body"))
}

// sees waits for a heading.
func (b *tab) sees(heading string) *tab {
	b.t.Helper()
	return b.shows(fmt.Sprintf(`//h1[contains(., %q)]`, heading))
}

// says waits for a text anywhere.
func (b *tab) says(text string) *tab {
	b.t.Helper()
	return b.shows(fmt.Sprintf(`//main//*[contains(text(), %q)]`, text))
}

// shows waits for an element. The driver's copy of a page is now and then left behind by
// a redirect: the page itself has the last word.
func (b *tab) shows(path string) *tab {
	b.t.Helper()
	return b.do(chromedp.ActionFunc(func(ctx context.Context) error {
		half, cancel := context.WithTimeout(ctx, patience/2)
		defer cancel()
		err := chromedp.WaitVisible(path).Do(half)
		var there bool
		if err == nil || chromedp.Evaluate(fmt.Sprintf(`!!document.evaluate(%q, document, null, 9).singleNodeValue?.checkVisibility()`, path), &there).Do(ctx) == nil && there {
			return nil
		}
		return err
	}))
}

// fill types into a field. One that belonged to the page before is looked for again.
func (b *tab) fill(field, text string) *tab {
	b.t.Helper()
	return b.do(chromedp.ActionFunc(func(ctx context.Context) error {
		for {
			err := chromedp.SendKeys("#"+field, text, chromedp.ByQuery).Do(ctx)
			if err == nil || !strings.Contains(err.Error(), "Could not find node") {
				return err
			}
		}
	}))
}

func (b *tab) press(button string) *tab {
	b.t.Helper()
	what := fmt.Sprintf(`//button[normalize-space()=%q]|//a[normalize-space()=%q]`, button, button)
	return b.do(chromedp.WaitEnabled(what), chromedp.Click(what))
}

func (b *tab) eval(script string, out any) *tab {
	b.t.Helper()
	return b.do(chromedp.Evaluate(script, out, func(p *cdpruntime.EvaluateParams) *cdpruntime.EvaluateParams { return p.WithAwaitPromise(true) }))
}

// at is where the tab is; text what it shows. Both serve messages too, and fail never.
func (b *tab) at() (url string) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, chromedp.Location(&url)); err != nil {
		return err.Error()
	}
	return strings.TrimPrefix(url, site)
}

func (b *tab) text() (text string) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, chromedp.Evaluate(`document.body ? document.body.innerText : ""`, &text)); err != nil {
		return err.Error()
	}
	return text
}

// cookies are those of the tab's browser, by name.
func (b *tab) cookies() map[string]*network.Cookie {
	b.t.Helper()
	all, err := storage.GetCookies().WithBrowserContextID(b.private).Do(cdp.WithExecutor(chromium, chromedp.FromContext(chromium).Browser))
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[string]*network.Cookie{}
	for _, c := range all {
		out[c.Name] = c
	}
	return out
}

// authenticator gives the tab one that is built into the machine and unlocks itself.
func (b *tab) authenticator() *tab {
	b.t.Helper()
	return b.do(webauthn.Enable(), chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := webauthn.AddVirtualAuthenticator(&webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		}).Do(ctx)
		return err
	}))
}

// passkey answers the page that asks for one.
func (b *tab) passkey() *tab {
	b.t.Helper()
	const what = `form[data-passkey="get"] button`
	return b.do(chromedp.WaitEnabled(what, chromedp.ByQuery), chromedp.Click(what, chromedp.ByQuery))
}

// begin is a person's first sign-in as far as her first device.
func (b *tab) begin(name, once string) *tab {
	b.t.Helper()
	b.open("/start").sees("Sign in").fill("username", name).press("Continue")
	b.fill("password", once).press("Sign in").sees("Choose a new password")
	return b.fill("newpassword", goodPassword).fill("repeated", goodPassword).press("Go on").sees("Register a device")
}

// join is a whole first sign-in with an authenticator application, and answers the
// code that it took.
func (b *tab) join(name, once string) (used string) {
	b.t.Helper()
	var seed string
	b.begin(name, once).do(chromedp.Text("#totpkey", &seed, chromedp.ByQuery))
	used = code(b.t, strings.ReplaceAll(seed, " ", ""))
	b.fill("code", used).press("Register the application").sees("Keep your recovery codes")
	return used
}

// recovery are the recovery codes that the page shows.
func (b *tab) recovery() []string {
	b.t.Helper()
	var text string
	b.do(chromedp.Text("#codes", &text, chromedp.ByQuery))
	return strings.Fields(text)
}

// enter signs in again, by a recovery code: an application's code is good once.
func (b *tab) enter(name, recovery string) *tab {
	b.t.Helper()
	b.open("/start/signin").fill("username", name).press("Continue")
	b.fill("password", goodPassword).press("Sign in").sees("Confirm that it is you")
	b.do(chromedp.Click("summary", chromedp.ByQuery)).fill("recovery", recovery).press("Use the code")
	return b.sees("Accounts")
}

func code(t *testing.T, seed string) string {
	t.Helper()
	c, err := totp.GenerateCode(seed, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// quiet fails the test if the browser complained of anything: a page that breaks its
// own policy, a script that failed.
func (b *tab) quiet() {
	b.t.Helper()
	if len(b.said) > 0 || len(b.dialogs) > 0 {
		b.t.Errorf("the browser says %q, script says %q", b.said, b.dialogs)
	}
}

// userAgent makes the browser say that it is something else.
func userAgent(agent string) func(context.Context) error {
	return func(ctx context.Context) error { return emulation.SetUserAgentOverride(agent).Do(ctx) }
}
