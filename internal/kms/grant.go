package kms

import (
	"math/bits"
	"slices"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// maxGrants is how many grants a key can have.
const maxGrants = 50_000

// A grant lets its grantee use a key, beside the key's policy. It does not change.
type grant struct {
	id, key, name string
	issuer        string // account in which it was made
	grantee       principal
	retiring      principal // of an empty id: there is none
	operations    operations
	constraint    constraint
	created       time.Time
}

// holdingKey is touched when a principal gets or loses a grant of a key.
func holdingKey(key, holder string) string { return "kms:grants/" + key + "/" + holder }

// operations are those that a grant allows, a bit each.
type operations int64

// grantable are the operations in the order of their bits, which the store keeps: new
// ones come last.
var grantable = []kms.GrantOperation{
	kms.GrantOperationDecrypt, kms.GrantOperationEncrypt, kms.GrantOperationGenerateDataKey, kms.GrantOperationGenerateDataKeyWithoutPlaintext,
	kms.GrantOperationReEncryptFrom, kms.GrantOperationReEncryptTo, kms.GrantOperationSign, kms.GrantOperationVerify,
	kms.GrantOperationGetPublicKey, kms.GrantOperationCreateGrant, kms.GrantOperationRetireGrant, kms.GrantOperationDescribeKey,
	kms.GrantOperationGenerateDataKeyPair, kms.GrantOperationGenerateDataKeyPairWithoutPlaintext,
	kms.GrantOperationGenerateMac, kms.GrantOperationVerifyMac, kms.GrantOperationDeriveSharedSecret,
}

// setOf answers a set without what no grant knows.
func setOf(list ...kms.GrantOperation) operations {
	var set operations
	for _, op := range list {
		if i := slices.Index(grantable, op); i >= 0 {
			set |= 1 << i
		}
	}
	return set
}

func (o operations) list() []kms.GrantOperation {
	list := make([]kms.GrantOperation, 0, bits.OnesCount64(uint64(o)))
	for i, op := range grantable {
		if o&(1<<i) != 0 {
			list = append(list, op)
		}
	}
	return list
}

var (
	ofAnyKey  = setOf(kms.GrantOperationCreateGrant, kms.GrantOperationRetireGrant, kms.GrantOperationDescribeKey)
	ofCiphers = setOf(kms.GrantOperationEncrypt, kms.GrantOperationDecrypt, kms.GrantOperationReEncryptFrom, kms.GrantOperationReEncryptTo)
	ofWraps   = setOf(kms.GrantOperationGenerateDataKey, kms.GrantOperationGenerateDataKeyWithoutPlaintext,
		kms.GrantOperationGenerateDataKeyPair, kms.GrantOperationGenerateDataKeyPairWithoutPlaintext)
	ofPublic = setOf(kms.GrantOperationGetPublicKey)

	// withoutContext have no encryption context, and so grants allow them whatever
	// their constraint.
	withoutContext = setOf(kms.GrantOperationDescribeKey, kms.GrantOperationRetireGrant)
)

// operations are those that make sense for the key.
func (k *key) operations() operations {
	switch {
	case k.spec == kms.KeySpecSymmetricDefault:
		return ofAnyKey | ofCiphers | ofWraps
	case k.usage == kms.KeyUsageTypeEncryptDecrypt:
		return ofAnyKey | ofCiphers | ofPublic
	case k.usage == kms.KeyUsageTypeSignVerify:
		return ofAnyKey | ofPublic | setOf(kms.GrantOperationSign, kms.GrantOperationVerify)
	case k.usage == kms.KeyUsageTypeGenerateVerifyMac:
		return ofAnyKey | setOf(kms.GrantOperationGenerateMac, kms.GrantOperationVerifyMac)
	case k.usage == kms.KeyUsageTypeKeyAgreement:
		return ofAnyKey | ofPublic | setOf(kms.GrantOperationDeriveSharedSecret)
	}
	return ofAnyKey
}

// granted is a grant of the key that allows a use of it to the caller, or nil. Tokens
// add nothing, since a grant works from the next call on.
func granted(c *api.Call, n *named, u use) (*policy.Grant, error) {
	return allowing(c.Snapshot, c.Caller(), n.key, wanted{setOf(kms.GrantOperation(u.action)), u.context, true})
}

// wanted is what a grant has to allow: for a use one operation under an encryption
// context, for a new grant that it is no wider.
type wanted struct {
	operations operations
	pairs      map[string]string
	exact      bool // there are no more pairs
}

// allowing is a grant that allows the caller all that is wanted of the key, or nil: if
// it can be, one whose grantee is not a whole account.
func allowing(sn *store.Snapshot, who policy.Principal, k *key, w wanted) (*policy.Grant, error) {
	if k == nil || k.grants == 0 || w.operations == 0 {
		return nil, nil
	}
	w.pairs = foldNames(w.pairs)
	holders, err := holding(sn, k.id, holders(who))
	if err != nil || len(holders) == 0 {
		return nil, err
	}
	// The account comes last, and one grant of each is enough: whoever may make grants
	// must not slow others down by giving them many.
	own := slices.DeleteFunc(slices.Clone(holders), isAccount)
	for _, some := range [][]string{own, slices.DeleteFunc(holders, func(h string) bool { return !isAccount(h) })} {
		var found *policy.Grant
		if len(some) > 0 {
			err = candidates(sn, k.id, some, w, func(g *grant) bool {
				if w.operations&^withoutContext != 0 && !g.constraint.admits(w.pairs, w.exact) {
					return true
				}
				found = &policy.Grant{ID: g.id, Account: g.grantee.account()}
				return false
			})
		}
		if found != nil || err != nil {
			return found, err
		}
	}
	return nil, nil
}

// holding leaves those that may have grants of the key. The decision depends on what
// all of them have.
func holding(sn *store.Snapshot, key string, holders []string) ([]string, error) {
	keys := make([]string, len(holders))
	for i, h := range holders {
		keys[i] = holdingKey(key, h)
	}
	versions, err := sn.Versions(keys...)
	if err != nil {
		return nil, err
	}
	var some []string
	for i, v := range versions {
		if v != 0 {
			some = append(some, holders[i])
		}
	}
	return some, nil
}

// knows says whether a caller has grants of the key at all.
func (k *key) knows(sn *store.Snapshot, who policy.Principal) (bool, error) {
	if k.grants == 0 {
		return false, nil
	}
	some, err := holding(sn, k.id, holders(who))
	return len(some) > 0, err
}
