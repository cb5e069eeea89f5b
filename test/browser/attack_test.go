package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// A page of the attacker's sends forms and scripts in a person's name. It has an origin
// that cookies do not tell from ours.
func TestAnotherOriginCannotAct(t *testing.T) {
	once := person(t, "hedy", "Hedy Lamarr")
	b := newTab(t)
	b.join("hedy", once)
	for _, path := range []string{"/start/sessions/end-all", "/start/signout", "/start/security/codes", "/device"} {
		page := evil.serves(fmt.Sprintf(`<form method="post" action="%s%s"><input name="decision" value="approve"><input name="user_code" value="BCDFGHJK"></form><script>document.forms[0].submit()</script>`, site, path))
		b.do(chromedp.Navigate(page)).sees("This came from somewhere else")
	}
	page := evil.serves(fmt.Sprintf(`<script>
		window.done = Promise.all([
			fetch(%[1]q + "/start", {credentials: "include"}).then((r) => r.text(), () => "refused"),
			fetch(%[1]q + "/start/sessions/end-all", {method: "POST", mode: "no-cors", credentials: "include"}).then((r) => r.type, () => "refused"),
			new Promise((done) => { const s = document.createElement("script"); s.src = %[1]q + "/start/security"; s.onload = () => done("read"); s.onerror = () => done("refused"); document.head.append(s); }),
		]).then((all) => all.join(" "));
	</script>`, site))
	var got string
	b.do(chromedp.Navigate(page)).eval(`window.done`, &got)
	if got != "refused opaque refused" && got != "refused refused refused" {
		t.Errorf("script of another origin gets %q", got)
	}
	if b.open("/start/sessions").sees("Sessions").says("this one"); len(b.dialogs) > 0 {
		t.Errorf("script says %q", b.dialogs)
	}
}

// A page of ours is in no frame of anybody's.
func TestPagesAreNotFramed(t *testing.T) {
	b := newTab(t)
	for _, path := range []string{"/start/signin", "/device", "/start/nothing"} {
		b.said = nil
		b.do(chromedp.Navigate(evil.serves(fmt.Sprintf(`<h1>evil</h1><iframe src="%s%s"></iframe>`, site, path)))).sees("evil")
		var inside string
		b.eval(`new Promise((done) => setTimeout(() => { try { done(frames[0].document.body.innerText) } catch (e) { done("closed: " + e.name) } }, 0))`, &inside)
		if strings.Contains(inside, "Sign in") || !strings.Contains(strings.Join(b.said, " "), "frame-ancestors") {
			t.Errorf("%s in a frame shows %q, the browser says %q", path, inside, b.said)
		}
	}
}

// Names that others chose run nowhere: a display name, a permission set, what a browser
// says that it is, and what a program calls itself.
func TestNamesDoNotRun(t *testing.T) {
	evilName := `"><img src=x onerror=alert(1)><script>alert(2)</script>`
	once := person(t, "lise", evilName)
	assign(t, "lise", "Set=alert,3@x.y")
	b := newTab(t)
	b.do(chromedp.ActionFunc(userAgent("Chrome/1" + evilName)))
	b.join("lise", once)
	code := python(t, []string{"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x"}, `
oidc = client("sso-oidc")
c = oidc.register_client(clientName=sys.argv[1], clientType="public")
print(oidc.start_device_authorization(clientId=c["clientId"], clientSecret=c["clientSecret"], startUrl=URL + "/start")["userCode"])
`, `cli"><script>alert(4)</script>`)
	for _, path := range []string{"/start", "/start/security", "/start/sessions", "/device?user_code=" + code, "/start?account=%22%3E%3Cscript%3Ealert(5)%3C/script%3E", "/start/signin?next=javascript:alert(6)"} {
		b.open(path)
		var made int
		b.eval(`document.querySelectorAll("main script, main img, header img, [onerror]").length`, &made)
		if made != 0 {
			t.Errorf("%s: a name made %d elements", path, made)
		}
	}
	if len(b.dialogs) > 0 {
		t.Errorf("script ran: %q", b.dialogs)
	}
}

// What is stored in a bucket has this origin, where a link was made for it: it does not
// act in it, and is no script for a page of ours.
func TestStoredObjectsDoNotAct(t *testing.T) {
	once := person(t, "rosa", "Rosa Peter")
	b := newTab(t)
	b.join("rosa", once)
	links := strings.Fields(python(t, nil, `
s3 = boto3.client("s3", endpoint_url=URL, config=botocore.config.Config(s3={"addressing_style": "path"}, signature_version="s3v4"))
s3.create_bucket(Bucket="stored")
s3.put_object(Bucket="stored", Key="page.html", ContentType="text/html", Body=b'<h1>stored</h1><script>alert(1)</script><form method="post" action="/start/sessions/end-all"><button>go</button></form>')
s3.put_object(Bucket="stored", Key="code.js", ContentType="text/javascript", Body=b'alert(2)')
for key in ("page.html", "code.js"):
    print(s3.generate_presigned_url("get_object", Params={"Bucket": "stored", "Key": key}))
`))
	b.do(chromedp.Navigate(links[0])).sees("stored")
	b.do(chromedp.Click("button", chromedp.ByQuery)) // which a sandbox does not send
	var loaded string
	b.open("/start").eval(fmt.Sprintf(`new Promise((done) => { const s = document.createElement("script"); s.onload = () => done("loaded"); s.onerror = () => done("refused");
		try { s.src = %q; document.head.append(s); } catch (e) { done("refused") } })`, links[1]), &loaded)
	if loaded != "refused" || len(b.dialogs) > 0 {
		t.Errorf("a stored script is %s; script says %q", loaded, b.dialogs)
	}
	b.open("/start/sessions").says("this one")
}

// Whoever signs somebody in as himself (login CSRF), or fixes her session, fails: what
// he began is bound to his browser.
func TestASignInCannotBeHandedOver(t *testing.T) {
	once := person(t, "ivan", "Ivan")
	his, hers := newTab(t), newTab(t)
	his.open("/start/signin").fill("username", "ivan").press("Continue").sees("Sign in")
	var flow string
	his.do(chromedp.Value(`[name="flow"]`, &flow, chromedp.ByQuery))
	hers.do(chromedp.Navigate(evil.serves(fmt.Sprintf(`<form method="post" action="%s/start/signin/proof"><input name="flow" value="%s"><input name="password" value="%s"></form><script>document.forms[0].submit()</script>`, site, flow, once))))
	hers.sees("This came from somewhere else")
	// Not even from a page of ours.
	hers.open("/start/signin").eval(fmt.Sprintf(`(() => { const f = document.forms[0]; f.action = "/start/signin/proof"; for (const [n, v] of [["flow", %q], ["password", %q]]) {
		const i = document.createElement("input"); i.name = n; i.value = v; f.append(i); } f.submit(); })()`, flow, once), nil).sees("This sign-in is over")
	if c := hers.cookies()["__Host-bawn"]; c != nil {
		t.Errorf("she is signed in as him: %+v", c)
	}
	// Nor does a page of another origin plant a cookie of ours.
	hers.do(chromedp.Navigate(evil.serves(`<h1>evil</h1><script>document.cookie = "__Host-bawn=PLANTEDPLANTEDPLANTEDPLANTED; Path=/; Domain=localhost; Secure"</script>`))).sees("evil")
	if c := hers.cookies()["__Host-bawn"]; c != nil {
		t.Errorf("a planted cookie: %+v", c)
	}
}
