package signin

import (
	"context"
	"testing"

	"bawn.dev/internal/store"
)

// corporate is a directory elsewhere that keeps one person's password.
type corporate struct {
	user, password string
	asked          int
}

func (d *corporate) Owns(_ context.Context, _ *store.Snapshot, userID string) (bool, error) {
	return userID == d.user, nil
}

func (d *corporate) Authenticate(_ context.Context, _ *store.Snapshot, _, password string) (bool, error) {
	d.asked++
	return password == d.password, nil
}

// Who comes from another directory proves herself there, and not by what was kept here
// before; a second factor is asked for as of anybody.
func TestPasswordsKeptElsewhere(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	ada, eve := b.join("ada"), b.join("eve")
	once := f.oneTime(ada.id)
	d := &corporate{user: ada.id, password: "of the company"}
	f.signin.Source = d
	f.failedWith(b.password("ada", once), "CREDENTIALS", "what was kept here before")
	before := f.work.Load()
	out := b.password("ada", "of the company")
	if f.work.Load()-before != iterations {
		t.Error("it costs other work than a password kept here")
	}
	if len(out.Next) == 0 || out.Next[0] != "totp" {
		t.Fatalf("%+v", out)
	}
	if out = b.next(out.Flow, values{"Code": f.code(ada.secret)}); out.Session == "" {
		t.Fatalf("%+v", out) // and is asked for no new one
	}
	if own := b.call("DescribeOwn", values{"Session": out.Session}); own.LocalPassword {
		t.Error("a password of before is said to be hers")
	}
	f.refusedWith(b.call("ChangePassword", values{"Session": out.Session, "OldPassword": once, "NewPassword": "a second good password"}), "ConflictException", "changed here")
	sn, err := f.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	if _, _, err := f.signin.OneTimePassword(t.Context(), sn, ada.id, f.Now()); err == nil {
		t.Error("she gets a password here")
	}
	asked := d.asked
	if b.enter(eve) == "" || d.asked != asked {
		t.Error("eve's password was told elsewhere")
	}
	for range freeHere {
		f.failedWith(b.password("ada", "x"), "CREDENTIALS", "a guess")
	}
	asked = d.asked
	b.remembered = ""
	f.failedWith(b.password("ada", "of the company"), "TRY_LATER", "after guesses")
	if d.asked != asked {
		t.Error("guesses reach the other directory")
	}
}
