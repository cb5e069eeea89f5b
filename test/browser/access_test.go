package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// barriers lists what would keep somebody from using a page: a field without a label,
// a button without a name, text that is too faint (WCAG 2.2, 1.4.3), a page that is
// wider than a small phone, or a target too small to hit (2.5.8).
const barriers = `(() => {
	const found = [];
	const shown = (e) => e.checkVisibility() && e.getClientRects().length > 0;
	if (document.documentElement.lang !== "en") found.push("no language");
	if (document.querySelectorAll("h1").length !== 1) found.push("not one heading");
	for (const i of document.querySelectorAll("input:not([type=hidden])")) if (shown(i) && !i.labels.length) found.push("no label: " + i.name);
	for (const b of document.querySelectorAll("button, a")) {
		if (!shown(b) || b.className === "skip") continue;
		if (!(b.getAttribute("aria-label") || b.innerText).trim()) found.push("no name: " + b.outerHTML);
		if (b.tagName === "BUTTON" && b.getBoundingClientRect().height < 24) found.push("too small: " + b.innerText);
	}
	if (document.documentElement.scrollWidth > innerWidth) found.push("wider than the window: " + document.documentElement.scrollWidth);
	const light = (c) => {
		const [r, g, b] = c.match(/[\d.]+/g).slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const paper = (e) => {
		for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\)$|transparent/.test(c)) return c; }
		return "rgb(255, 255, 255)";
	};
	for (const e of document.querySelectorAll("body *")) {
		if (!shown(e) || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
		const [a, b] = [light(getComputedStyle(e).color), light(paper(e))].sort((x, y) => y - x);
		if ((a + 0.05) / (b + 0.05) < 4.5) found.push("too faint: " + e.innerText.slice(0, 40));
	}
	return found;
})()`

// Everybody can use the pages, in the light and in the dark, on a small phone.
func TestPagesAreForEverybody(t *testing.T) {
	once := person(t, "annie", "Annie Cannon")
	assign(t, "annie", "Astronomers")
	b := newTab(t)
	b.do(chromedp.EmulateViewport(320, 640))
	look := func(where string) {
		for _, scheme := range []string{"light", "dark"} {
			var found []string
			b.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
			if b.eval(barriers, &found); len(found) > 0 {
				t.Errorf("%s, %s: %q", where, scheme, found)
			}
		}
	}
	var found []string // by a page that has them all
	b.do(chromedp.Navigate(evil.serves(`<html lang="de"><h2>x</h2><input name="i"><button style="height: 9px"></button><p style="color: #999; width: 900px">faint</p>`)))
	if b.eval(barriers, &found); len(found) != 7 {
		t.Fatalf("the eye is blind: %q", found)
	}
	b.open("/start/signin")
	look("the name")
	b.fill("username", "annie").press("Continue").fill("password", "wrong wrong wrong").press("Sign in").says("not right")
	look("the password")
	b.begin("annie", once)
	look("a first device")
	var seed string
	b.do(chromedp.Text("#totpkey", &seed, chromedp.ByQuery))
	b.fill("code", code(t, strings.ReplaceAll(seed, " ", ""))).press("Register the application").sees("Keep your recovery codes")
	look("recovery codes")
	b.press("I have kept them").sees("Accounts")
	look("the accounts")
	b.press("Credentials").sees("Credentials")
	look("credentials")
	for _, path := range []string{"/start/security", "/start/sessions", "/start/password", "/device", "/device?user_code=BCDF-BCDF", "/start/nothing"} {
		b.open(path)
		look(path)
	}
}
