package signin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/fetch"
	"bawn.dev/internal/identity"
	"bawn.dev/internal/oidc"
	"bawn.dev/internal/seal"
	directory "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// A front is the sign-in API as a browser's portal meets it: over HTTP, with a
// directory of people behind it.
type front struct {
	*apitest.Rig
	t      testing.TB
	people *identity.Service
	signin *Service
	admin  *apitest.Caller
	store  string       // of identities
	work   atomic.Int64 // iterations asked for
	key    seal.Key
}

func newFront(t *testing.T) *front {
	t.Helper()
	st, dir := apitest.NewStore(t)
	return frontOver(t, st, dir)
}

func frontOver(t *testing.T, st *store.Store, dir string) *front {
	t.Helper()
	f := &front{t: t, key: seal.NewKey()}
	f.start(st, dir)
	if err := f.Store.Update(t.Context(), func(tx *store.Tx) error { return f.people.Bootstrap(tx, time.Now()) }); err != nil {
		t.Fatal(err)
	}
	f.admin = f.User(t, apitest.Account, "admin", apitest.Admin)
	f.store = apitest.Must[ssoadmin.ListInstancesOutput](t, f.admin, "sso:ListInstances", &ssoadmin.ListInstancesInput{}).Instances[0].IdentityStoreId
	return f
}

// start builds the service, for the first time or as after a restart.
func (f *front) start(st *store.Store, dir string) {
	f.t.Helper()
	var err error
	if f.people, err = identity.New(identity.Config{Account: apitest.Account}); err != nil {
		f.t.Fatal(err)
	}
	f.signin, err = New(Config{
		Key: f.key, Account: apitest.Account, Directory: f.people, Issuers: oidc.New(fetch.New(nil, nil), time.Now), Now: time.Now,
		Site: "bawn.test", Origins: func() []string { return []string{testOrigin} },
	})
	if err != nil {
		f.t.Fatal(err)
	}
	derive := f.signin.hasher.derive // TestHashes does all of its work
	f.signin.hasher.derive = func(password string, salt []byte, n int) ([]byte, error) {
		f.work.Add(int64(n))
		return derive(password, salt, 1)
	}
	f.Rig = apitest.Over(f.t, st, dir, apitest.Options{
		Migrations: [][]store.Migration{identity.Migrations(), Migrations()},
		Contribute: func(s *authz.Sources) { s.Directory = f.people },
	}, append(f.people.APIs(), f.signin.SignInAPI())...)
}

// restart is what is left when the server stops and starts again: the rows. The clock
// goes on.
func (f *front) restart() {
	before := f.Now()
	admin := f.admin
	f.start(f.Store, f.Dir)
	f.Advance(time.Until(before))
	f.admin = admin
}

// An answer is what the API answers to anything.
type answer struct {
	Status                                   int    `json:"-"`
	Type                                     string `json:"__type"`
	Flow, Failure, Message, Session, Setup   string
	Remembered, PasskeyOptions, Id           string
	Location, RedirectTo                     string
	Methods, Next, RecoveryCodes             []string
	RetryAfter, RecoveryCodesLeft            int
	Totp                                     *struct{ Secret, Uri string }
	UserId, UserName, DisplayName, MfaPolicy string
	Recent, LocalPassword                    bool
	Devices                                  []struct{ Id, Kind, Name string }
	Sessions                                 []struct {
		Id, SourceAddress, UserAgent string
		Methods                      []string
		Current                      bool
	}
}

type values map[string]any

// A browser asks from an address, and binds its flows.
type browser struct {
	*front
	address    string
	binding    string
	remembered string
}

func (f *front) browser(address string) *browser {
	return &browser{front: f, address: address, binding: "a cookie of the browser at " + address}
}

// call makes one call as anybody can.
func (b *browser) call(op string, in values) answer {
	b.t.Helper()
	out, err := b.try(op, in)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *browser) try(op string, in values) (answer, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequest(http.MethodPost, b.URL, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("X-Amz-Target", "BawnSignIn."+op)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("User-Agent", "browser of "+b.address)
	client := &http.Client{Transport: &http.Transport{
		DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(b.address)}}).DialContext,
		DisableKeepAlives: true,
	}}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	out := answer{Status: resp.StatusCode}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("%s: %d %s: %w", op, resp.StatusCode, raw, err)
	}
	return out, nil
}

func (b *browser) begin(name string) answer {
	b.t.Helper()
	in := values{"Binding": b.binding}
	if name != "" {
		in["UserName"] = name
	}
	if b.remembered != "" {
		in["Remembered"] = b.remembered
	}
	return b.call("BeginSignIn", in)
}

func (b *browser) next(flow string, in values) answer {
	b.t.Helper()
	in["Flow"], in["Binding"] = flow, b.binding
	out := b.call("ContinueSignIn", in)
	if out.Remembered != "" {
		b.remembered = out.Remembered
	}
	return out
}

// password is a whole sign-in's first half.
func (b *browser) password(name, password string) answer {
	b.t.Helper()
	return b.next(b.begin(name).Flow, values{"Password": password})
}

// code is what an authenticator application shows.
func (f *front) code(secret string) string {
	f.t.Helper()
	code, err := totp.GenerateCode(secret, f.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	return code
}

// person makes a user of the directory.
func (f *front) person(name string) string {
	f.t.Helper()
	return apitest.Must[directory.CreateUserOutput](f.t, f.admin, "identitystore:CreateUser", &directory.CreateUserInput{
		IdentityStoreId: f.store, UserName: name, DisplayName: name + " Lovelace", Name: &directory.Name{GivenName: name, FamilyName: "Lovelace"},
		Emails: []directory.Email{{Value: name + "@example.org"}},
	}).UserId
}

// oneTime is what an administrator tells somebody.
func (f *front) oneTime(userID string) string {
	f.t.Helper()
	ctx := context.Background()
	sn, err := f.Store.Snapshot(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	defer sn.Close()
	text, change, err := f.signin.OneTimePassword(ctx, sn, userID, f.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	f.update(change)
	return text
}

func (f *front) update(change func(*store.Tx) error) {
	f.t.Helper()
	if err := f.Store.Update(context.Background(), change); err != nil {
		f.t.Fatal(err)
	}
}

const goodPassword = "seven lamps over Dublin"

// A member has signed in once: she has a password, an application and codes.
type member struct {
	id, name, secret string
	codes            []string
	session          string
}

// join makes a person who has signed in, from a browser.
func (b *browser) join(name string) *member {
	b.t.Helper()
	m := &member{id: b.person(name), name: name}
	out := b.password(name, b.oneTime(m.id))
	out = b.next(out.Flow, values{"NewPassword": goodPassword})
	if out.Totp == nil {
		b.t.Fatalf("%+v", out)
	}
	m.secret = out.Totp.Secret
	out = b.next(out.Flow, values{"Code": b.code(m.secret)})
	if m.codes, m.session = out.RecoveryCodes, out.Session; m.session == "" {
		b.t.Fatalf("%+v", out)
	}
	b.Advance(timeStep)
	return m
}

// enter signs her in.
func (b *browser) enter(m *member) string {
	b.t.Helper()
	out := b.password(m.name, goodPassword)
	out = b.next(out.Flow, values{"Code": b.code(m.secret)})
	if out.Session == "" {
		b.t.Fatalf("%+v", out)
	}
	b.Advance(timeStep)
	return out.Session
}

// refusedWith checks an error.
func (f *front) refusedWith(out answer, code, why string) {
	f.t.Helper()
	if out.Status < 400 || out.Type != code {
		f.t.Errorf("%s: answers %+v, not %s", why, out, code)
	}
}

// failedWith checks a failure that is an answer.
func (f *front) failedWith(out answer, failure, why string) {
	f.t.Helper()
	if out.Status != http.StatusOK || out.Failure != failure || out.Session != "" {
		f.t.Errorf("%s: answers %+v, not %s", why, out, failure)
	}
}
