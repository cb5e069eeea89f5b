package kms

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

func (l *life) rotate(t testing.TB, id string) {
	t.Helper()
	l.Advance(time.Second) // a rotation at the same moment is the same rotation
	apitest.Must[kms.RotateKeyOnDemandOutput](t, l.admin, "kms:RotateKeyOnDemand", &kms.RotateKeyOnDemandInput{KeyId: id})
	l.Advance(time.Second)
}

func (l *life) enableRotation(t testing.TB, id string, period int32) {
	t.Helper()
	apitest.Must[kms.EnableKeyRotationOutput](t, l.admin, "kms:EnableKeyRotation", &kms.EnableKeyRotationInput{KeyId: id, RotationPeriodInDays: &period})
}

func (l *life) status(t testing.TB, id string) *kms.GetKeyRotationStatusOutput {
	t.Helper()
	return apitest.Must[kms.GetKeyRotationStatusOutput](t, l.admin, "kms:GetKeyRotationStatus", &kms.GetKeyRotationStatusInput{KeyId: id})
}

func TestAutomaticRotation(t *testing.T) { lives(t, automaticRotation) }

func automaticRotation(t *testing.T, l *life) {
	k := newTestKey(t, l.admin, nil)
	if s := l.status(t, k.Arn); *s.KeyRotationEnabled || s.RotationPeriodInDays != nil || !s.NextRotationDate.IsZero() {
		t.Errorf("it rotates: %+v", s)
	}
	l.enableRotation(t, k.KeyId, 90)
	first := l.status(t, k.KeyId).NextRotationDate
	l.pass(t, 10*days)
	l.enableRotation(t, k.KeyId, 90)
	if s := l.status(t, k.KeyId); !*s.KeyRotationEnabled || *s.RotationPeriodInDays != 90 || !s.NextRotationDate.Equal(first) {
		t.Errorf("asking again puts it off: %+v", s)
	}
	before := l.encrypt(t, k.KeyId, "before")
	l.pass(t, 79*days)
	if n := len(l.rotations(t, k.KeyId)); n != 1 {
		t.Fatalf("%d materials a day too early", n)
	}
	for range 2 {
		l.pass(t, 12*time.Hour+time.Minute)
	}
	after := l.encrypt(t, k.KeyId, "after")
	old, current := l.opens(t, before, "before"), l.opens(t, after, "after")
	if m := l.describe(t, k.KeyId); old == current || m.CurrentKeyMaterialId != current {
		t.Errorf("%s, %s, and the current is %s", old, current, m.CurrentKeyMaterialId)
	}
	got := l.rotations(t, k.KeyId)
	if len(got) != 2 || got[0].KeyMaterialId != old || got[0].KeyMaterialState != kms.KeyMaterialStateNonCurrent || got[0].RotationType != "" ||
		got[1].KeyMaterialId != current || got[1].KeyMaterialState != kms.KeyMaterialStateCurrent || got[1].RotationType != kms.RotationTypeAutomatic || got[1].RotationDate.Before(first) {
		t.Errorf("%+v", got)
	}
	told := l.Records(t, apitest.Account, "RotateKey")
	if len(told) != 1 || told[0].EventType != "AwsServiceEvent" || told[0].Resources[0].ARN != k.Arn {
		t.Errorf("the record says %+v", told)
	}

	// What is disabled does not rotate; enabled again it does, and begins anew.
	apitest.Must[kms.DisableKeyOutput](t, l.admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: k.KeyId})
	l.pass(t, 200*days)
	if n := len(l.rotations(t, k.KeyId)); n != 2 || !*l.status(t, k.KeyId).KeyRotationEnabled {
		t.Errorf("%d materials of a disabled key", n)
	}
	apitest.Must[kms.EnableKeyOutput](t, l.admin, "kms:EnableKey", &kms.EnableKeyInput{KeyId: k.KeyId})
	l.pass(t, 0)
	if n := len(l.rotations(t, k.KeyId)); n != 3 {
		t.Errorf("%d materials of a key that is enabled again", n)
	}
	if next := l.status(t, k.KeyId).NextRotationDate.Sub(l.Now()); next < 89*days || next > 90*days {
		t.Errorf("it rotates in %s", next)
	}
	l.doom(t, k.KeyId, 30)
	if *l.status(t, k.KeyId).KeyRotationEnabled {
		t.Error("a key that is to be destroyed rotates")
	}
	apitest.Must[kms.CancelKeyDeletionOutput](t, l.admin, "kms:CancelKeyDeletion", &kms.CancelKeyDeletionInput{KeyId: k.KeyId})
	apitest.Must[kms.EnableKeyOutput](t, l.admin, "kms:EnableKey", &kms.EnableKeyInput{KeyId: k.KeyId})
	if !*l.status(t, k.KeyId).KeyRotationEnabled {
		t.Error("a key that was saved rotates no more")
	}
	apitest.Must[kms.DisableKeyRotationOutput](t, l.admin, "kms:DisableKeyRotation", &kms.DisableKeyRotationInput{KeyId: k.KeyId})
	l.pass(t, 1000*days)
	if n := len(l.rotations(t, k.KeyId)); n != 3 || *l.status(t, k.KeyId).KeyRotationEnabled {
		t.Errorf("%d materials, though rotation is off", n)
	}
	l.opens(t, before, "before")
	l.opens(t, after, "after")
}

func TestManagedKeysRotateEachYear(t *testing.T) {
	l := newLife(t)
	k := l.describe(t, "alias/aws/s3")
	for year := range 3 {
		if s := l.status(t, k.KeyId); !*s.KeyRotationEnabled || *s.RotationPeriodInDays != 365 {
			t.Errorf("%+v", s)
		}
		if n := len(l.rotations(t, k.KeyId)); n != year+1 {
			t.Errorf("%d materials after %d years", n, year)
		}
		l.pass(t, 366*days)
	}
	refused[kms.DisableKeyRotationOutput](t, l.admin, "kms:DisableKeyRotation", &kms.DisableKeyRotationInput{KeyId: k.KeyId}, "AccessDenied")
	refused[kms.RotateKeyOnDemandOutput](t, l.admin, "kms:RotateKeyOnDemand", &kms.RotateKeyOnDemandInput{KeyId: k.KeyId}, "AccessDenied")
	refused[kms.ScheduleKeyDeletionOutput](t, l.admin, "kms:ScheduleKeyDeletion", &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId}, "AccessDenied")
}

func TestRotationOnDemand(t *testing.T) {
	l := newLife(t)
	k := newTestKey(t, l.admin, nil)
	var blobs [][]byte
	for range maxOnDemand {
		blobs = append(blobs, l.encrypt(t, k.KeyId, "x"))
		l.rotate(t, k.KeyId)
	}
	refused[kms.RotateKeyOnDemandOutput](t, l.admin, "kms:RotateKeyOnDemand", &kms.RotateKeyOnDemandInput{KeyId: k.KeyId}, "LimitExceededException")
	seen := map[string]bool{}
	for _, b := range blobs {
		seen[l.opens(t, b, "x")] = true
	}
	if len(seen) != maxOnDemand {
		t.Errorf("%d materials sealed", len(seen))
	}
	// By pages it is the same list.
	whole, limit := l.rotations(t, k.KeyId), int32(7)
	var paged []kms.RotationsListEntry
	in := &kms.ListKeyRotationsInput{KeyId: k.KeyId, IncludeKeyMaterial: kms.IncludeKeyMaterialAllKeyMaterial, Limit: &limit}
	for {
		out := apitest.Must[kms.ListKeyRotationsOutput](t, l.admin, "kms:ListKeyRotations", in)
		paged = append(paged, out.Rotations...)
		if !*out.Truncated {
			break
		}
		in.Marker = out.NextMarker
	}
	if len(whole) != maxOnDemand+1 || !slices.Equal(paged, whole) {
		t.Errorf("%d by pages, %d at once", len(paged), len(whole))
	}
	only := apitest.Must[kms.ListKeyRotationsOutput](t, l.admin, "kms:ListKeyRotations", &kms.ListKeyRotationsInput{KeyId: k.KeyId}).Rotations
	if !slices.Equal(only, whole[1:]) {
		t.Errorf("%d rotations", len(only))
	}
	refused[kms.ListKeyRotationsOutput](t, l.admin, "kms:ListKeyRotations", &kms.ListKeyRotationsInput{KeyId: k.KeyId, Marker: "OTk"}, "InvalidMarkerException")
	// On demand does not change the schedule, and is not asked for just before it.
	k = newTestKey(t, l.admin, nil)
	l.enableRotation(t, k.KeyId, 90)
	next := l.status(t, k.KeyId).NextRotationDate
	l.rotate(t, k.KeyId)
	if !l.status(t, k.KeyId).NextRotationDate.Equal(next) {
		t.Error("the schedule has changed")
	}
	l.Advance(90*days - 10*time.Minute)
	refused[kms.RotateKeyOnDemandOutput](t, l.admin, "kms:RotateKeyOnDemand", &kms.RotateKeyOnDemandInput{KeyId: k.KeyId}, "ConflictException")
}

func TestTwoRotationsAtOnce(t *testing.T) { lives(t, twoRotationsAtOnce) }

func twoRotationsAtOnce(t *testing.T, l *life) {
	k := newTestKey(t, l.admin, nil)
	for range 3 {
		l.Advance(time.Second)
		before := len(l.rotations(t, k.KeyId))
		var all sync.WaitGroup
		var won atomic.Int32
		start := make(chan struct{})
		for range 4 {
			all.Go(func() {
				<-start
				_, err := apitest.Call[kms.RotateKeyOnDemandOutput](t, l.admin, "kms:RotateKeyOnDemand", &kms.RotateKeyOnDemandInput{KeyId: k.KeyId})
				switch {
				case err == nil:
					won.Add(1)
				case err.Code != "ConflictException":
					t.Error(err)
				}
			})
		}
		close(start)
		all.Wait()
		// Who came after the first had ended has rotated too.
		if n := len(l.rotations(t, k.KeyId)) - before; n != int(won.Load()) || n == 0 {
			t.Errorf("%d were told of a rotation, and there were %d", won.Load(), n)
		}
		l.Advance(time.Second)
	}
	l.opens(t, l.encrypt(t, k.KeyId, "x"), "x")
}

// Who was asked before a rotation came true does not rotate once more.
func TestRotationThatWasOvertaken(t *testing.T) {
	l := newLife(t)
	k := newTestKey(t, l.admin, nil)
	l.rotate(t, k.KeyId)
	l.Advance(-time.Minute)
	refused[kms.RotateKeyOnDemandOutput](t, l.admin, "kms:RotateKeyOnDemand", &kms.RotateKeyOnDemandInput{KeyId: k.KeyId}, "ConflictException")
}

// Two copies of the server that both think they lead rotate once.
func TestTwoTenders(t *testing.T) { lives(t, twoTenders) }

func twoTenders(t *testing.T, l *life) {
	k := newTestKey(t, l.admin, nil)
	doomed := newTestKey(t, l.admin, nil)
	l.enableRotation(t, k.KeyId, 90)
	l.doom(t, doomed.KeyId, 7)
	l.Advance(91 * days)
	var all sync.WaitGroup
	for range 4 {
		other, err := New(l.service.Config)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			if err := other.tend(t.Context(), l.Store); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(l.rotations(t, k.KeyId)); n != 2 {
		t.Errorf("%d materials", n)
	}
	if n := len(l.Records(t, apitest.Account, "DeleteKey")); n != 1 || l.left(t, doomed.KeyId) != 0 {
		t.Errorf("it was destroyed %d times", n)
	}
}

// A tender that was overtaken by another writes over nothing: what was sealed in the
// meantime opens.
func TestTenderThatWasOvertaken(t *testing.T) { lives(t, tenderOvertaken) }

func tenderOvertaken(t *testing.T, l *life) {
	k := newTestKey(t, l.admin, nil)
	l.enableRotation(t, k.KeyId, 90)
	l.Advance(91 * days)
	other, err := New(l.service.Config)
	if err != nil {
		t.Fatal(err)
	}
	var blob []byte
	happened := l.service.Happened
	l.service.Happened = func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
		if err := other.tend(ctx, l.Store); err != nil {
			t.Error(err)
		}
		blob = l.encrypt(t, k.KeyId, "x")
		return happened(ctx, e, change)
	}
	l.pass(t, 0)
	l.service.materials.Drop(materialID{k.KeyId, 2})
	l.opens(t, blob, "x")
	if n := len(l.rotations(t, k.KeyId)); n != 2 || len(l.Records(t, apitest.Account, "RotateKey")) != 1 {
		t.Errorf("%d materials", n)
	}
}

func TestWhatDoesNotRotate(t *testing.T) {
	l := newLife(t)
	for name, k := range map[string]*kms.KeyMetadata{
		"hmac":     newTestKey(t, l.admin, &kms.CreateKeyInput{KeySpec: kms.KeySpecHmac256, KeyUsage: kms.KeyUsageTypeGenerateVerifyMac}),
		"ecc":      newTestKey(t, l.admin, &kms.CreateKeyInput{KeySpec: kms.KeySpecEccNistP256, KeyUsage: kms.KeyUsageTypeSignVerify}),
		"imported": l.external(t, kms.KeySpecHmac256, kms.KeyUsageTypeGenerateVerifyMac),
	} {
		t.Run(name, func(t *testing.T) {
			refused[kms.EnableKeyRotationOutput](t, l.admin, "kms:EnableKeyRotation", &kms.EnableKeyRotationInput{KeyId: k.KeyId}, "UnsupportedOperationException")
			refused[kms.DisableKeyRotationOutput](t, l.admin, "kms:DisableKeyRotation", &kms.DisableKeyRotationInput{KeyId: k.KeyId}, "UnsupportedOperationException")
			refused[kms.GetKeyRotationStatusOutput](t, l.admin, "kms:GetKeyRotationStatus", &kms.GetKeyRotationStatusInput{KeyId: k.KeyId}, "UnsupportedOperationException")
			refused[kms.RotateKeyOnDemandOutput](t, l.admin, "kms:RotateKeyOnDemand", &kms.RotateKeyOnDemandInput{KeyId: k.KeyId}, "UnsupportedOperationException")
			refused[kms.ListKeyRotationsOutput](t, l.admin, "kms:ListKeyRotations", &kms.ListKeyRotationsInput{KeyId: k.KeyId}, "UnsupportedOperationException")
		})
	}
	k := l.external(t, "", "")
	refused[kms.EnableKeyRotationOutput](t, l.admin, "kms:EnableKeyRotation", &kms.EnableKeyRotationInput{KeyId: k.KeyId}, "UnsupportedOperationException")
	if *l.status(t, k.KeyId).KeyRotationEnabled {
		t.Error("imported material rotates by itself")
	}
}

func TestRotationPeriodDecides(t *testing.T) {
	l := newLife(t)
	k := newTestKey(t, l.admin, nil)
	often := l.User(t, apitest.Account, "often",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"NumericLessThanEquals":{"kms:RotationPeriodInDays":"180"}}}]}`)
	period := int32(181)
	refused[kms.EnableKeyRotationOutput](t, often, "kms:EnableKeyRotation", &kms.EnableKeyRotationInput{KeyId: k.KeyId, RotationPeriodInDays: &period}, "AccessDenied")
	refused[kms.EnableKeyRotationOutput](t, often, "kms:EnableKeyRotation", &kms.EnableKeyRotationInput{KeyId: k.KeyId}, "AccessDenied")
	period = 180
	apitest.Must[kms.EnableKeyRotationOutput](t, often, "kms:EnableKeyRotation", &kms.EnableKeyRotationInput{KeyId: k.KeyId, RotationPeriodInDays: &period})
}

// Another account may look at a rotation, if the key lets it, and do nothing else
// about a key's life, though its policy says so.
func TestLifeOfAnotherAccountsKey(t *testing.T) {
	l := newLife(t)
	k := newTestKey(t, l.admin, &kms.CreateKeyInput{Policy: document(
		allow("arn:aws:iam::"+apitest.Account+":root", `"kms:*"`, ""), allow("arn:aws:iam::"+apitest.Other+":root", `"kms:*"`, ""))})
	stranger := l.User(t, apitest.Other, "stranger", apitest.Admin)
	apitest.Must[kms.GetKeyRotationStatusOutput](t, stranger, "kms:GetKeyRotationStatus", &kms.GetKeyRotationStatusInput{KeyId: k.Arn})
	for action, in := range map[string]any{
		"ScheduleKeyDeletion": &kms.ScheduleKeyDeletionInput{KeyId: k.Arn}, "CancelKeyDeletion": &kms.CancelKeyDeletionInput{KeyId: k.Arn},
		"EnableKeyRotation": &kms.EnableKeyRotationInput{KeyId: k.Arn}, "DisableKeyRotation": &kms.DisableKeyRotationInput{KeyId: k.Arn},
		"RotateKeyOnDemand": &kms.RotateKeyOnDemandInput{KeyId: k.Arn}, "ListKeyRotations": &kms.ListKeyRotationsInput{KeyId: k.Arn},
		"GetParametersForImport":    &kms.GetParametersForImportInput{KeyId: k.Arn, WrappingAlgorithm: kms.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: kms.WrappingKeySpecRsa2048},
		"ImportKeyMaterial":         &kms.ImportKeyMaterialInput{KeyId: k.Arn, ImportToken: []byte("x"), EncryptedKeyMaterial: []byte("x")},
		"DeleteImportedKeyMaterial": &kms.DeleteImportedKeyMaterialInput{KeyId: k.Arn},
	} {
		if _, err := try(t, l.Rig, stranger, action, in); err == nil || err.Code != "AccessDenied" {
			t.Errorf("%s: %v", action, err)
		}
	}
}

// Who may do nothing hears of nothing: neither of a key's state, nor of its material.
func TestLifeIsNotForEveryone(t *testing.T) {
	l := newLife(t)
	nobody := l.User(t, apitest.Account, "nobody")
	k := l.external(t, "", "")
	in := l.wrapped(t, k.Arn, bytes32(), kms.ImportKeyMaterialInput{})
	for action, in := range map[string]any{
		"ScheduleKeyDeletion": &kms.ScheduleKeyDeletionInput{KeyId: k.Arn}, "CancelKeyDeletion": &kms.CancelKeyDeletionInput{KeyId: k.Arn},
		"EnableKeyRotation": &kms.EnableKeyRotationInput{KeyId: k.Arn}, "DisableKeyRotation": &kms.DisableKeyRotationInput{KeyId: k.Arn},
		"RotateKeyOnDemand": &kms.RotateKeyOnDemandInput{KeyId: k.Arn}, "ListKeyRotations": &kms.ListKeyRotationsInput{KeyId: k.Arn},
		"GetKeyRotationStatus":   &kms.GetKeyRotationStatusInput{KeyId: k.Arn},
		"GetParametersForImport": &kms.GetParametersForImportInput{KeyId: k.Arn, WrappingAlgorithm: kms.AlgorithmSpecRsaesPkcs1V15, WrappingKeySpec: kms.WrappingKeySpecSm2},
		"ImportKeyMaterial":      in, "DeleteImportedKeyMaterial": &kms.DeleteImportedKeyMaterialInput{KeyId: k.Arn},
	} {
		if _, err := try(t, l.Rig, nobody, action, in); err == nil || err.Code != "AccessDenied" {
			t.Errorf("%s: %v", action, err)
		}
	}
	if m := l.describe(t, k.KeyId); m.KeyState != kms.KeyStatePendingImport {
		t.Errorf("it is %s", m.KeyState)
	}
}
