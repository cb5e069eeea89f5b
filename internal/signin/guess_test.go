package signin

import (
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	directory "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// Whoever asks for a name hears the same and costs the same work, whether there is
// such a person, she has a password, or was disabled.
func TestNobodyIsTold(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	b.join("ada")
	f.person("carl") // has no password
	dora := b.join("dora")
	f.disable(dora.id)
	fresh := f.person("fay")
	f.oneTime(fresh)

	// What a stranger sees, without what is random.
	seen := func(out answer) answer {
		if out.PasskeyOptions != "" {
			o := readOptions(t, out.PasskeyOptions)
			if o.PublicKey.Challenge = ""; len(o.PublicKey.AllowCredentials) > 0 {
				t.Errorf("the options name credentials: %+v", o)
			}
		}
		out.Flow, out.PasskeyOptions = fmt.Sprint(len(out.Flow)), fmt.Sprint(len(out.PasskeyOptions))
		return out
	}
	type trace struct {
		begun, failed, again answer
		work                 int64
	}
	traces := map[string]trace{}
	for _, name := range []string{"ada", "carl", "dora", "fay", "none"} {
		from := f.browser("127.0.0.2")
		from.binding = b.binding
		before := f.work.Load()
		begun := from.begin(name)
		failed := from.next(begun.Flow, values{"Password": "not her password"})
		again := from.next(failed.Flow, values{"Password": "nor is this one"})
		traces[name] = trace{seen(begun), seen(failed), seen(again), f.work.Load() - before}
	}
	for name, got := range traces {
		want := traces["none"]
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nothers: %+v", name, got, want)
		}
		if got.work != 2*iterations {
			t.Errorf("%s costs %d iterations", name, got.work)
		}
	}
	// Back-off begins for a name that is nobody's as for any other.
	for _, name := range []string{"ada", "none"} {
		from := f.browser("127.0.0.3")
		flow, tries := from.begin(name).Flow, 0
		for out := (answer{}); out.Failure != "TRY_LATER"; tries++ {
			out = from.next(flow, values{"Password": "guess"})
			flow = out.Flow
		}
		if tries != freeHere+1 {
			t.Errorf("%s: %d tries", name, tries)
		}
	}
}

func (f *front) disable(userID string) {
	f.t.Helper()
	apitest.Must[directory.UpdateUserOutput](f.t, f.admin, "identitystore:UpdateUser", &directory.UpdateUserInput{
		IdentityStoreId: f.store, UserId: userID, Operations: []directory.AttributeOperation{{AttributePath: "userStatus", AttributeValue: []byte(`"DISABLED"`)}},
	})
}

// Guesses are slowed more and more, a restart forgets nothing, and she is not kept out
// by who guesses.
func TestGuessing(t *testing.T) {
	f := newFront(t)
	home, evil := f.browser("127.0.0.1"), f.browser("127.0.0.66")
	ada := home.join("ada")
	flow := evil.begin("ada").Flow
	guess := func(password string) answer {
		out := evil.next(flow, values{"Password": password})
		flow = out.Flow
		return out
	}
	for i := range freeHere {
		f.failedWith(guess(fmt.Sprint("guess", i)), "CREDENTIALS", "a guess")
	}
	before := f.work.Load()
	out := guess(goodPassword)
	f.failedWith(out, "TRY_LATER", "the right password, too soon")
	if out.RetryAfter < 1 || f.work.Load() != before {
		t.Errorf("wait %d seconds, %d iterations", out.RetryAfter, f.work.Load()-before)
	}
	f.restart()
	f.failedWith(guess(goodPassword), "TRY_LATER", "after a restart")

	// The wait doubles, up to a bound, and a refused guess does not make it longer.
	last := 0
	for range 9 {
		wait := guess("x").RetryAfter
		if again := guess("x").RetryAfter; again > wait {
			t.Errorf("waiting made it longer: %d, %d", wait, again)
		}
		if wait < last && last < int(longestWait/time.Second) || wait > int(longestWait/time.Second)+1 {
			t.Errorf("%d seconds after %d", wait, last)
		}
		last = wait
		f.Advance(time.Duration(wait) * time.Second)
		flow = evil.begin("ada").Flow
		f.failedWith(guess("x"), "CREDENTIALS", "after the wait")
	}
	if last < int(longestWait/time.Second) {
		t.Errorf("the longest wait is %d seconds", last)
	}

	// From elsewhere she comes in, and even where everybody guesses, from her browser.
	other := f.browser("127.0.0.2")
	if other.enter(ada) == "" {
		t.Error("one source locks out others")
	}
	for i := 0; ; i++ {
		from := f.browser(fmt.Sprintf("127.0.1.%d", i+1))
		out := from.password("ada", "x")
		if out.Failure == "TRY_LATER" {
			break
		}
		if i > 2*freeEverywhere {
			t.Fatal("guesses from everywhere are not slowed")
		}
	}
	f.failedWith(f.browser("127.0.0.9").password("ada", goodPassword), "TRY_LATER", "the right password from a new browser")
	mine := home.password("ada", goodPassword)
	if mine = home.next(mine.Flow, values{"Code": f.code(ada.secret)}); mine.Session == "" {
		t.Errorf("her own browser is kept out: %+v", mine)
	}
	// Which lifts it for all.
	if out := f.browser("127.0.0.9").password("ada", goodPassword); out.Failure != "" {
		t.Errorf("after she came in: %+v", out)
	}
}

// An administrator and a passkey lift it too; a remembered browser counts its own.
func TestUnlocking(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	ada := b.join("ada")
	session, key := b.enter(ada), newAuthenticator(t)
	setup := b.call("BeginPasskey", values{"Session": session})
	b.call("FinishPasskey", values{"Session": session, "Setup": setup.Setup, "Passkey": key.create(t, setup.PasskeyOptions)})
	remembered := b.remembered
	lock := func(remembered string) {
		t.Helper()
		b.remembered = remembered
		for range freeHere {
			b.password("ada", "x")
		}
		f.failedWith(b.password("ada", goodPassword), "TRY_LATER", "locked")
	}
	lock("")
	f.update(func(tx *store.Tx) error { return f.signin.Unlock(tx, ada.id) })
	if out := b.password("ada", goodPassword); out.Failure != "" {
		t.Errorf("unlocked: %+v", out)
	}
	lock("")
	out := b.begin("ada")
	if out = b.next(out.Flow, values{"Passkey": key.get(t, out.PasskeyOptions)}); out.Session == "" {
		t.Errorf("by passkey: %+v", out)
	}
	lock(remembered)
	b.remembered = ""
	if out := b.password("ada", goodPassword); out.Failure != "" {
		t.Errorf("a remembered browser's guesses are counted elsewhere: %+v", out)
	}
	// A browser that remembers somebody else, or lies, is a browser.
	eve := b.join("eve")
	_ = eve
	for _, lie := range []string{b.remembered, "AAAA", remembered[:len(remembered)-2] + "AA"} {
		b.remembered = lie
		lock(lie)
		f.update(func(tx *store.Tx) error { return f.signin.Unlock(tx, ada.id) })
	}
}

// Forty guesses at once are no more than a few one after the other: what is
// answered was counted before.
func TestGuessesAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		f := frontOver(t, open(t), t.TempDir())
		f.oneTime(f.person("ada"))
		var mu sync.Mutex
		told := map[string]int{}
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				b := f.browser("127.0.2.1")
				for range 5 {
					begun, err := b.try("BeginSignIn", values{"UserName": "ada", "Binding": b.binding})
					if err != nil || begun.Flow == "" {
						continue
					}
					out, err := b.try("ContinueSignIn", values{"Flow": begun.Flow, "Binding": b.binding, "Password": fmt.Sprint("guess ", i)})
					if err != nil {
						continue
					}
					mu.Lock()
					told[out.Failure]++
					mu.Unlock()
				}
			})
		}
		group.Wait()
		if told["CREDENTIALS"] > freeHere || told["TRY_LATER"] == 0 {
			t.Errorf("answers: %v", told)
		}
	})
}

// One flow that is used many times at once is used once.
func TestOneFlowAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		f := frontOver(t, open(t), t.TempDir())
		b := f.browser("127.0.0.1")
		ada := b.join("ada")
		flow := b.password("ada", goodPassword).Flow
		in := values{"Flow": flow, "Binding": b.binding, "RecoveryCode": ada.codes[0]}
		entered := make(chan bool)
		for range 8 {
			go func() {
				out, err := b.try("ContinueSignIn", in)
				entered <- err == nil && out.Session != ""
			}()
		}
		n := 0
		for range 8 {
			if <-entered {
				n++
			}
		}
		if n != 1 {
			t.Errorf("entered %d times", n)
		}
	})
}

// One source with many names is slowed, and others are not. A right password costs
// nothing: a hospital may sit behind one address.
func TestSpraying(t *testing.T) {
	f := newFront(t)
	home, evil := f.browser("127.0.0.1"), f.browser("127.0.0.66")
	ada := home.join("ada")
	n := 0
	for ; n < 3*sourceBurst; n++ {
		out := evil.password(fmt.Sprintf("user%d", n), "Autumn2026!x")
		if out.Status == http.StatusTooManyRequests {
			f.refusedWith(out, "ThrottlingException", "spraying")
			break
		}
		f.failedWith(out, "CREDENTIALS", "spraying")
	}
	if n < sourceBurst || n >= 2*sourceBurst { // some come back meanwhile
		t.Errorf("%d names were tried at once", n)
	}
	if home.enter(ada) == "" {
		t.Error("others are slowed too")
	}
	f.Advance(10 * sourceRefill)
	for n = 0; evil.password(fmt.Sprintf("other%d", n), "Autumn2026!x").Status == http.StatusOK; n++ {
	}
	if n < 15 || n >= sourceBurst { // the ten, those of the code that enter waited for, and some that came back meanwhile
		t.Errorf("%d more after ten refills", n)
	}
	for range sourceBurst + 5 {
		if out := home.password("ada", goodPassword); out.Failure != "" || out.Status != http.StatusOK {
			t.Fatalf("the right password: %+v", out)
		}
	}
}

// In a crowd that uses up what all strangers have, no password is looked at that would
// then not be counted.
func TestGuessesInACrowd(t *testing.T) {
	f := newFront(t)
	evil := f.browser("127.0.0.66")
	f.browser("127.0.0.1").join("ada")
	flow := evil.begin("ada").Flow
	crowd, i := []*browser{}, 0
	for n := range 40 {
		crowd = append(crowd, f.browser(fmt.Sprintf("127.0.1.%d", n+1)))
	}
	come := func(n int) (turnedAway bool) {
		for range n {
			i++
			turnedAway = crowd[i%len(crowd)].call("BeginSignIn", values{"Binding": "x"}).Status == http.StatusServiceUnavailable
		}
		return turnedAway
	}
	for come(50); !come(1); {
		come(50)
	}
	refused := 0
	for range 20 {
		come(20)
		before := f.work.Load()
		out := evil.next(flow, values{"Password": "a guess"})
		if out.Status != http.StatusServiceUnavailable { // there was room: it counts
			flow = out.Flow
			continue
		}
		if refused++; f.work.Load() != before {
			t.Fatal("a password was looked at and not counted")
		}
	}
	if refused == 0 {
		t.Error("there was always room")
	}
}

// Who has the password still guesses codes one by one, and the password does not make
// her guesses free again.
func TestCodeGuessing(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	ada := b.join("ada")
	b.remembered = ""
	tries := 0
	for {
		out := b.password("ada", goodPassword)
		if out.Failure == "TRY_LATER" {
			break
		}
		kind, value := "Code", "123456"
		if tries%2 == 1 {
			kind, value = "RecoveryCode", "aaaa-aaaa-aaaa-aaaa"
		}
		if out = b.next(out.Flow, values{kind: value}); out.Failure != "CODE" {
			t.Fatalf("%+v", out)
		}
		if tries++; tries > 2*freeHere {
			t.Fatal("codes are guessed at leisure")
		}
	}
	if tries != freeHere {
		t.Errorf("%d codes", tries)
	}
	f.Advance(time.Hour)
	if b.enter(ada) == "" {
		t.Error("she does not come in")
	}
}
