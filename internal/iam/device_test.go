package iam

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"image/png"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/hotp"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestDevicesWithBoto3(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.Python(t, h.admin, devices)
	})
}

// The codes are made in Python, from RFC 6238 and the seed.
const devices = `
import base64, hmac, struct, time
iam = client("iam")
step = int(time.time()) // 30
def code(seed, n):
    d = hmac.new(base64.b32decode(seed), struct.pack(">Q", n), "sha1").digest()
    at = d[-1] & 15
    return "%06d" % ((struct.unpack(">I", d[at:at + 4])[0] & 0x7fffffff) % 1000000)
def other(c):
    return "%06d" % ((int(c) + 1) % 1000000)

iam.create_user(UserName="ada")
d = iam.create_virtual_mfa_device(VirtualMFADeviceName="ada", Path="/team/", Tags=[{"Key": "k", "Value": "v"}])["VirtualMFADevice"]
serial, seed = d["SerialNumber"], d["Base32StringSeed"]
assert serial == "arn:aws:iam::123456789012:mfa/team/ada" and len(base64.b32decode(seed)) == 20, d
assert d["QRCodePNG"].startswith(b"\x89PNG") and "EnableDate" not in d, d
try:
    iam.create_virtual_mfa_device(VirtualMFADeviceName="ada", Path="/team/")
    raise AssertionError("made twice")
except iam.exceptions.EntityAlreadyExistsException:
    pass
refused(iam.create_virtual_mfa_device, "ValidationError", VirtualMFADeviceName="x" * 250)
iam.tag_mfa_device(SerialNumber=serial, Tags=[{"Key": "K", "Value": "w"}, {"Key": "two", "Value": "2"}])
assert iam.list_mfa_device_tags(SerialNumber=serial)["Tags"] == [{"Key": "K", "Value": "w"}, {"Key": "two", "Value": "2"}]
iam.untag_mfa_device(SerialNumber=serial, TagKeys=["two"])
assert [t["Key"] for t in iam.list_mfa_device_tags(SerialNumber=serial)["Tags"]] == ["K"]
refused(iam.tag_mfa_device, "LimitExceeded", SerialNumber=serial, Tags=[{"Key": "k%d" % i, "Value": ""} for i in range(50)])
refused(iam.tag_mfa_device, "NoSuchEntity", SerialNumber=serial + "x", Tags=[{"Key": "k", "Value": "v"}])
assert [x["SerialNumber"] for x in iam.list_virtual_mfa_devices(AssignmentStatus="Unassigned")["VirtualMFADevices"]] == [serial]
assert iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"] == []
refused(iam.list_virtual_mfa_devices, "ValidationError", AssignmentStatus="any")

try:
    iam.enable_mfa_device(UserName="ada", SerialNumber=serial, AuthenticationCode1=code(seed, step - 1), AuthenticationCode2=other(code(seed, step)))
    raise AssertionError("taken")
except iam.exceptions.InvalidAuthenticationCodeException:
    pass
refused(iam.enable_mfa_device, "InvalidAuthenticationCode", UserName="ada", SerialNumber=serial, AuthenticationCode1=code(seed, step), AuthenticationCode2=code(seed, step - 1))
refused(iam.enable_mfa_device, "NoSuchEntity", UserName="ada", SerialNumber=serial + "x", AuthenticationCode1="000000", AuthenticationCode2="000000")
refused(iam.enable_mfa_device, "NoSuchEntity", UserName="none", SerialNumber=serial, AuthenticationCode1="000000", AuthenticationCode2="000000")
refused(iam.enable_mfa_device, "ValidationError", UserName="ada", SerialNumber=serial, AuthenticationCode1="abcdef", AuthenticationCode2="000000")
iam.enable_mfa_device(UserName="ada", SerialNumber=serial, AuthenticationCode1=code(seed, step - 1), AuthenticationCode2=code(seed, step))
refused(iam.enable_mfa_device, "EntityAlreadyExists", UserName="admin", SerialNumber=serial, AuthenticationCode1=code(seed, step - 1), AuthenticationCode2=code(seed, step))

got = iam.get_mfa_device(SerialNumber=serial, UserName="ada")
assert got["UserName"] == "ada" and got["SerialNumber"] == serial and "EnableDate" in got, got
refused(iam.get_mfa_device, "NoSuchEntity", SerialNumber=serial, UserName="admin")
assert [x["SerialNumber"] for x in iam.list_mfa_devices(UserName="ada")["MFADevices"]] == [serial]
assert iam.list_mfa_devices()["MFADevices"] == []
listed = iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]
assert len(listed) == 1 and listed[0]["User"]["UserName"] == "ada" and "Base32StringSeed" not in listed[0] and "QRCodePNG" not in listed[0], listed
assert iam.list_virtual_mfa_devices(AssignmentStatus="Unassigned")["VirtualMFADevices"] == []
summary = iam.get_account_summary()["SummaryMap"]
assert summary["MFADevices"] == 1 and summary["MFADevicesInUse"] == 1, summary

try:
    iam.delete_virtual_mfa_device(SerialNumber=serial)
    raise AssertionError("deleted in use")
except iam.exceptions.DeleteConflictException:
    pass
e = refused(iam.delete_user, "DeleteConflict", UserName="ada")
assert "must delete MFA device first" in str(e), e

# Codes that counted do not count again; later ones, of a clock that is ahead, do.
refused(iam.resync_mfa_device, "InvalidAuthenticationCode", UserName="ada", SerialNumber=serial, AuthenticationCode1=code(seed, step - 1), AuthenticationCode2=code(seed, step))
iam.resync_mfa_device(UserName="ada", SerialNumber=serial, AuthenticationCode1=code(seed, step + 7), AuthenticationCode2=code(seed, step + 8))
refused(iam.resync_mfa_device, "NoSuchEntity", UserName="admin", SerialNumber=serial, AuthenticationCode1="000000", AuthenticationCode2="000000")

refused(iam.deactivate_mfa_device, "NoSuchEntity", UserName="admin", SerialNumber=serial)
iam.deactivate_mfa_device(UserName="ada", SerialNumber=serial)
refused(iam.deactivate_mfa_device, "NoSuchEntity", UserName="ada", SerialNumber=serial)
assert iam.list_mfa_devices(UserName="ada")["MFADevices"] == []
iam.delete_virtual_mfa_device(SerialNumber=serial)
refused(iam.delete_virtual_mfa_device, "NoSuchEntity", SerialNumber=serial)

serials = []
for i in range(9):
    d = iam.create_virtual_mfa_device(VirtualMFADeviceName=f"d{i}")["VirtualMFADevice"]
    serials.append(d["SerialNumber"])
    enable = dict(UserName="ada", SerialNumber=d["SerialNumber"], AuthenticationCode1=code(d["Base32StringSeed"], step), AuthenticationCode2=code(d["Base32StringSeed"], step + 1))
    if i < 8:
        iam.enable_mfa_device(**enable)
    else:
        refused(iam.enable_mfa_device, "LimitExceeded", **enable)
pages = list(iam.get_paginator("list_mfa_devices").paginate(UserName="ada", PaginationConfig={"PageSize": 3}))
assert [x["SerialNumber"] for p in pages for x in p["MFADevices"]] == serials[:8] and len(pages) == 3, pages
pages = list(iam.get_paginator("list_virtual_mfa_devices").paginate(PaginationConfig={"PageSize": 5}))
assert [x["SerialNumber"] for p in pages for x in p["VirtualMFADevices"]] == serials and len(pages) == 2, pages
for s in serials[:8]:
    iam.deactivate_mfa_device(UserName="ada", SerialNumber=s)
iam.delete_user(UserName="ada")
`

// A phone is a user's device and what only it knows.
type phone struct {
	h            *house
	user, serial string
	seed         string
}

func (p *phone) code(t testing.TB, ahead int64) string {
	t.Helper()
	code, err := hotp.GenerateCode(p.seed, uint64(stepAt(p.h.Now())+ahead))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func (h *house) unassigned(t testing.TB, name string) *phone {
	t.Helper()
	d := must[shape.CreateVirtualMFADeviceOutput](t, h, h.admin, "iam:CreateVirtualMFADevice", &shape.CreateVirtualMFADeviceInput{VirtualMFADeviceName: name}).VirtualMFADevice
	return &phone{h: h, serial: d.SerialNumber, seed: string(d.Base32StringSeed)}
}

// phone makes a user with a device that is enabled.
func (h *house) phone(t testing.TB, name string) *phone {
	t.Helper()
	h.settle()
	p := h.unassigned(t, name)
	p.user = h.claim(t, h.user(t, name, "")).ID
	must[shape.EnableMFADeviceOutput](t, h, h.admin, "iam:EnableMFADevice", &shape.EnableMFADeviceInput{
		UserName: name, SerialNumber: p.serial, AuthenticationCode1: p.code(t, -1), AuthenticationCode2: p.code(t, 0)})
	return p
}

// settle moves the clock to the beginning of a step, so that a test that takes less
// than a step does not see it end.
func (h *house) settle() {
	h.Advance(time.Unix((stepAt(h.Now())+1)*30, 0).Sub(h.Now()) + time.Millisecond)
}

// next moves the clock by steps.
func (p *phone) next(steps int) { p.h.Advance(time.Duration(steps) * timeStep) }

// check asks for a code as sts does, and uses it up where spend says so.
func (p *phone) check(t testing.TB, user, serial, code string, spend bool) error {
	t.Helper()
	sn, err := p.h.Store.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	use, err := p.h.iam.CheckMFA(context.Background(), sn, user, serial, code, p.h.Now())
	if err != nil {
		e, ok := errors.AsType[*api.Error](err)
		if !ok || e.Code != "AccessDenied" || e.Status != 403 || !strings.HasPrefix(e.Message, "MultiFactorAuthentication failed") {
			t.Errorf("%v", err)
		}
		return err
	}
	if spend {
		if err := p.h.Store.Update(context.Background(), use); err != nil {
			t.Fatal(err)
		}
	}
	return nil
}

func TestCheckMFA(t *testing.T) {
	h := newHouse(t)
	p := h.phone(t, "ada")
	if err := p.check(t, p.user, p.serial, p.code(t, 0), true); err == nil {
		t.Error("the code that enabled the device counts again")
	}
	other := h.phone(t, "bob")
	p.next(10)
	if err := p.check(t, p.user, p.serial, p.code(t, 0), true); err != nil {
		t.Error(err)
	}
	for ahead := int64(-1); ahead <= 0; ahead++ {
		if err := p.check(t, p.user, p.serial, p.code(t, ahead), true); err == nil {
			t.Errorf("a code of %d steps was taken after it, or a later one, was used", ahead)
		}
	}
	p.next(10)
	for _, ahead := range []int64{-2, 2} {
		if err := p.check(t, p.user, p.serial, p.code(t, ahead), true); err == nil {
			t.Errorf("a code %d steps away was taken", ahead)
		}
	}
	for _, ahead := range []int64{-1, 1} {
		p.next(10)
		if err := p.check(t, p.user, p.serial, p.code(t, ahead), true); err != nil {
			t.Errorf("%d steps: %v", ahead, err)
		}
	}
	// Another's device, a device of nobody, no device.
	p.next(10)
	free := h.unassigned(t, "free")
	for _, c := range []struct{ user, serial, code string }{
		{p.user, other.serial, other.code(t, 0)}, {other.user, p.serial, p.code(t, 0)}, {"", p.serial, p.code(t, 0)},
		{p.user, free.serial, free.code(t, 0)}, {"", free.serial, free.code(t, 0)}, {p.user, p.serial + "x", p.code(t, 0)}, {p.user, "", p.code(t, 0)},
		{p.user, p.serial, other.code(t, 0)}, {p.user, p.serial, ""}, {p.user, p.serial, p.code(t, 0) + "0"}, {p.user, p.serial, " " + p.code(t, 0)},
	} {
		if err := p.check(t, c.user, c.serial, c.code, false); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	// A device that was taken away counts no more at once, and gives no code back.
	p.next(10)
	must[shape.DeactivateMFADeviceOutput](t, h, h.admin, "iam:DeactivateMFADevice", &shape.DeactivateMFADeviceInput{UserName: "ada", SerialNumber: p.serial})
	if err := p.check(t, p.user, p.serial, p.code(t, 0), false); err == nil {
		t.Error("a device that was deactivated counts")
	}
}

// A device whose clock runs ahead is found, and only its own time counts then.
func TestResync(t *testing.T) {
	h := newHouse(t)
	p := h.phone(t, "ada")
	p.next(10)
	if err := p.check(t, p.user, p.serial, p.code(t, 9), true); err == nil {
		t.Error("nine steps ahead")
	}
	resync := func(one, two int64, code string) {
		t.Helper()
		in := &shape.ResyncMFADeviceInput{UserName: "ada", SerialNumber: p.serial, AuthenticationCode1: p.code(t, one), AuthenticationCode2: p.code(t, two)}
		if code != "" {
			refused[shape.ResyncMFADeviceOutput](t, h, h.admin, "iam:ResyncMFADevice", in, code)
			return
		}
		must[shape.ResyncMFADeviceOutput](t, h, h.admin, "iam:ResyncMFADevice", in)
	}
	resync(9, 11, "InvalidAuthenticationCode")
	resync(10, 9, "InvalidAuthenticationCode")
	resync(60, 61, "InvalidAuthenticationCode")
	resync(9, 10, "")
	p.next(10)
	if err := p.check(t, p.user, p.serial, p.code(t, 10), true); err != nil {
		t.Error(err)
	}
	p.next(10)
	if err := p.check(t, p.user, p.serial, p.code(t, 0), true); err == nil {
		t.Error("the old time counts")
	}
}

// Whoever guesses is not even looked at after a while, and answered as before: a good
// code in between tells nothing. Others are not slowed.
func TestGuessing(t *testing.T) {
	h := newHouse(t)
	p, other := h.phone(t, "ada"), h.phone(t, "bob")
	p.next(20)
	wrong := func() string {
		for guess := int64(100); ; guess++ {
			if c := p.code(t, guess); c != p.code(t, -1) && c != p.code(t, 0) && c != p.code(t, 1) {
				return c
			}
		}
	}
	messages := map[string]bool{}
	for range 20 {
		if err := p.check(t, p.user, p.serial, wrong(), false); err == nil {
			t.Fatal("guessed")
		} else {
			messages[err.Error()] = true
		}
	}
	if err := p.check(t, p.user, p.serial, p.code(t, 0), false); err == nil {
		t.Error("after twenty guesses a good code is looked at")
	} else {
		messages[err.Error()] = true
	}
	if len(messages) != 1 {
		t.Errorf("answers differ: %v", messages)
	}
	if err := other.check(t, other.user, other.serial, other.code(t, 0), false); err != nil {
		t.Errorf("another is slowed: %v", err)
	}
	p.next(1)
	if err := p.check(t, p.user, p.serial, p.code(t, 0), false); err != nil {
		t.Errorf("after a step one try is left: %v", err)
	}
	if err := p.check(t, p.user, p.serial, p.code(t, 0), false); err == nil {
		t.Error("after a step two tries are left")
	}
	// To enable a device cannot be guessed either.
	free := h.unassigned(t, "free")
	guess := &shape.EnableMFADeviceInput{UserName: "ada", SerialNumber: free.serial, AuthenticationCode1: "000000", AuthenticationCode2: "000000"}
	for range maxTries {
		refused[shape.EnableMFADeviceOutput](t, h, h.admin, "iam:EnableMFADevice", guess, "InvalidAuthenticationCode")
	}
	right := *guess
	right.AuthenticationCode1, right.AuthenticationCode2 = free.code(t, -1), free.code(t, 0)
	refused[shape.EnableMFADeviceOutput](t, h, h.admin, "iam:EnableMFADevice", &right, "InvalidAuthenticationCode")
}

// Whoever has a user's key and time does not get through the codes: after some wrong
// ones in a row one in a quarter of an hour is looked at. A good one ends that.
func TestGuessingForWeeks(t *testing.T) {
	guesses, now := newTries(), time.Unix(1e9, 0)
	looked := func(d time.Duration) (n int) {
		for end := now.Add(d); now.Before(end); now = now.Add(timeStep) {
			if guesses.take("device", now) {
				guesses.told("device", false, now)
				n++
			}
		}
		return n
	}
	if n := looked(24 * time.Hour); n > 120 {
		t.Errorf("in a day %d codes are looked at", n)
	}
	if !guesses.take("other", now) {
		t.Error("another is slowed")
	}
	now = now.Add(wrongStep)
	if !guesses.take("device", now) {
		t.Error("who waits may not try")
	}
	guesses.told("device", true, now)
	now = now.Add(timeStep)
	if !guesses.take("device", now) {
		t.Error("a good code ends nothing")
	}
}

// The memory of tries is bounded, and a full one does not forget who is guessing.
func TestTriesAreBounded(t *testing.T) {
	tried, now := newTries(), time.Unix(1e9, 0)
	for range maxTries {
		tried.take("victim", now)
	}
	id := func(i int) string {
		return base32.StdEncoding.EncodeToString([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	for i := range maxTried + 100 {
		tried.take(id(i), now)
	}
	if len(tried.limits) > maxTried {
		t.Errorf("%d devices are remembered", len(tried.limits))
	}
	if tried.take("victim", now) {
		t.Error("a flood gave more tries")
	}
	if tried.take("new", now) {
		t.Error("a full memory lets everybody try")
	}
	if later := now.Add(maxTries * timeStep); !tried.take("new", later) || len(tried.limits) > 2 {
		t.Errorf("%d devices are remembered for ever", len(tried.limits))
	}
}

// Of two calls with one code only one is done, on both databases.
func TestOneCodeOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		p := h.phone(t, "ada")
		p.next(10)
		code := p.code(t, 1)
		var done atomic.Int32
		var group sync.WaitGroup
		for range maxTries {
			group.Go(func() {
				sn, err := h.Store.Snapshot(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				defer sn.Close()
				use, err := h.iam.CheckMFA(context.Background(), sn, p.user, p.serial, code, h.Now())
				if err != nil {
					return // came after another
				}
				seen := sn.Dependencies()
				err = h.Store.Update(context.Background(), func(tx *store.Tx) error {
					if err := tx.Unchanged(seen); err != nil {
						return err
					}
					return use(tx)
				})
				if err == nil {
					done.Add(1)
				}
			})
		}
		group.Wait()
		if n := done.Load(); n != 1 {
			t.Errorf("a code counted %d times", n)
		}
	})
}

// A seed is told once, is in no record and no list, and does not open in another
// device's row.
func TestSeedsAreSecret(t *testing.T) {
	h := newHouse(t)
	p, other := h.phone(t, "ada"), h.phone(t, "bob")
	raw, err := base32.StdEncoding.DecodeString(p.seed)
	if err != nil {
		t.Fatal(err)
	}
	records, err := json.Marshal(h.Records(t, apitest.Account, "CreateVirtualMFADevice"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(records, []byte("CreateVirtualMFADevice")) || bytes.Contains(records, []byte(p.seed)) {
		t.Error("the record tells the seed, or nothing")
	}
	var sealed []byte
	err = h.Store.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.QueryRow(`SELECT sealed FROM iam_devices WHERE serial = ?`, p.serial).Scan(&sealed); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE iam_devices SET sealed = ? WHERE serial = ?`, sealed, other.serial)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, raw) {
		t.Error("the seed is stored in clear")
	}
	p.next(10)
	sn, err := h.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	if _, err := h.iam.CheckMFA(t.Context(), sn, other.user, other.serial, p.code(t, 0), h.Now()); err == nil {
		t.Error("a seed that was copied into another's row counts")
	}
}

// The picture holds what applications need to know, and the seed is not of the name:
// a device that is made anew has another.
func TestDeviceMadeAnew(t *testing.T) {
	h := newHouse(t)
	in := &shape.CreateVirtualMFADeviceInput{VirtualMFADeviceName: "d"}
	d := must[shape.CreateVirtualMFADeviceOutput](t, h, h.admin, "iam:CreateVirtualMFADevice", in).VirtualMFADevice
	image, err := png.Decode(bytes.NewReader(d.QRCodePNG))
	if err != nil || image.Bounds().Dx() < 200 {
		t.Errorf("%v", err)
	}
	must[shape.DeleteVirtualMFADeviceOutput](t, h, h.admin, "iam:DeleteVirtualMFADevice", &shape.DeleteVirtualMFADeviceInput{SerialNumber: d.SerialNumber})
	again := must[shape.CreateVirtualMFADeviceOutput](t, h, h.admin, "iam:CreateVirtualMFADevice", in).VirtualMFADevice
	if again.SerialNumber != d.SerialNumber || bytes.Equal(again.Base32StringSeed, d.Base32StringSeed) {
		t.Error("the seed came back")
	}
	if n := atOnce[shape.CreateVirtualMFADeviceOutput](t, h, "iam:CreateVirtualMFADevice", &shape.CreateVirtualMFADeviceInput{VirtualMFADeviceName: "once"}); n != 1 {
		t.Errorf("%d devices of one name", n)
	}
}

// Devices of other accounts are not found, and a policy bounds which devices one may
// make and delete.
func TestDevicesAreGuarded(t *testing.T) {
	h := newHouse(t)
	p := h.unassigned(t, "ada")
	eve := h.user(t, "eve", allow(`"Action":"iam:*MFADevice*","Resource":["arn:aws:iam::*:mfa/${aws:username}","arn:aws:iam::*:user/${aws:username}"]`))
	must[shape.CreateVirtualMFADeviceOutput](t, h, eve, "iam:CreateVirtualMFADevice", &shape.CreateVirtualMFADeviceInput{VirtualMFADeviceName: "eve"})
	refused[shape.CreateVirtualMFADeviceOutput](t, h, eve, "iam:CreateVirtualMFADevice", &shape.CreateVirtualMFADeviceInput{VirtualMFADeviceName: "bob"}, "AccessDenied")
	for _, serial := range []string{p.serial, p.serial + "x"} {
		refused[shape.DeleteVirtualMFADeviceOutput](t, h, eve, "iam:DeleteVirtualMFADevice", &shape.DeleteVirtualMFADeviceInput{SerialNumber: serial}, "AccessDenied")
	}
	must[shape.ListMFADevicesOutput](t, h, eve, "iam:ListMFADevices", &shape.ListMFADevicesInput{})
	refused[shape.ListMFADevicesOutput](t, h, eve, "iam:ListMFADevices", &shape.ListMFADevicesInput{UserName: "admin"}, "AccessDenied")
	foreign := h.bootstrap(t, "210987654321", "admin")
	refused[shape.DeleteVirtualMFADeviceOutput](t, h, foreign, "iam:DeleteVirtualMFADevice", &shape.DeleteVirtualMFADeviceInput{SerialNumber: p.serial}, "NoSuchEntity")
	refused[shape.EnableMFADeviceOutput](t, h, foreign, "iam:EnableMFADevice", &shape.EnableMFADeviceInput{
		UserName: "admin", SerialNumber: p.serial, AuthenticationCode1: p.code(t, -1), AuthenticationCode2: p.code(t, 0)}, "NoSuchEntity")
	if apitest.Account == "210987654321" {
		t.Fatal("the other account is the same")
	}
}
