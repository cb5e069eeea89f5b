package signin

import (
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestRefresh(t *testing.T) {
	g := newGate(t)
	p, other := g.register(nil), g.register(nil)
	_, ada := g.signIn(g.ada)
	first := p.login(ada)
	other.refresh(first.text("refreshToken")).refused(t, "another client", "InvalidGrantException")
	p.refresh(first.text("accessToken")).refused(t, "an access token", "InvalidGrantException")
	p.refresh("x").refused(t, "nothing", "InvalidGrantException")
	p.token(values{"grantType": refreshGrant, "refreshToken": first.text("refreshToken"), "scope": []string{"admin"}}).refused(t, "a wider scope", "InvalidScopeException")
	g.alive("a refresh token as access token", first.text("refreshToken"), false)

	second := p.refresh(first.text("refreshToken")).must(t)
	if second.text("refreshToken") == first.text("refreshToken") || second.text("accessToken") == first.text("accessToken") {
		t.Error("nothing changed")
	}
	// Two processes of hers may race for the cached one; the second waits for the first's.
	p.refresh(first.text("refreshToken")).refused(t, "a moment later", "InvalidGrantException")
	g.alive("after a race", second.text("accessToken"), true)
	third := p.refresh(second.text("refreshToken")).must(t)
	g.alive("the next", third.text("accessToken"), true)

	// Who stole an old one ends it for himself and her.
	p.refresh(first.text("refreshToken")).refused(t, "an old one", "InvalidGrantException")
	g.alive("after an old refresh token was shown", third.text("accessToken"), false)
	p.refresh(third.text("refreshToken")).refused(t, "the newest of a family that ended", "InvalidGrantException")
	if r := g.Records(t, apitest.Account, "RefreshTokenReused"); len(r) != 1 || r[0].UserIdentity.OnBehalfOf.UserID != g.ada || r[0].EventType != "AwsServiceEvent" {
		t.Errorf("recorded as %+v", r)
	}
	g.page("DescribeOwn", values{"Session": ada}).must(t) // her browser goes on

	late := p.login(ada)
	p.refresh(late.text("refreshToken")).must(t)
	g.Advance(refreshRace)
	p.refresh(late.text("refreshToken")).refused(t, "after the race", "InvalidGrantException")
	g.alive("after the race", late.text("accessToken"), false)
}

// Whatever ends a sign-in ends its tokens on their next use.
func TestTokensEnd(t *testing.T) {
	for why, end := range map[string]func(g *gate, browser *Session, secret, token string){
		"she logs the program out":     func(g *gate, _ *Session, _, token string) { g.portal(token, "POST", "/logout").must(g.t) },
		"she signs out of the browser": func(g *gate, _ *Session, secret, _ string) { g.page("EndSession", values{"Session": secret}).must(g.t) },
		"she signs out everywhere": func(g *gate, _ *Session, secret, _ string) {
			g.page("EndAllSessions", values{"Session": secret}).must(g.t)
		},
		"nobody uses it":  func(g *gate, _ *Session, _, _ string) { g.Advance(sessionIdle) },
		"the day is over": func(g *gate, b *Session, _, _ string) { g.Advance(b.Expires.Sub(g.Now()) + time.Second) },
		"an administrator ends all": func(g *gate, _ *Session, _, _ string) {
			g.update(func(tx *store.Tx) error { return g.signin.EndSessions(tx, g.ada) })
		},
		"she is removed": func(g *gate, _ *Session, _, _ string) { g.remove(g.ada) },
		"she ends it in the list of hers": func(g *gate, b *Session, secret, _ string) {
			g.page("EndSession", values{"Session": secret, "Id": g.others(b)}).must(g.t)
		},
	} {
		t.Run(why, func(t *testing.T) {
			g := newGate(t)
			g.t = t
			p := g.register(nil)
			browser, secret := g.signIn(g.ada)
			out := p.login(secret)
			g.alive("before", out.text("accessToken"), true)
			end(g, browser, secret, out.text("accessToken"))
			g.alive(why, out.text("accessToken"), false)
			g.credentials(out.text("accessToken"), apitest.Account, "Scientist").refused(t, why, "UnauthorizedException")
			p.refresh(out.text("refreshToken")).refused(t, why, "InvalidGrantException")
		})
	}
}

// A program is signed in for as long as she is, and not a minute longer.
func TestTokensDoNotProlong(t *testing.T) {
	g := newGate(t)
	p := g.register(nil)
	browser, secret := g.signIn(g.ada)
	out := p.login(secret)
	for g.Now().Before(browser.Expires.Add(-2 * time.Hour)) {
		g.Advance(90 * time.Minute)
		out = p.refresh(out.text("refreshToken")).must(t)
	}
	g.Advance(browser.Expires.Sub(g.Now()) - 10*time.Minute)
	out = p.refresh(out.text("refreshToken")).must(t)
	if left := out.body["expiresIn"].(float64); left > 600 {
		t.Errorf("the last token is good for %v seconds", left)
	}
	g.Advance(11 * time.Minute)
	g.alive("after her sign-in", out.text("accessToken"), false)
}

func TestApprovalsOnBothDatabases(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		ctx, db := t.Context(), open(t)
		if err := db.Migrate(ctx, Migrations()); err != nil {
			t.Fatal(err)
		}
		now := time.Now().UTC().Truncate(time.Microsecond)
		change := func(f func(tx *store.Tx) error) {
			t.Helper()
			if err := db.Update(ctx, f); err != nil {
				t.Fatal(err)
			}
		}
		find := func(column, value string) *approval {
			t.Helper()
			sn, err := db.Snapshot(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer sn.Close()
			a, err := approvalWhere(sn, column, value)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		device := &approval{id: "d", userCode: "u", client: "c", name: "n", scopes: []string{"a", "b"}, created: now, expires: now.Add(time.Minute), state: asked}
		first, second := &approval{id: "1", created: now, expires: now.Add(time.Hour), state: approved}, &approval{id: "2", created: now, expires: now.Add(time.Hour), state: approved}
		for _, a := range []*approval{device, first, second} { // those without a user code do not meet
			change(func(tx *store.Tx) error { return a.insert(tx, now) })
		}
		if a := find("user_code", "u"); a == nil || a.id != "d" || len(a.scopes) != 2 || !a.expires.Equal(device.expires) || a.state != asked {
			t.Fatalf("%+v", a)
		}
		if a := find("user_code", ""); a != nil {
			t.Errorf("no user code finds %+v", a)
		}
		parent := &Session{UserID: "ada"}
		change(func(tx *store.Tx) error { _, err := begin(tx, parent, now); return err })
		child := &Session{ID: "child", UserID: "ada", Expires: parent.Expires}
		later := now.Add(time.Hour)
		change(func(tx *store.Tx) error {
			return beginClient(tx, child, parent, &client{id: "c"}, []string{accountScope}, later)
		})
		sn, err := db.Snapshot(ctx)
		if err != nil {
			t.Fatal(err)
		}
		list, err := sessionsOf(sn, "ada", later)
		sn.Close()
		if err != nil || len(list) != 2 || list[0].ID != "child" || !list[0].Expires.Equal(list[1].Expires) {
			t.Errorf("%+v %v", list, err)
		}
		change(func(tx *store.Tx) error { return first.insert(tx, later.Add(time.Hour)) }) // old ones go
		if find("id", "d") != nil || find("id", "2") != nil {
			t.Error("what expired is still there")
		}
	})
}
