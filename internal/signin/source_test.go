package signin

import (
	"context"
	"errors"
	"testing"

	"bawn.dev/internal/store"
)

// corporate is a directory elsewhere that keeps one person's password.
type corporate struct {
	user, password string
	asked          int
	pretended      map[uint64]int
	silent         bool
}

func (d *corporate) Owns(_ context.Context, _ *store.Snapshot, userID string) (bool, error) {
	return userID == d.user, nil
}

func (d *corporate) Authenticate(_ context.Context, _ *store.Snapshot, _, password string) (bool, error) {
	d.asked++
	if d.silent {
		return password == d.password, errors.New("it does not answer")
	}
	return password == d.password, nil
}

func (d *corporate) Pretend(_ context.Context, _ *store.Snapshot, pick uint64) error {
	if d.pretended == nil {
		d.pretended = map[uint64]int{}
	}
	d.pretended[pick]++
	if d.silent {
		return errors.New("it does not answer")
	}
	return nil
}

// all is how often it was asked something.
func (d *corporate) all() int {
	n := d.asked
	for _, times := range d.pretended {
		n += times
	}
	return n
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

// Who asks about names cannot tell, by what is asked elsewhere or by what is answered
// when nobody answers there, whose password is kept where.
func TestNamesElsewhereAreNotTold(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	ada, _ := b.join("ada"), b.join("eve")
	b.remembered = ""
	d := &corporate{user: ada.id, password: "of the company"}
	f.signin.Source = d
	told := map[string]bool{}
	for _, silent := range []bool{false, true} {
		d.silent = silent
		for _, name := range []string{"ada", "eve", "nobody", "Nobody"} {
			before := d.all()
			out := b.password(name, "a guess")
			f.failedWith(out, "CREDENTIALS", name)
			told[out.Message] = true
			if n := d.all() - before; n != 1 {
				t.Errorf("%s: it was asked %d times", name, n)
			}
		}
	}
	if len(told) != 2 {
		t.Errorf("answers differ: %v", told)
	}
	if len(d.pretended) != 2 { // eve and nobody, each always at the same
		t.Errorf("%v", d.pretended)
	}
	// What it does not answer is counted as what it denies; her right password does not let her in.
	if out := b.password("ada", "of the company"); out.Failure != "CREDENTIALS" {
		t.Errorf("%+v", out)
	}
	d.silent = false
	if out := b.password("eve", goodPassword); len(out.Next) == 0 || out.Failure != "" {
		t.Errorf("%+v", out)
	}
	d.silent = true
	for range freeHere {
		b.password("nobody", "a guess")
	}
	if out := b.password("nobody", "a guess"); out.Failure != "TRY_LATER" {
		t.Errorf("guesses are free while nobody answers: %+v", out)
	}
	before := d.all()
	if b.password("nobody", "a guess"); d.all() != before {
		t.Error("guesses reach the other directory")
	}
}
