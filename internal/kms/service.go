// Package kms is the Key Management Service: keys that never leave it and what is
// done with them, the policies and grants that say who may, and their life from
// their making to their end.
//
// It trusts package api to have authenticated the caller and to decide every
// demand that a resolver states; a key's policy is the root of that trust, so a
// demand on a key is never allowed by IAM alone, but by a grant that somebody made
// whom the policy lets. Who has a grant can give on what it allows and no more. Key material is stored wrapped
// under the key that Config hands over and is in clear only in a bounded cache of
// this process. Whoever controls requests or ciphertexts can neither read
// material nor make a ciphertext open under another key or encryption context,
// nor learn which key a ciphertext names unless he may use it. Whoever can write
// the database but does not hold the root key can destroy material, but cannot
// exchange it: the wrapping binds it to the key's ARN and version.
package kms

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/cache"
	"bawn.dev/internal/locked"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// Config is what the service is made of. Everything is needed but Catalogue.
type Config struct {
	Region string
	// Key wraps key material: 32 bytes derived from the root key.
	Key []byte
	// Catalogue knows the actions and condition keys that a key policy may name;
	// nil judges none.
	Catalogue policy.Catalogue
	// Happened is the door's: AWS-managed keys come into being on first use, which
	// nobody asked for and nobody can refuse. A function, since the door is made
	// after its services.
	Happened func(context.Context, api.Event, func(*store.Tx) error) error
	// Now is the clock; nil: the machine's.
	Now func() time.Time
	// Memory is where material in clear is kept; nil: some of its own.
	Memory *locked.Arena
}

// Service is the Key Management Service.
type Service struct {
	Config
	// Parsed, a policy takes up to thirty times its text. Of large ones few are kept:
	// whoever makes keys must not fill the memory with them.
	keys      *cache.Cache[string, *key]           // by id
	policies  *cache.Cache[string, *policy.Policy] // parsed, by what they were parsed from
	aliases   *cache.Cache[string, string]         // key id by version key
	materials *cache.Cache[materialID, *material]  // in clear
	primes    chan struct{}                        // holds one for each RSA key that is being made
}

// How many entries the caches hold.
const (
	cachedKeys      = 4096
	cachedPolicies  = 256
	cachedLarge     = 64 // keys, and policies, with more than
	largePolicy     = 2048
	cachedAliases   = 4096
	cachedMaterials = 1024
)

// New makes the service. It fails when something of Config is missing.
func New(cfg Config) (*Service, error) {
	if cfg.Region == "" || cfg.Happened == nil {
		return nil, errors.New("kms: region and Happened are needed")
	}
	if len(cfg.Key) != seal.KeySize {
		return nil, fmt.Errorf("kms: the wrapping key has %d bytes, not %d", len(cfg.Key), seal.KeySize)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Memory == nil {
		cfg.Memory = locked.New()
	}
	return &Service{
		Config: cfg,
		keys:   cache.NewWeighed(cachedKeys, cachedLarge, func(_ string, k *key) bool { return len(k.text) > largePolicy }),
		policies: cache.NewWeighed(cachedPolicies, cachedLarge, func(text string, _ *policy.Policy) bool {
			_, own, _ := strings.Cut(text, "\x00")
			return len(own) > largePolicy
		}),
		aliases:   cache.New[string, string](cachedAliases, nil),
		materials: cache.New[materialID, *material](cachedMaterials, func(m *material) { m.forget() }),
		primes:    make(chan struct{}, 2*runtime.GOMAXPROCS(0)),
	}, nil
}

// API is what the door serves.
func (s *Service) API() *api.Service {
	return &api.Service{Model: kms.Model(), Prefix: "kms", Operations: s.operations(), Resolver: s.Resolve}
}

func (s *Service) operations() []api.Operation {
	return []api.Operation{
		api.Read("Encrypt", s.encrypting, s.encrypt),
		api.Read("Decrypt", s.decrypting, s.decrypt),
		api.Read("ReEncrypt", s.reencrypting, s.reEncrypt).Demands("kms:ReEncryptFrom", "kms:ReEncryptTo"),
		api.Read("GenerateDataKey", s.generating, s.generateDataKey),
		api.Read("GenerateDataKeyWithoutPlaintext", s.generatingSealed, s.generateDataKeyWithoutPlaintext),
		api.Read("GenerateDataKeyPair", s.pairing, s.generateDataKeyPair),
		api.Read("GenerateDataKeyPairWithoutPlaintext", s.pairingSealed, s.generateDataKeyPairWithoutPlaintext),
		api.Read("GenerateRandom", s.drawing, s.generateRandom),
		api.Read("Sign", s.signing, s.sign),
		api.Read("Verify", s.verifying, s.verify),
		api.Read("GetPublicKey", s.publishing, s.getPublicKey),
		api.Read("GenerateMac", s.generatingMac, s.generateMac),
		api.Read("VerifyMac", s.verifyingMac, s.verifyMac),
		api.Read("DeriveSharedSecret", s.deriving, s.deriveSharedSecret),

		api.Write("CreateKey", s.newKey, s.createKey).Demands("kms:CreateKey", "kms:TagResource", "kms:PutKeyPolicy"),
		api.Read("DescribeKey", s.describedKey, s.describeKey),
		api.Read("ListKeys", s.listingKeys, s.listKeys),
		api.Write("EnableKey", s.enabledKey, s.enableKey),
		api.Write("DisableKey", s.disabledKey, s.disableKey),
		api.Write("UpdateKeyDescription", s.describedAnew, s.updateKeyDescription),
		api.Write("ScheduleKeyDeletion", s.doomedKey, s.scheduleKeyDeletion),
		api.Write("CancelKeyDeletion", s.savedKey, s.cancelKeyDeletion),

		api.Write("EnableKeyRotation", s.rotatedKey, s.enableKeyRotation),
		api.Write("DisableKeyRotation", s.unrotatedKey, s.disableKeyRotation),
		api.Read("GetKeyRotationStatus", s.rotationKey, s.getKeyRotationStatus),
		api.Write("RotateKeyOnDemand", s.turnedKey, s.rotateKeyOnDemand),
		api.Read("ListKeyRotations", s.listingRotations, s.listKeyRotations),

		api.Read("GetParametersForImport", s.preparedKey, s.getParametersForImport),
		api.Write("ImportKeyMaterial", s.importedKey, s.importKeyMaterial),
		api.Write("DeleteImportedKeyMaterial", s.emptiedKey, s.deleteImportedKeyMaterial),

		api.Write("PutKeyPolicy", s.replacedPolicy, s.putKeyPolicy),
		api.Read("GetKeyPolicy", s.readPolicy, s.getKeyPolicy),
		api.Read("ListKeyPolicies", s.listedPolicies, s.listKeyPolicies),

		api.Write("TagResource", s.taggedKey, s.tagResource),
		api.Write("UntagResource", s.untaggedKey, s.untagResource),
		api.Read("ListResourceTags", s.listedTags, s.listResourceTags),

		api.Write("CreateGrant", s.granting, s.createGrant),
		api.Read("ListGrants", s.listingGrants, s.listGrants),
		api.Read("ListRetirableGrants", s.listingRetirable, s.listRetirableGrants),
		api.Write("RetireGrant", s.retired, s.retireGrant),
		api.Write("RevokeGrant", s.revoked, s.revokeGrant),

		api.Write("CreateAlias", s.newAlias, s.createAlias),
		api.Write("UpdateAlias", s.movedAlias, s.updateAlias),
		api.Write("DeleteAlias", s.deletedAlias, s.deleteAlias),
		api.Read("ListAliases", s.listingAliases, s.listAliases),
	}
}
