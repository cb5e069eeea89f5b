package kms

import (
	"slices"

	"bawn.dev/internal/shape/kms"
)

// A spec is what keys of one kind can be for, each list in the order in which AWS
// shows it. RSAES_OAEP_SHA_1 is in none: SHA-1 is not approved.
type spec struct {
	usages     []kms.KeyUsageType
	encryption []kms.EncryptionAlgorithmSpec
	signing    []kms.SigningAlgorithmSpec
	mac        []kms.MacAlgorithmSpec
	agreement  []kms.KeyAgreementAlgorithmSpec
}

var (
	forEncryption = []kms.KeyUsageType{kms.KeyUsageTypeEncryptDecrypt}
	forSignatures = []kms.KeyUsageType{kms.KeyUsageTypeSignVerify}
	forMACs       = []kms.KeyUsageType{kms.KeyUsageTypeGenerateVerifyMac}

	rsaKeys = spec{
		usages:     []kms.KeyUsageType{kms.KeyUsageTypeEncryptDecrypt, kms.KeyUsageTypeSignVerify},
		encryption: []kms.EncryptionAlgorithmSpec{kms.EncryptionAlgorithmSpecRsaesOaepSha256},
		signing: []kms.SigningAlgorithmSpec{
			kms.SigningAlgorithmSpecRsassaPkcs1V15Sha256, kms.SigningAlgorithmSpecRsassaPkcs1V15Sha384, kms.SigningAlgorithmSpecRsassaPkcs1V15Sha512,
			kms.SigningAlgorithmSpecRsassaPssSha256, kms.SigningAlgorithmSpecRsassaPssSha384, kms.SigningAlgorithmSpecRsassaPssSha512,
		},
	}
)

func curve(algorithm kms.SigningAlgorithmSpec) spec {
	return spec{
		usages:    []kms.KeyUsageType{kms.KeyUsageTypeSignVerify, kms.KeyUsageTypeKeyAgreement},
		signing:   []kms.SigningAlgorithmSpec{algorithm},
		agreement: []kms.KeyAgreementAlgorithmSpec{kms.KeyAgreementAlgorithmSpecEcdh},
	}
}

func hmacKeys(algorithm kms.MacAlgorithmSpec) spec {
	return spec{usages: forMACs, mac: []kms.MacAlgorithmSpec{algorithm}}
}

// specs are those that are served. The others that AWS names are refused: the certified
// FIPS module has neither secp256k1 nor SM2 nor ML-DSA.
var specs = map[kms.KeySpec]spec{
	kms.KeySpecSymmetricDefault: {usages: forEncryption, encryption: []kms.EncryptionAlgorithmSpec{symmetric}},
	kms.KeySpecRsa2048:          rsaKeys,
	kms.KeySpecRsa3072:          rsaKeys,
	kms.KeySpecRsa4096:          rsaKeys,
	kms.KeySpecEccNistP256:      curve(kms.SigningAlgorithmSpecEcdsaSha256),
	kms.KeySpecEccNistP384:      curve(kms.SigningAlgorithmSpecEcdsaSha384),
	kms.KeySpecEccNistP521:      curve(kms.SigningAlgorithmSpecEcdsaSha512),
	kms.KeySpecEccNistEdwards25519: {usages: forSignatures, signing: []kms.SigningAlgorithmSpec{
		kms.SigningAlgorithmSpecEd25519Sha512, kms.SigningAlgorithmSpecEd25519PhSha512,
	}},
	kms.KeySpecHmac224: hmacKeys(kms.MacAlgorithmSpecHmacSha224),
	kms.KeySpecHmac256: hmacKeys(kms.MacAlgorithmSpecHmacSha256),
	kms.KeySpecHmac384: hmacKeys(kms.MacAlgorithmSpecHmacSha384),
	kms.KeySpecHmac512: hmacKeys(kms.MacAlgorithmSpecHmacSha512),
}

// of cuts a spec to one usage: a key has one, and shows and takes the algorithms of
// that alone.
func (p spec) of(usage kms.KeyUsageType) spec {
	out := spec{usages: []kms.KeyUsageType{usage}}
	switch usage {
	case kms.KeyUsageTypeEncryptDecrypt:
		out.encryption = p.encryption
	case kms.KeyUsageTypeSignVerify:
		out.signing = p.signing
	case kms.KeyUsageTypeGenerateVerifyMac:
		out.mac = p.mac
	case kms.KeyUsageTypeKeyAgreement:
		out.agreement = p.agreement
	}
	return out
}

// kindOf judges the spec, usage and origin that CreateKey asks for.
func kindOf(in *kms.CreateKeyInput) (kms.KeySpec, kms.KeyUsageType, kms.OriginType, error) {
	if in.KeySpec != "" && in.CustomerMasterKeySpec != "" {
		return "", "", "", invalid("You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.")
	}
	name := in.KeySpec
	if name == "" {
		name = kms.KeySpec(in.CustomerMasterKeySpec)
	}
	if name == "" {
		name = kms.KeySpecSymmetricDefault
	}
	known, ok := specs[name]
	if !ok {
		return "", "", "", fail("UnsupportedOperationException", "KeySpec %s is not supported.", name)
	}
	usage := in.KeyUsage
	switch {
	case usage == "" && name == kms.KeySpecSymmetricDefault:
		usage = kms.KeyUsageTypeEncryptDecrypt
	case usage == "":
		return "", "", "", invalid("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
	case !slices.Contains(known.usages, usage):
		return "", "", "", invalid("KeyUsage %s is not compatible with KeySpec %s", usage, name)
	}
	origin := in.Origin
	switch origin {
	case "":
		origin = kms.OriginTypeAwsKms
	case kms.OriginTypeAwsKms, kms.OriginTypeExternal:
	default:
		return "", "", "", fail("UnsupportedOperationException", "Origin %s is not supported.", origin)
	}
	return name, usage, origin, nil
}
