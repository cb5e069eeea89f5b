package kms

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

func (l *life) doom(t testing.TB, id string, window int32) *kms.ScheduleKeyDeletionOutput {
	t.Helper()
	return apitest.Must[kms.ScheduleKeyDeletionOutput](t, l.admin, "kms:ScheduleKeyDeletion", &kms.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: &window})
}

// left counts the rows that there are of a key.
func (l *life) left(t testing.TB, id string) (n int) {
	t.Helper()
	sn, err := l.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	if err := sn.QueryRow(`SELECT (SELECT count(*) FROM kms_keys WHERE id = ?) + (SELECT count(*) FROM kms_materials WHERE key = ?)
		+ (SELECT count(*) FROM kms_tags WHERE key = ?) + (SELECT count(*) FROM kms_aliases WHERE key = ?)
		+ (SELECT count(*) FROM kms_grants WHERE key = ?)`, id, id, id, id, id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestKeyDeletion(t *testing.T) { lives(t, keyDeletion) }

func keyDeletion(t *testing.T, l *life) {
	k := newTestKey(t, l.admin, &kms.CreateKeyInput{Tags: []kms.Tag{{TagKey: "team", TagValue: "red"}}})
	apitest.Must[kms.CreateAliasOutput](t, l.admin, "kms:CreateAlias", &kms.CreateAliasInput{AliasName: "alias/doomed", TargetKeyId: k.KeyId})
	apitest.Must[kms.CreateGrantOutput](t, l.admin, "kms:CreateGrant", &kms.CreateGrantInput{
		KeyId: k.KeyId, GranteePrincipal: l.admin.Entity.ARN, Operations: []kms.GrantOperation{kms.GrantOperationDecrypt},
	})
	blob := l.encrypt(t, k.KeyId, "x")
	for _, window := range []int32{1, 6, 31, 365} {
		refused[kms.ScheduleKeyDeletionOutput](t, l.admin, "kms:ScheduleKeyDeletion", &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId, PendingWindowInDays: &window}, "ValidationException")
	}
	usual := apitest.Must[kms.ScheduleKeyDeletionOutput](t, l.admin, "kms:ScheduleKeyDeletion", &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId})
	if *usual.PendingWindowInDays != 30 || usual.KeyState != kms.KeyStatePendingDeletion || usual.KeyId != k.Arn {
		t.Errorf("%+v", usual)
	}
	refused[kms.DecryptOutput](t, l.admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: blob}, "KMSInvalidStateException")
	refused[kms.EnableKeyOutput](t, l.admin, "kms:EnableKey", &kms.EnableKeyInput{KeyId: k.KeyId}, "KMSInvalidStateException")
	if m := l.describe(t, k.KeyId); !m.DeletionDate.Equal(usual.DeletionDate.Truncate(time.Microsecond)) || *m.Enabled {
		t.Errorf("it is to go at %s: %+v", usual.DeletionDate, m)
	}
	apitest.Must[kms.CancelKeyDeletionOutput](t, l.admin, "kms:CancelKeyDeletion", &kms.CancelKeyDeletionInput{KeyId: k.KeyId})
	if m := l.describe(t, k.KeyId); m.KeyState != kms.KeyStateDisabled || !m.DeletionDate.IsZero() {
		t.Errorf("%+v", m)
	}
	l.pass(t, 31*days)
	apitest.Must[kms.EnableKeyOutput](t, l.admin, "kms:EnableKey", &kms.EnableKeyInput{KeyId: k.KeyId})
	l.opens(t, blob, "x")

	l.doom(t, k.KeyId, 7)
	l.pass(t, 7*days-time.Minute)
	if l.left(t, k.KeyId) != 5 {
		t.Fatal("it went too early")
	}
	l.Advance(time.Minute)
	refused[kms.CancelKeyDeletionOutput](t, l.admin, "kms:CancelKeyDeletion", &kms.CancelKeyDeletionInput{KeyId: k.KeyId}, "NotFoundException")
	for range 2 {
		l.pass(t, 0)
		if n := l.left(t, k.KeyId); n != 0 {
			t.Fatalf("%d rows are left", n)
		}
	}
	refused[kms.DescribeKeyOutput](t, l.admin, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: k.KeyId}, "NotFoundException")
	refused[kms.DescribeKeyOutput](t, l.admin, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: "alias/doomed"}, "NotFoundException")
	refused[kms.DecryptOutput](t, l.admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: blob}, "AccessDenied")
	refused[kms.DecryptOutput](t, l.admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: blob, KeyId: k.Arn}, "NotFoundException")
	refused[kms.CancelKeyDeletionOutput](t, l.admin, "kms:CancelKeyDeletion", &kms.CancelKeyDeletionInput{KeyId: k.KeyId}, "NotFoundException")
	told := l.Records(t, apitest.Account, "DeleteKey")
	if len(told) != 1 || told[0].EventType != "AwsServiceEvent" || len(told[0].Resources) != 1 || told[0].Resources[0].ARN != k.Arn {
		t.Errorf("the record says %+v", told)
	}
	other := newTestKey(t, l.admin, nil)
	apitest.Must[kms.CreateAliasOutput](t, l.admin, "kms:CreateAlias", &kms.CreateAliasInput{AliasName: "alias/doomed", TargetKeyId: other.KeyId})
	if m := l.describe(t, "alias/doomed"); m.KeyId != other.KeyId {
		t.Errorf("the alias names %s", m.KeyId)
	}
}

func TestDeletionWindowDecides(t *testing.T) {
	l := newLife(t)
	k := newTestKey(t, l.admin, nil)
	allow := func(condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"` + condition + `}]}`
	}
	slow := l.User(t, apitest.Account, "slow", allow(`,"Condition":{"NumericGreaterThanEquals":{"kms:ScheduleKeyDeletionPendingWindowInDays":"20"}}`))
	window := int32(19)
	refused[kms.ScheduleKeyDeletionOutput](t, slow, "kms:ScheduleKeyDeletion", &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId, PendingWindowInDays: &window}, "AccessDenied")
	idle := l.User(t, apitest.Account, "idle", allow(`,"Condition":{"NumericGreaterThan":{"kms:TrailingDaysWithoutKeyUsage":"30"}}`))
	refused[kms.ScheduleKeyDeletionOutput](t, idle, "kms:ScheduleKeyDeletion", &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId}, "AccessDenied")
	apitest.Must[kms.ScheduleKeyDeletionOutput](t, slow, "kms:ScheduleKeyDeletion", &kms.ScheduleKeyDeletionInput{KeyId: k.KeyId})
}

// Whatever breaks off the destruction, nothing or everything of it has happened.
func TestDestructionThatIsBrokenOff(t *testing.T) {
	l := newLife(t)
	k := newTestKey(t, l.admin, nil)
	l.doom(t, k.KeyId, 7)
	happened, broken := l.service.Happened, errors.New("the power fails")
	l.service.Happened = func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
		return happened(ctx, e, func(tx *store.Tx) error { return errors.Join(change(tx), broken) })
	}
	l.Advance(8 * days)
	if err := l.service.tend(t.Context(), l.Store); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if l.left(t, k.KeyId) != 2 || len(l.Records(t, apitest.Account, "DeleteKey")) != 0 {
		t.Error("half of it has happened")
	}
	refused[kms.EncryptOutput](t, l.admin, "kms:Encrypt", encryptWith(k.KeyId, nil), "KMSInvalidStateException")
	l.service.Happened = happened
	l.pass(t, 0)
	if l.left(t, k.KeyId) != 0 {
		t.Error("it is not destroyed when the power is back")
	}
}

// A key whose destruction fails keeps no other from its own.
func TestOneFailureHoldsUpNobody(t *testing.T) {
	l := newLife(t)
	bad, good := newTestKey(t, l.admin, nil), newTestKey(t, l.admin, nil)
	l.doom(t, bad.KeyId, 7)
	l.doom(t, good.KeyId, 8)
	happened := l.service.Happened
	l.service.Happened = func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
		if e.Resources[0].ARN == bad.Arn {
			return errors.New("no")
		}
		return happened(ctx, e, change)
	}
	l.Advance(9 * days)
	if err := l.service.tend(t.Context(), l.Store); err == nil {
		t.Error("the failure is not told")
	}
	if l.left(t, good.KeyId) != 0 || l.left(t, bad.KeyId) == 0 {
		t.Error("the wrong key is destroyed")
	}
}

// clearOf is what a copy of the service holds of a key's first material, as it lies
// in memory.
func clearOf(t testing.TB, s *Service, id string) []byte {
	t.Helper()
	for _, held := range s.materials.Keys() {
		if held.key == id {
			m, _ := s.materials.Get(held, held.version)
			return m.clear
		}
	}
	t.Fatal("nothing is held")
	return nil
}

func blank(b []byte) bool { return strings.Trim(string(b), "\x00") == "" }

func TestMaterialLeavesMemory(t *testing.T) {
	l := newLife(t)
	material := bytes32()
	for name, end := range map[string]func(*testing.T, string){
		"disabled": func(t *testing.T, id string) {
			apitest.Must[kms.DisableKeyOutput](t, l.admin, "kms:DisableKey", &kms.DisableKeyInput{KeyId: id})
		},
		"doomed": func(t *testing.T, id string) { l.doom(t, id, 7) },
		"deleted": func(t *testing.T, id string) {
			apitest.Must[kms.DeleteImportedKeyMaterialOutput](t, l.admin, "kms:DeleteImportedKeyMaterial", &kms.DeleteImportedKeyMaterialInput{KeyId: id})
		},
		"expired": func(t *testing.T, _ string) { l.pass(t, 3*time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			k := l.external(t, "", "")
			l.bring(t, k.Arn, material, kms.ImportKeyMaterialInput{ValidTo: l.Now().Add(2 * time.Hour)})
			blob := l.encrypt(t, k.KeyId, "x")
			other, err := New(l.service.Config)
			if err != nil {
				t.Fatal(err)
			}
			sn, err := l.Store.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer sn.Close()
			held, err := other.get(sn, k.KeyId)
			if err != nil {
				t.Fatal(err)
			}
			if err := other.withMaterial(sn, held, 1, func([]byte) error { return nil }); err != nil {
				t.Fatal(err)
			}
			sn.Close()
			here, there := clearOf(t, l.service, k.KeyId), clearOf(t, other, k.KeyId)
			if string(here) != string(material) || string(there) != string(material) {
				t.Fatal("this test does not see the material")
			}
			if err := other.forgetUnusable(t.Context(), l.Store); err != nil || blank(there) {
				t.Fatalf("material of a key in use is forgotten: %v", err)
			}
			end(t, k.KeyId)
			if !blank(here) {
				t.Error("it is still in memory")
			}
			if err := other.forgetUnusable(t.Context(), l.Store); err != nil {
				t.Fatal(err)
			}
			if !blank(there) {
				t.Error("it is still in the memory of another copy of the server")
			}
			if _, err := apitest.Call[kms.DecryptOutput](t, l.admin, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: blob}); err == nil {
				t.Error("it still opens what it sealed")
			}
		})
	}
}

// Of a destroyed key not even the wrapped material is left in the database's file,
// once its log has run into it.
func TestWrappedMaterialLeavesTheDisk(t *testing.T) {
	l := newLife(t)
	wrappedOf := func(id string) string {
		sn, err := l.Store.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Close()
		b, err := wrappedMaterial(sn, materialID{id, 1})
		if err != nil || len(b) == 0 {
			t.Fatal(err)
		}
		return string(b)
	}
	var kept, gone []string
	for range 20 {
		k := newTestKey(t, l.admin, nil)
		kept = append(kept, wrappedOf(k.KeyId))
		k = newTestKey(t, l.admin, nil)
		gone = append(gone, wrappedOf(k.KeyId))
		l.doom(t, k.KeyId, 7)
		k = l.external(t, "", "")
		l.bring(t, k.Arn, bytes32(), kms.ImportKeyMaterialInput{})
		gone = append(gone, wrappedOf(k.KeyId))
		apitest.Must[kms.DeleteImportedKeyMaterialOutput](t, l.admin, "kms:DeleteImportedKeyMaterial", &kms.DeleteImportedKeyMaterialInput{KeyId: k.KeyId})
	}
	l.pass(t, 8*days)
	if err := l.Store.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(l.Dir, "bawn.db")
	if out, err := exec.Command("python3", "-c", `import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()`, path).CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrapped := range kept {
		if !strings.Contains(string(file), wrapped) {
			t.Fatal("this test does not see wrapped material")
		}
	}
	for i, wrapped := range gone {
		if strings.Contains(string(file), wrapped) {
			t.Errorf("wrapped material %d that was destroyed is still there", i)
		}
	}
}

// Run does what is due and ends with its context, also where several copies run.
func TestRun(t *testing.T) { lives(t, run) }

func run(t *testing.T, l *life) {
	k := newTestKey(t, l.admin, nil)
	l.doom(t, k.KeyId, 7)
	l.Advance(8 * days)
	done := make(chan string, 10)
	happened := l.service.Happened
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 3 {
		cfg := l.service.Config
		cfg.Happened = func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
			err := happened(ctx, e, change)
			if err == nil {
				done <- e.Name
			}
			return err
		}
		other, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			if err := other.Run(ctx, l.Store, func(err error) { t.Error(err) }); err != nil {
				t.Error(err)
			}
		})
	}
	if name := <-done; name != "DeleteKey" || l.left(t, k.KeyId) != 0 {
		t.Errorf("%s, and %d rows are left", name, l.left(t, k.KeyId))
	}
	cancel()
	all.Wait()
	if len(done) != 0 {
		t.Errorf("%s came too", <-done)
	}
}
