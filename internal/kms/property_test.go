package kms

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
)

// A wish is what must hold of one key, kept beside the service by much simpler means.
type wish struct {
	*life
	t        *testing.T
	id, arn  string
	imported bool
	off      bool
	doomed   bool
	period   int
	next     time.Time
	current  string // name of the material that encrypts
	own      map[string]*brought
	waiting  string
	waits    *brought
	kept     []sealed
}

// A brought material is one that was imported.
type brought struct {
	material []byte
	gone     bool
	until    time.Time
}

type sealed struct {
	blob     []byte
	text     string
	material string
}

func (w *wish) lost() bool {
	if !w.imported {
		return false
	}
	for _, b := range w.own {
		if b.gone || !b.until.IsZero() && !w.Now().Before(b.until) {
			return true
		}
	}
	return len(w.own) == 0
}

// code is the error of every use of the key, or empty.
func (w *wish) code() string {
	switch {
	case w.doomed, w.lost():
		return "KMSInvalidStateException"
	case w.off:
		return "DisabledException"
	}
	return ""
}

// attempt makes a call and fails the test unless it succeeds or fails as it must.
func attempt[Out any](w *wish, action string, in any, code string) *Out {
	w.t.Helper()
	out, err := apitest.Call[Out](w.t, w.admin, "kms:"+action, in)
	if err != nil && err.Code != code || err == nil && code != "" {
		w.t.Fatalf("%s: %v, and it should have been %q; %+v", action, err, code, w)
	}
	return out
}

// check holds the key to everything that was ever sealed under it.
func (w *wish) check() {
	w.t.Helper()
	code := w.code()
	for _, s := range w.kept {
		out := attempt[kms.DecryptOutput](w, "Decrypt", &kms.DecryptInput{CiphertextBlob: s.blob}, code)
		if code == "" && (string(out.Plaintext) != s.text || out.KeyMaterialId != s.material) {
			w.t.Fatalf("%q opens to %q under %s", s.text, out.Plaintext, out.KeyMaterialId)
		}
	}
	if m := w.describe(w.t, w.id); code == "" && (m.KeyState != kms.KeyStateEnabled || m.CurrentKeyMaterialId != w.current) {
		w.t.Fatalf("%+v, %+v", m, w)
	}
}

// step does one thing that anybody might.
func (w *wish) step(r *rand.Rand) string {
	forever := kms.ExpirationModelTypeKeyMaterialDoesNotExpire
	validity := func() (kms.ImportKeyMaterialInput, time.Time) {
		if r.IntN(2) == 0 {
			return kms.ImportKeyMaterialInput{ExpirationModel: forever}, time.Time{}
		}
		until := w.Now().Add(time.Duration(1+r.IntN(90)) * days).Truncate(time.Second)
		return kms.ImportKeyMaterialInput{ValidTo: until}, until
	}
	switch n := r.IntN(12); n {
	case 0, 1, 2:
		code := w.code()
		text := fmt.Sprint(len(w.kept), " ", r.Int())
		out := attempt[kms.EncryptOutput](w, "Encrypt", &kms.EncryptInput{KeyId: w.id, Plaintext: []byte(text)}, code)
		if code == "" {
			w.kept = append(w.kept, sealed{out.CiphertextBlob, text, w.current})
		}
		return "encrypt"
	case 3:
		w.Advance(time.Second)
		code := w.code()
		if code == "" && w.imported && (w.waits == nil || !w.waits.until.IsZero() && !w.Now().Before(w.waits.until)) {
			code = "KMSInvalidStateException"
		}
		if code == "" && w.period > 0 && w.next.Sub(w.Now()) < imminent {
			code = "ConflictException"
		}
		attempt[kms.RotateKeyOnDemandOutput](w, "RotateKeyOnDemand", &kms.RotateKeyOnDemandInput{KeyId: w.id}, code)
		if code == "" {
			w.turned()
		}
		w.Advance(time.Second)
		return "rotate"
	case 4:
		code := map[bool]string{true: "KMSInvalidStateException"}[w.doomed || w.lost()]
		if r.IntN(2) == 0 {
			attempt[kms.DisableKeyOutput](w, "DisableKey", &kms.DisableKeyInput{KeyId: w.id}, code)
			w.off = w.off || code == ""
			return "disable"
		}
		attempt[kms.EnableKeyOutput](w, "EnableKey", &kms.EnableKeyInput{KeyId: w.id}, code)
		w.off = w.off && code != ""
		return "enable"
	case 5:
		if w.doomed {
			attempt[kms.CancelKeyDeletionOutput](w, "CancelKeyDeletion", &kms.CancelKeyDeletionInput{KeyId: w.id}, "")
			w.doomed, w.off = false, true
			return "save"
		}
		if r.IntN(3) == 0 {
			w.doom(w.t, w.id, 30)
			w.doomed = true
		}
		return "doom"
	case 6:
		code := w.code()
		if w.imported {
			code = "UnsupportedOperationException"
		}
		period := int32(90 + r.IntN(100))
		attempt[kms.EnableKeyRotationOutput](w, "EnableKeyRotation", &kms.EnableKeyRotationInput{KeyId: w.id, RotationPeriodInDays: &period}, code)
		if code == "" && w.period != int(period) {
			w.period = int(period)
			w.next = w.status(w.t, w.id).NextRotationDate
		}
		return "rotate by itself"
	case 7, 8:
		w.Advance(time.Duration(r.IntN(int(20 * days))))
		if w.doomed { // what is destroyed has no more to show
			attempt[kms.CancelKeyDeletionOutput](w, "CancelKeyDeletion", &kms.CancelKeyDeletionInput{KeyId: w.id}, "")
			w.doomed, w.off = false, true
		}
		if !w.lost() && !w.off && w.period > 0 && !w.Now().Before(w.next) {
			w.pass(w.t, 0)
			w.turned()
			w.next = w.status(w.t, w.id).NextRotationDate
			return "time brings a rotation"
		}
		w.pass(w.t, 0)
		if w.waits != nil && !w.waits.until.IsZero() && !w.Now().Before(w.waits.until) {
			w.waits = nil
		}
		for _, b := range w.own {
			b.gone = b.gone || !b.until.IsZero() && !w.Now().Before(b.until)
		}
		return "time"
	}
	if !w.imported || w.doomed {
		return "nothing"
	}
	switch r.IntN(3) {
	case 0: // new material
		in, until := validity()
		in.ImportType = kms.ImportTypeNewKeyMaterial
		material := bytes32()
		code := map[bool]string{true: "KMSInvalidStateException"}[w.waits != nil]
		out := attempt[kms.ImportKeyMaterialOutput](w, "ImportKeyMaterial", w.wrapped(w.t, w.arn, material, in), code)
		switch {
		case code != "":
		case len(w.own) == 0:
			w.current = out.KeyMaterialId
			w.own[w.current] = &brought{material: material, until: until}
		default:
			w.waiting, w.waits = out.KeyMaterialId, &brought{material: material, until: until}
		}
		return "bring new"
	case 1: // what it had
		for name, b := range w.own {
			in, until := validity()
			out := attempt[kms.ImportKeyMaterialOutput](w, "ImportKeyMaterial", w.wrapped(w.t, w.arn, b.material, in), "")
			if out.KeyMaterialId != name {
				w.t.Fatalf("%s comes back as %s", name, out.KeyMaterialId)
			}
			b.gone, b.until = false, until
			break
		}
		return "bring back"
	}
	for name, b := range w.own {
		attempt[kms.DeleteImportedKeyMaterialOutput](w, "DeleteImportedKeyMaterial", &kms.DeleteImportedKeyMaterialInput{KeyId: w.id, KeyMaterialId: name}, "")
		b.gone, b.until = true, time.Time{}
		break
	}
	return "delete"
}

// turned is what a rotation changes.
func (w *wish) turned() {
	if w.imported {
		w.current, w.own[w.waiting], w.waits = w.waiting, w.waits, nil
		return
	}
	all := w.rotations(w.t, w.id)
	w.current = all[len(all)-1].KeyMaterialId
	if slices.ContainsFunc(w.kept, func(s sealed) bool { return s.material == w.current }) {
		w.t.Fatalf("material %s comes twice", w.current)
	}
}

// Whatever is done to a key, what it sealed opens under the material that sealed it,
// exactly when the key may be used.
func TestWhatWasSealedOpens(t *testing.T) {
	l := newLife(t)
	for i := range 16 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test's choices
			w := &wish{life: l, t: t, imported: i%2 == 1, own: map[string]*brought{}}
			if w.imported {
				k := l.external(t, "", "")
				w.id, w.arn = k.KeyId, k.Arn
			} else {
				k := newTestKey(t, l.admin, nil)
				w.id, w.arn, w.current = k.KeyId, k.Arn, k.CurrentKeyMaterialId
			}
			var done []string
			defer func() {
				if t.Failed() {
					t.Logf("seed %d: %q", seed, done)
				}
			}()
			for range 40 {
				done = append(done, w.step(r))
				w.check()
			}
		})
	}
}
