package kms

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

func equals(pairs ...string) *kms.GrantConstraints {
	return &kms.GrantConstraints{EncryptionContextEquals: pairsOf(pairs)}
}

func subset(pairs ...string) *kms.GrantConstraints {
	return &kms.GrantConstraints{EncryptionContextSubset: pairsOf(pairs)}
}

func pairsOf(list []string) map[string]string {
	pairs := map[string]string{}
	for _, p := range list {
		name, value, _ := strings.Cut(p, "=")
		pairs[name] = value
	}
	return pairs
}

// Who may make grants by a grant can give away what she has, or less: never another
// operation, never a looser constraint.
func TestDelegationOnlyNarrows(t *testing.T) { delegationOnlyNarrows(t, newRig(t)) }

func delegationOnlyNarrows(t *testing.T, rig *apitest.Rig) {
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	has := []kms.GrantOperation{kms.GrantOperationEncrypt, kms.GrantOperationCreateGrant}
	decrypts := []kms.GrantOperation{kms.GrantOperationDecrypt}
	for i, test := range []struct {
		parent, child *kms.GrantConstraints
		operations    []kms.GrantOperation
		good          bool
	}{
		{nil, nil, has[:1], true},
		{nil, nil, has, true},
		{nil, equals("a=1"), has, true},
		{nil, subset("a=1"), has, true},
		{nil, nil, decrypts, false},
		{nil, nil, append(decrypts, has...), false},
		{nil, nil, append(has[:2:2], kms.GrantOperationDescribeKey), false},
		{nil, equals("a=1"), []kms.GrantOperation{kms.GrantOperationRetireGrant}, false},

		{equals("a=1", "b=2"), equals("a=1", "b=2"), has, true},
		{equals("a=1", "b=2"), equals("B=2", "A=1"), has, true},
		{equals("a=1", "b=2"), nil, has, false},
		{equals("a=1", "b=2"), equals("a=1"), has, false},
		{equals("a=1", "b=2"), equals("a=1", "b=2", "c=3"), has, false},
		{equals("a=1", "b=2"), equals("a=1", "b=3"), has, false},
		{equals("a=1", "b=2"), subset("a=1", "b=2"), has, false},
		{equals("a=X"), equals("a=x"), has, false},

		{subset("a=1"), subset("a=1"), has, true},
		{subset("a=1"), subset("A=1", "b=2"), has, true},
		{subset("a=1"), equals("a=1"), has, true},
		{subset("a=1"), equals("a=1", "b=2"), has, true},
		{subset("a=1"), nil, has, false},
		{subset("a=1"), subset("b=2"), has, false},
		{subset("a=1"), equals("b=2"), has, false},
		{subset("a=1", "b=2"), subset("a=1"), has, false},
		{subset("a=1", "b=2"), equals("a=1"), has, false},
		{subset("k=1"), subset("\u212a=1"), has, false},
		{subset("a=1"), nil, []kms.GrantOperation{kms.GrantOperationCreateGrant}, false},
	} {
		k := newTestKey(t, admin, nil)
		alice, bob := rig.User(t, apitest.Account, fmt.Sprint("alice", i)), rig.User(t, apitest.Account, fmt.Sprint("bob", i))
		newGrantTo(t, admin, &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: alice.Entity.ARN, Operations: has, Constraints: test.parent})
		in := &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: bob.Entity.ARN, Operations: test.operations, Constraints: test.child}
		if test.good {
			newGrantTo(t, alice, in)
		} else {
			refused[kms.CreateGrantOutput](t, alice, "kms:CreateGrant", in, "AccessDenied")
		}
		// A policy lets her make any: she need not hold what she gives.
		apitest.Must[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: k.KeyId,
			Policy: document(allow(rootARN, `"kms:*"`, ""), allow(alice.Entity.ARN, `"kms:CreateGrant"`, ""))})
		newGrantTo(t, alice, in)
	}
}

// A chain of grants can only narrow, two grants do not add up, and the end of one is not
// that of what was made by it.
func TestChainsOfGrants(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	people := make([]*apitest.Caller, 4)
	for i := range people {
		people[i] = rig.User(t, apitest.Account, fmt.Sprint("user", i))
	}
	k := newTestKey(t, admin, nil)
	give := func(by *apitest.Caller, to int, c *kms.GrantConstraints, ops ...kms.GrantOperation) *kms.CreateGrantInput {
		return &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: people[to].Entity.ARN, Operations: ops, Constraints: c}
	}
	const encrypt, decrypt, create = kms.GrantOperationEncrypt, kms.GrantOperationDecrypt, kms.GrantOperationCreateGrant
	first := newGrantTo(t, admin, give(admin, 0, nil, encrypt, decrypt, create))
	newGrantTo(t, people[0], give(people[0], 1, subset("a=1"), encrypt, create))
	newGrantTo(t, people[1], give(people[1], 2, subset("a=1", "b=2"), encrypt, create))
	refused[kms.CreateGrantOutput](t, people[2], "kms:CreateGrant", give(people[2], 3, subset("a=1"), encrypt), "AccessDenied")
	refused[kms.CreateGrantOutput](t, people[2], "kms:CreateGrant", give(people[2], 3, subset("a=1", "b=2"), decrypt), "AccessDenied")
	// One grant has CreateGrant, the other the operation.
	newGrantTo(t, admin, give(admin, 2, nil, decrypt))
	refused[kms.CreateGrantOutput](t, people[2], "kms:CreateGrant", give(people[2], 3, subset("a=1", "b=2"), decrypt), "AccessDenied")
	newGrantTo(t, people[2], give(people[2], 3, equals("a=1", "b=2"), encrypt))
	narrow := encryptWith(k.KeyId, map[string]string{"a": "1", "b": "2"})
	apitest.Must[kms.EncryptOutput](t, people[3], "kms:Encrypt", narrow)
	refused[kms.EncryptOutput](t, people[3], "kms:Encrypt", encryptWith(k.KeyId, map[string]string{"a": "1", "b": "2", "c": "3"}), "AccessDenied")

	revoke(t, admin, k.KeyId, first.GrantId)
	refused[kms.CreateGrantOutput](t, people[0], "kms:CreateGrant", give(people[0], 3, nil, encrypt), "AccessDenied")
	apitest.Must[kms.EncryptOutput](t, people[3], "kms:Encrypt", narrow)
}

// Grants end by those who may end them, and by nobody else.
func TestWhoRetires(t *testing.T) { whoRetires(t, newRig(t)) }

func whoRetires(t *testing.T, rig *apitest.Rig) {
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	grantee, retirer := rig.User(t, apitest.Account, "grantee"), rig.Role(t, apitest.Account, "retirer")
	able := rig.User(t, apitest.Account, "able", document(`{"Effect":"Allow","Action":["kms:RetireGrant","kms:RevokeGrant"],"Resource":"*"}`))
	foreign := rig.User(t, apitest.Other, "admin", apitest.Admin)
	k := newTestKey(t, admin, &kms.CreateKeyInput{Policy: document(allow(admin.Entity.ARN, `"kms:*"`, ""))})
	make := func(in kms.CreateGrantInput) *kms.CreateGrantOutput {
		in.KeyId, in.GranteePrincipal, in.Operations = k.KeyId, grantee.Entity.ARN, append(in.Operations, kms.GrantOperationEncrypt)
		return newGrantTo(t, admin, &in)
	}
	byID := func(g *kms.CreateGrantOutput) *kms.RetireGrantInput {
		return &kms.RetireGrantInput{KeyId: k.Arn, GrantId: g.GrantId}
	}
	byToken := func(g *kms.CreateGrantOutput) *kms.RetireGrantInput {
		return &kms.RetireGrantInput{GrantToken: g.GrantToken}
	}
	plain := make(kms.CreateGrantInput{})
	for _, in := range []*kms.RetireGrantInput{byID(plain), byToken(plain)} {
		for _, c := range []*apitest.Caller{grantee, retirer, foreign} {
			refused[kms.RetireGrantOutput](t, c, "kms:RetireGrant", in, "AccessDenied")
		}
	}
	for _, c := range []*apitest.Caller{grantee, retirer, foreign, able} { // IAM does not count for this key, but for its account's grants
		refused[kms.RevokeGrantOutput](t, c, "kms:RevokeGrant", &kms.RevokeGrantInput{KeyId: k.Arn, GrantId: plain.GrantId}, "AccessDenied")
	}
	yes := true
	for _, test := range []struct {
		made *kms.CreateGrantOutput
		by   *apitest.Caller
	}{
		{plain, able},
		{make(kms.CreateGrantInput{RetiringPrincipal: retirer.Entity.ARN}), retirer},
		{make(kms.CreateGrantInput{RetiringPrincipal: retirer.SessionARN()}), retirer},
		{make(kms.CreateGrantInput{Operations: []kms.GrantOperation{kms.GrantOperationRetireGrant}, Constraints: equals("a=b")}), grantee},
		{make(kms.CreateGrantInput{RetiringPrincipal: "arn:aws:iam::" + apitest.Other + ":root"}), foreign},
		{make(kms.CreateGrantInput{}), admin},
	} {
		dry := byID(test.made)
		dry.DryRun = &yes
		refused[kms.RetireGrantOutput](t, test.by, "kms:RetireGrant", dry, "DryRunOperationException")
		again := byToken(test.made)
		apitest.Must[kms.RetireGrantOutput](t, test.by, "kms:RetireGrant", again)
		refused[kms.RetireGrantOutput](t, test.by, "kms:RetireGrant", again, "InvalidGrantTokenException")
		refused[kms.RetireGrantOutput](t, admin, "kms:RetireGrant", byID(test.made), "NotFoundException")
		refused[kms.RevokeGrantOutput](t, admin, "kms:RevokeGrant", &kms.RevokeGrantInput{KeyId: k.KeyId, GrantId: test.made.GrantId}, "NotFoundException")
		refused[kms.RetireGrantOutput](t, foreign, "kms:RetireGrant", byID(test.made), "AccessDenied")
	}
	refused[kms.EncryptOutput](t, grantee, "kms:Encrypt", encryptWith(k.KeyId, map[string]string{"a": "b"}), "AccessDenied")
	// A grant is of its key: under another's name it is not found.
	own := newTestKey(t, admin, nil)
	kept := make(kms.CreateGrantInput{})
	refused[kms.RevokeGrantOutput](t, admin, "kms:RevokeGrant", &kms.RevokeGrantInput{KeyId: own.KeyId, GrantId: kept.GrantId}, "NotFoundException")
	refused[kms.RetireGrantOutput](t, admin, "kms:RetireGrant", &kms.RetireGrantInput{KeyId: own.Arn, GrantId: kept.GrantId}, "NotFoundException")
	for _, in := range []*kms.RetireGrantInput{
		{}, {KeyId: k.Arn}, {GrantId: kept.GrantId}, {KeyId: k.Arn, GrantId: kept.GrantId, GrantToken: kept.GrantToken}, {KeyId: k.Arn, GrantToken: kept.GrantToken},
	} {
		refused[kms.RetireGrantOutput](t, admin, "kms:RetireGrant", in, "ValidationException")
	}
	refused[kms.RetireGrantOutput](t, admin, "kms:RetireGrant", &kms.RetireGrantInput{KeyId: k.KeyId, GrantId: kept.GrantId}, "InvalidArnException")
	for _, id := range []string{"x", strings.ToUpper(kept.GrantId), kept.GrantId + "0", kept.GrantId[:63] + "g"} {
		refused[kms.RetireGrantOutput](t, admin, "kms:RetireGrant", &kms.RetireGrantInput{KeyId: k.Arn, GrantId: id}, "InvalidGrantIdException")
		refused[kms.RevokeGrantOutput](t, admin, "kms:RevokeGrant", &kms.RevokeGrantInput{KeyId: k.Arn, GrantId: id}, "InvalidGrantIdException")
	}
	// What a policy denies, no grant allows.
	made := make(kms.CreateGrantInput{RetiringPrincipal: retirer.Entity.ARN})
	apitest.Must[kms.PutKeyPolicyOutput](t, admin, "kms:PutKeyPolicy", &kms.PutKeyPolicyInput{KeyId: k.KeyId, Policy: document(allow(admin.Entity.ARN, `"kms:*"`, ""),
		strings.Replace(allow(retirer.Entity.ARN, `"kms:RetireGrant"`, ""), "Allow", "Deny", 1))})
	refused[kms.RetireGrantOutput](t, retirer, "kms:RetireGrant", byToken(made), "AccessDenied")
}

// Who takes the name of a grantee or a retiring principal takes nothing else.
func TestGranteesWhoseNamesWereUsedAgain(t *testing.T) {
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	k := newTestKey(t, admin, nil)
	names := func() []*apitest.Caller {
		return []*apitest.Caller{rig.User(t, apitest.Account, "alice"), rig.Role(t, apitest.Account, "train")}
	}
	ops := []kms.GrantOperation{kms.GrantOperationEncrypt, kms.GrantOperationRetireGrant}
	before := names()
	arns := []string{before[0].Entity.ARN, before[1].Entity.ARN, before[1].SessionARN()}
	ids := []string{before[0].Entity.ID, before[1].Entity.ID, before[1].Entity.ID + ":session"}
	var made []*kms.CreateGrantOutput
	for _, name := range arns {
		made = append(made, newGrantTo(t, admin, &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: name, RetiringPrincipal: name, Operations: ops}))
	}
	for _, c := range before {
		apitest.Must[kms.EncryptOutput](t, c, "kms:Encrypt", encryptWith(k.KeyId, nil))
		rig.Remove(c)
	}
	for _, c := range names() {
		refused[kms.EncryptOutput](t, c, "kms:Encrypt", encryptWith(k.KeyId, nil), "AccessDenied")
		for _, g := range made {
			refused[kms.RetireGrantOutput](t, c, "kms:RetireGrant", &kms.RetireGrantInput{GrantToken: g.GrantToken}, "AccessDenied")
		}
	}
	// The grants show whom they mean, and can be looked for by that.
	for i, g := range made {
		for _, in := range []*kms.ListGrantsInput{{KeyId: k.KeyId, GrantId: g.GrantId}, {KeyId: k.KeyId, GranteePrincipal: ids[i]}} {
			list := apitest.Must[kms.ListGrantsOutput](t, admin, "kms:ListGrants", in).Grants
			if len(list) != 1 || list[0].GranteePrincipal != ids[i] || list[0].RetiringPrincipal != ids[i] || list[0].GrantId != g.GrantId {
				t.Errorf("%+v: %+v", in, list)
			}
		}
		if list := apitest.Must[kms.ListGrantsOutput](t, admin, "kms:ListGrants", &kms.ListGrantsInput{KeyId: k.KeyId, GranteePrincipal: arns[i]}).Grants; len(list) != 0 {
			t.Errorf("under the name of another: %+v", list)
		}
	}
}

// Nobody reads a token in what is kept; a changed one is none; it says nothing to who
// has no grant.
func TestGrantTokens(t *testing.T) {
	rig := newRig(t)
	admin, user, other := rig.User(t, apitest.Account, "admin", apitest.Admin), rig.User(t, apitest.Account, "user"), rig.User(t, apitest.Account, "other")
	k := newTestKey(t, admin, nil)
	in := &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: user.Entity.ARN, Operations: toEncrypt, Name: "named"}
	made, again := newGrantTo(t, admin, in), newGrantTo(t, admin, in)
	if made.GrantId != again.GrantId || made.GrantToken == again.GrantToken || len(grantsOf(t, admin, k.KeyId)) != 1 {
		t.Fatalf("%+v and %+v", made, again)
	}
	with := func(tokens ...string) *kms.EncryptInput {
		return &kms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("x"), GrantTokens: tokens}
	}
	apitest.Must[kms.EncryptOutput](t, user, "kms:Encrypt", with(made.GrantToken, again.GrantToken))
	refused[kms.EncryptOutput](t, other, "kms:Encrypt", with(made.GrantToken), "AccessDenied")
	for i := range made.GrantToken {
		bent := []byte(made.GrantToken)
		bent[i] ^= 1
		refused[kms.EncryptOutput](t, user, "kms:Encrypt", with(string(bent)), "InvalidGrantTokenException")
	}
	for _, token := range []string{made.GrantToken + "=", made.GrantToken + "A", made.GrantToken[1:], made.GrantId, " " + made.GrantToken, made.GrantToken + "\n"} {
		e := refused[kms.EncryptOutput](t, user, "kms:Encrypt", with(again.GrantToken, token), "InvalidGrantTokenException")
		if strings.Contains(e.Message, made.GrantToken[8:40]) {
			t.Errorf("the refusal tells the token: %s", e.Message)
		}
	}
	apitest.Must[kms.RetireGrantOutput](t, admin, "kms:RetireGrant", &kms.RetireGrantInput{GrantToken: again.GrantToken})
	refused[kms.EncryptOutput](t, admin, "kms:Encrypt", with(made.GrantToken), "InvalidGrantTokenException")
	for _, token := range []string{made.GrantToken, again.GrantToken} {
		apitest.NoPlaintext(t, rig.Dir, token[20:60])
	}
	records := rig.Records(t, apitest.Account, "RetireGrant")
	if len(records) != 1 || !strings.Contains(string(records[0].AdditionalEventData), made.GrantId) || records[0].Resources[0].ARN != k.Arn {
		t.Errorf("%+v", records)
	}
	// The token of another server's making.
	elsewhere := newRig(t)
	boss := elsewhere.User(t, apitest.Account, "admin", apitest.Admin)
	theirs := newTestKey(t, boss, nil)
	foreign := newGrantTo(t, boss, &kms.CreateGrantInput{KeyId: theirs.KeyId, GranteePrincipal: boss.Entity.ARN, Operations: toEncrypt})
	refused[kms.RetireGrantOutput](t, admin, "kms:RetireGrant", &kms.RetireGrantInput{GrantToken: foreign.GrantToken}, "InvalidGrantTokenException")
}

// A request of the same name is the same grant only if all of it is the same, however
// often it is made at once.
func TestNamesOfGrants(t *testing.T) { onBoth(t, namesOfGrants) }

func namesOfGrants(t *testing.T, rig *apitest.Rig) {
	admin, user, role := rig.User(t, apitest.Account, "admin", apitest.Admin), rig.User(t, apitest.Account, "user"), rig.Role(t, apitest.Account, "role")
	k := newTestKey(t, admin, nil)
	base := func() *kms.CreateGrantInput {
		return &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: user.Entity.ARN, Operations: []kms.GrantOperation{kms.GrantOperationEncrypt, kms.GrantOperationDecrypt}, Name: "n"}
	}
	var ids sync.Map
	var all sync.WaitGroup
	var made atomic.Int32
	for range 8 {
		all.Go(func() {
			out, err := apitest.Call[kms.CreateGrantOutput](t, admin, "kms:CreateGrant", base())
			if err == nil {
				ids.Store(out.GrantId, true)
				made.Add(1)
			} else if err.Code != "ServiceUnavailable" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(grantsOf(t, admin, k.KeyId)); n != 1 || made.Load() == 0 {
		t.Fatalf("%d calls made %d grants", made.Load(), n)
	}
	first := newGrantTo(t, admin, base()).GrantId
	if _, ok := ids.Load(first); !ok {
		t.Error("the grant is another than was answered before")
	}
	reordered := base()
	reordered.Operations = []kms.GrantOperation{kms.GrantOperationDecrypt, kms.GrantOperationEncrypt, kms.GrantOperationDecrypt}
	if id := newGrantTo(t, admin, reordered).GrantId; id != first {
		t.Error("the order of operations made another grant")
	}
	seen := map[string]bool{first: true}
	for i, change := range []func(*kms.CreateGrantInput){
		func(in *kms.CreateGrantInput) { in.Name = "" }, func(in *kms.CreateGrantInput) { in.Name = "" },
		func(in *kms.CreateGrantInput) { in.Name = "N" },
		func(in *kms.CreateGrantInput) { in.GranteePrincipal = role.Entity.ARN },
		func(in *kms.CreateGrantInput) { in.GranteePrincipal = role.SessionARN() },
		func(in *kms.CreateGrantInput) { in.RetiringPrincipal = role.Entity.ARN },
		func(in *kms.CreateGrantInput) { in.Operations = toEncrypt },
		func(in *kms.CreateGrantInput) { in.Constraints = equals("a=b") },
		func(in *kms.CreateGrantInput) { in.Constraints = subset("a=b") },
		func(in *kms.CreateGrantInput) { in.Constraints = subset("a=c") },
		func(in *kms.CreateGrantInput) { in.KeyId = newTestKey(t, admin, nil).KeyId },
	} {
		in := base()
		change(in)
		id := newGrantTo(t, admin, in).GrantId
		if seen[id] {
			t.Errorf("change %d is the same grant", i)
		}
		seen[id] = true
	}
	yes := true
	in := base()
	in.Name, in.DryRun = "dry", &yes
	before := len(grantsOf(t, admin, k.KeyId))
	refused[kms.CreateGrantOutput](t, admin, "kms:CreateGrant", in, "DryRunOperationException")
	refused[kms.RevokeGrantOutput](t, admin, "kms:RevokeGrant", &kms.RevokeGrantInput{KeyId: k.KeyId, GrantId: first, DryRun: &yes}, "DryRunOperationException")
	if n := len(grantsOf(t, admin, k.KeyId)); n != before {
		t.Errorf("dry runs left %d grants of %d", n, before)
	}
	// A revoked grant is not the same request's any more.
	revoke(t, admin, k.KeyId, first)
	if id := newGrantTo(t, admin, base()).GrantId; id == first {
		t.Error("a revoked grant came back")
	}
	fillGrants(t, rig, k.KeyId)
	refused[kms.CreateGrantOutput](t, admin, "kms:CreateGrant", &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: user.Entity.ARN, Operations: toEncrypt}, "LimitExceededException")
	newGrantTo(t, admin, base()) // makes none
}

// fillGrants lets a key count as many grants as it can have.
func fillGrants(t testing.TB, rig *apitest.Rig, key string) {
	t.Helper()
	if err := rig.Store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE kms_keys SET grants = ? WHERE id = ?", maxGrants, key)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// While a grant is revoked, what is made by it is made before that or not at all.
func TestRevokedWhileUsed(t *testing.T) { onBoth(t, revokedWhileUsed) }

func revokedWhileUsed(t *testing.T, rig *apitest.Rig) {
	admin, alice, bob := rig.User(t, apitest.Account, "admin", apitest.Admin), rig.User(t, apitest.Account, "alice"), rig.User(t, apitest.Account, "bob")
	k := newTestKey(t, admin, nil)
	for range 10 {
		parent := newGrantTo(t, admin, &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: alice.Entity.ARN,
			Operations: []kms.GrantOperation{kms.GrantOperationEncrypt, kms.GrantOperationCreateGrant}})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				_, err := apitest.Call[kms.CreateGrantOutput](t, alice, "kms:CreateGrant", &kms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: bob.Entity.ARN, Operations: toEncrypt})
				if err != nil && err.Code != "AccessDenied" && err.Code != "ServiceUnavailable" {
					t.Error(err)
				}
			})
		}
		if _, err := apitest.Call[kms.RevokeGrantOutput](t, admin, "kms:RevokeGrant", &kms.RevokeGrantInput{KeyId: k.KeyId, GrantId: parent.GrantId}); err != nil {
			t.Fatal(err)
		}
		now := len(grantsOf(t, admin, k.KeyId))
		all.Wait()
		if n := len(grantsOf(t, admin, k.KeyId)); n != now {
			t.Fatalf("%d grants, and %d when the one that allowed them was revoked", n, now)
		}
	}
}
