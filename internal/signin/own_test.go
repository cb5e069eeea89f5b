package signin

import (
	"fmt"
	"testing"
	"time"
)

// What is one's own: sessions, and nobody else's.
func TestOwnSessions(t *testing.T) {
	f := newFront(t)
	laptop, phone := f.browser("127.0.0.1"), f.browser("127.0.0.2")
	ada := laptop.join("ada")
	eve := f.browser("127.0.0.66").join("eve")
	one, two := laptop.enter(ada), phone.enter(ada)
	if one == two || one == ada.session {
		t.Fatal("two sign-ins have one secret")
	}
	list := laptop.call("ListOwnSessions", values{"Session": one}).Sessions
	if len(list) != 3 || !list[1].Current || list[0].SourceAddress != "127.0.0.2" {
		t.Fatalf("%+v", list)
	}
	// Eve ends nothing of hers, and hears nothing.
	if out := phone.call("EndSession", values{"Session": eve.session, "Id": list[1].Id}); out.Status != 200 {
		t.Errorf("%+v", out)
	}
	if out := laptop.call("DescribeOwn", values{"Session": one}); out.UserId != ada.id {
		t.Errorf("somebody else ended it: %+v", out)
	}
	f.refusedWith(laptop.call("DescribeOwn", values{"Session": list[1].Id + "0000"}), "UnauthorizedException", "an id as secret")
	laptop.call("EndSession", values{"Session": one, "Id": list[0].Id})
	f.refusedWith(phone.call("DescribeOwn", values{"Session": two}), "UnauthorizedException", "ended from another browser")
	laptop.call("EndSession", values{"Session": one})
	f.refusedWith(laptop.call("DescribeOwn", values{"Session": one}), "UnauthorizedException", "signed out")
	one, two = laptop.enter(ada), phone.enter(ada)
	laptop.call("EndAllSessions", values{"Session": one})
	for _, s := range []string{one, two, ada.session} {
		f.refusedWith(laptop.call("ListDevices", values{"Session": s}), "UnauthorizedException", "signed out everywhere")
	}
	if out := laptop.call("DescribeOwn", values{"Session": eve.session}); out.UserId != eve.id {
		t.Error("eve was signed out too")
	}
	// Use keeps a session, for a while; a restart does not end it.
	one = laptop.enter(ada)
	f.restart()
	f.Advance(sessionIdle - time.Minute)
	if out := laptop.call("DescribeOwn", values{"Session": one}); out.Status != 200 {
		t.Errorf("%+v", out)
	}
	f.Advance(sessionIdle - time.Minute)
	if out := laptop.call("DescribeOwn", values{"Session": one}); out.Status != 200 {
		t.Errorf("one that is used: %+v", out)
	}
	f.Advance(sessionIdle + time.Minute)
	f.refusedWith(laptop.call("DescribeOwn", values{"Session": one}), "UnauthorizedException", "unused")
}

func TestOwnDevices(t *testing.T) {
	f := newFront(t)
	b := f.browser("127.0.0.1")
	ada, eve := b.join("ada"), b.join("eve")
	session := b.enter(ada)
	devices := b.call("ListDevices", values{"Session": session}).Devices
	f.refusedWith(b.call("DeleteTOTP", values{"Session": session, "Id": devices[0].Id}), "ConflictException", "the last device")
	f.refusedWith(b.call("DeleteTOTP", values{"Session": eve.session, "Id": devices[0].Id}), "ResourceNotFoundException", "ada's device")
	f.refusedWith(b.call("RenameDevice", values{"Session": eve.session, "Id": devices[0].Id, "DeviceName": "mine"}), "ResourceNotFoundException", "ada's device")
	f.refusedWith(b.call("DeletePasskey", values{"Session": session, "Id": devices[0].Id}), "ResourceNotFoundException", "an application as passkey")
	f.refusedWith(b.call("RenameDevice", values{"Session": session, "Id": devices[0].Id, "DeviceName": "a\x00b"}), "ValidationException", "a name with controls")

	key := newAuthenticator(t)
	setup := b.call("BeginPasskey", values{"Session": session})
	made := b.call("FinishPasskey", values{"Session": session, "Setup": setup.Setup, "Passkey": key.create(t, setup.PasskeyOptions)})
	b.call("RenameDevice", values{"Session": session, "Id": made.Id, "DeviceName": "<b>laptop</b>"})
	if out := b.call("DeleteTOTP", values{"Session": session, "Id": devices[0].Id}); out.Status != 200 {
		t.Errorf("%+v", out)
	}
	devices = b.call("ListDevices", values{"Session": session}).Devices
	if len(devices) != 1 || devices[0].Name != "<b>laptop</b>" || devices[0].Kind != "PASSKEY" {
		t.Errorf("%+v", devices)
	}
	if out := b.password("ada", goodPassword); len(out.Next) != 2 || out.Next[0] != "passkey" {
		t.Errorf("%+v", out)
	}

	codes := b.call("CreateRecoveryCodes", values{"Session": session}).RecoveryCodes
	f.failedWith(b.next(b.password("ada", goodPassword).Flow, values{"RecoveryCode": ada.codes[0]}), "CODE", "a code of the old set")
	if out := b.next(b.password("ada", goodPassword).Flow, values{"RecoveryCode": codes[9]}); out.Session == "" {
		t.Errorf("%+v", out)
	}
	for i := len(devices); i < maxDevices; i++ {
		setup := b.call("BeginTOTP", values{"Session": session})
		in := values{"Session": session, "Setup": setup.Setup, "Code": f.code(setup.Totp.Secret), "DeviceName": fmt.Sprint("phone ", i)}
		if out := b.call("ConfirmTOTP", in); out.Id == "" {
			t.Fatalf("%+v", out)
		}
		if i < maxDevices-1 {
			f.refusedWith(b.call("ConfirmTOTP", in), "AccessDeniedException", "a setup twice")
		}
	}
	f.refusedWith(b.call("BeginTOTP", values{"Session": session}), "ServiceQuotaExceededException", "too many")

	// A browser that was left open is no way to stay.
	f.Advance(recentLife + time.Second)
	if b.call("DescribeOwn", values{"Session": session}).Recent {
		t.Error("it is recent for ever")
	}
	for _, op := range []string{"BeginTOTP", "BeginPasskey", "CreateRecoveryCodes"} {
		f.refusedWith(b.call(op, values{"Session": session}), "ReauthenticationRequiredException", op)
	}
	f.refusedWith(b.call("DeletePasskey", values{"Session": session, "Id": made.Id}), "ReauthenticationRequiredException", "DeletePasskey")
}

func TestChangePassword(t *testing.T) {
	f := newFront(t)
	b, other := f.browser("127.0.0.1"), f.browser("127.0.0.2")
	ada := b.join("ada")
	session, elsewhere := b.enter(ada), other.enter(ada)
	change := func(old, new string) answer {
		return b.call("ChangePassword", values{"Session": session, "OldPassword": old, "NewPassword": new})
	}
	f.failedWith(change("not it", "a second good password"), "CREDENTIALS", "a wrong old one")
	f.failedWith(change(goodPassword, "weak"), "PASSWORD_TOO_WEAK", "a weak one")
	f.failedWith(change(goodPassword, goodPassword), "PASSWORD_REUSED", "the same")
	if out := change(goodPassword, "a second good password"); out.Failure != "" || out.Status != 200 {
		t.Fatalf("%+v", out)
	}
	f.refusedWith(other.call("DescribeOwn", values{"Session": elsewhere}), "UnauthorizedException", "her other sessions")
	if out := b.call("DescribeOwn", values{"Session": session}); out.UserId != ada.id {
		t.Errorf("her own session ended: %+v", out)
	}
	f.failedWith(b.password("ada", goodPassword), "CREDENTIALS", "the old password")
	if out := b.password("ada", "a second good password"); len(out.Next) == 0 {
		t.Errorf("%+v", out)
	}
	// Who sits before her open browser guesses no more than who stands at the door.
	for range freeHere {
		f.failedWith(change("a guess", "a third good password"), "CREDENTIALS", "a guess")
	}
	f.failedWith(change("a second good password", "a third good password"), "TRY_LATER", "after guesses")
}
