package kms

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
)

// A decryption is a ciphertext with the key that the caller may use on it.
type decryption struct {
	*named
	encryption
	tokens  []string // of grants
	unnamed bool     // the ciphertext alone says which key
	blob    []byte
	ciphertext
	parsed bool
}

// decryptionOf finds the key of a ciphertext: the one of that name, or the one that the
// ciphertext tells where there is no name.
func (s *Service) decryptionOf(ctx context.Context, c *api.Call, name string, blob []byte, e encryption, tokens []string) (*decryption, error) {
	e.algorithm = cmp.Or(e.algorithm, symmetric)
	d := &decryption{encryption: e, tokens: tokens, unnamed: name == "", blob: blob}
	d.ciphertext, d.parsed = parseCiphertext(blob)
	var err error
	switch {
	case !d.unnamed:
		d.named, err = s.find(ctx, c, name, anyOrAlias)
	case e.algorithm != symmetric:
		err = invalid("A key must be named to decrypt with algorithm %s.", e.algorithm)
	case !d.parsed:
		d.named = s.missing(c, s.arn(c.Account, "key/*"), c.Account, errCiphertext())
	default:
		var k *key
		k, err = s.get(c.Snapshot, d.ciphertext.key)
		// A key whose policy and grants have nothing to do with the caller's account is
		// not even asked: the record of the refusal would name it to that account.
		known := false
		if err == nil && k != nil {
			known, err = k.known(c)
		}
		if err == nil && !known {
			// What is wrong with the request itself is said whether or not there is a key.
			if err = s.sound(c, policy.Context{}, d.context, tokens); err == nil {
				err = errUnnamed()
			}
		}
		if err == nil {
			d.named = k.named()
		}
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// wantsOpen states the demand of an action that decrypts. Who may not use a key that the
// ciphertext alone names must not learn which it is, nor whether it is: the decision is
// asked for here, where its reason, which names the key, can be dropped.
func (s *Service) wantsOpen(ctx context.Context, c *api.Call, d *decryption, action string, more policy.Context) (api.Demand, error) {
	keys := encrypts(d.algorithm)
	maps.Copy(keys, more)
	demand, err := s.wants(c, d.named, use{action: action, keys: keys, context: d.context, tokens: d.tokens})
	if err != nil || !d.unnamed || !d.parsed {
		return demand, err
	}
	err = c.Allowed(ctx, demand)
	if _, refused := errors.AsType[*api.Error](err); refused {
		err = errUnnamed()
	}
	return demand, err
}

// known says whether a caller may hear of the key: it is of her account, its policy
// concerns that, or she has grants of it.
func (k *key) known(c *api.Call) (bool, error) {
	if k.account == c.Account || k.concerns(c.Caller()) {
		return true, nil
	}
	return k.knows(c.Snapshot, c.Caller())
}

// concerns says whether the key's policy names a caller, her account, one of its
// principals or everyone. Without that it lets nobody of another account in, and a
// managed key never does. A user or role stands there by unique id.
func (k *key) concerns(who policy.Principal) bool {
	ids := holders(who)
	return !k.managed && slices.ContainsFunc(k.policy.Policy.Principals(), func(name string) bool {
		return name == "*" || who.Account != "" && strings.Contains(name, who.Account) || slices.Contains(ids, name)
	})
}

func (s *Service) decrypting(ctx context.Context, c *api.Call, in *kms.DecryptInput) (*decryption, []api.Demand, error) {
	d, err := s.decryptionOf(ctx, c, in.KeyId, in.CiphertextBlob, encryption{"Decrypt", in.EncryptionAlgorithm, in.EncryptionContext}, in.GrantTokens)
	if err != nil {
		return nil, nil, err
	}
	demand, err := s.wantsOpen(ctx, c, d, "Decrypt", nil)
	return d, []api.Demand{demand}, err
}

func (s *Service) decrypt(_ context.Context, c *api.Call, in *kms.DecryptInput, d *decryption) (*kms.DecryptOutput, error) {
	plaintext, err := s.open(c, d)
	if err := cmp.Or(err, dry(in.DryRun)); err != nil {
		clear(plaintext)
		return nil, err
	}
	return &kms.DecryptOutput{KeyId: d.named.arn, EncryptionAlgorithm: d.algorithm, KeyMaterialId: d.materialID(), Plaintext: plaintext}, nil
}

// materialID names the material that the ciphertext was made with.
func (d *decryption) materialID() string {
	if d.algorithm != symmetric {
		return ""
	}
	return d.materialName(d.ciphertext.version)
}

// open decrypts. Why a ciphertext does not open is told to nobody.
func (s *Service) open(c *api.Call, d *decryption) (plaintext []byte, err error) {
	k := d.named.key
	if err := cmp.Or(d.fits(k), k.ready(c.Now)); err != nil {
		return nil, err
	}
	if d.algorithm != symmetric {
		err = s.withPrivate(c.Snapshot, k, func(private crypto.PrivateKey) (err error) {
			plaintext, err = openRSA(private, d.blob)
			return err
		})
		return plaintext, err
	}
	if !d.parsed {
		return nil, errCiphertext()
	}
	if d.ciphertext.key != k.id {
		return nil, fail("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	err = s.withMaterial(c.Snapshot, k, d.ciphertext.version, func(material []byte) (err error) {
		plaintext, err = d.ciphertext.open(material, d.context)
		return err
	})
	return plaintext, err
}

func openRSA(private crypto.PrivateKey, blob []byte) ([]byte, error) {
	k, ok := private.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("kms: the material is not that of an RSA key")
	}
	// Package rsa takes a shorter number for one with zeros before it; RFC 8017 does not.
	if len(blob) != k.Size() {
		return nil, errCiphertext()
	}
	plaintext, err := rsa.DecryptOAEP(sha256.New(), nil, k, blob, nil)
	if err != nil {
		return nil, errCiphertext()
	}
	return plaintext, nil
}
