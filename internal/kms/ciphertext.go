package kms

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/uuid"
)

// The form of a ciphertext: see docs/formats/kms.md.
const (
	ciphertextVersion = 0x01
	ciphertextHeader  = 1 + 16 + 4 // format, key id, material version

	maxPlaintext  = 4096
	maxCiphertext = 6144
	maxContext    = 8192 // bytes of names and values together
	maxPairs      = 128
)

const sealing seal.Purpose = "kms ciphertext"

// A ciphertext is what Encrypt answers, in its parts.
type ciphertext struct {
	key     string
	version int64
	header  []byte
	sealed  []byte
}

// parseCiphertext cuts a blob. It proves nothing: the header is only believed
// once the blob has opened.
func parseCiphertext(blob []byte) (ciphertext, bool) {
	if len(blob) < ciphertextHeader+seal.Overhead || len(blob) > maxCiphertext || blob[0] != ciphertextVersion {
		return ciphertext{}, false
	}
	return ciphertext{
		key:     uuid.Format([16]byte(blob[1:17])),
		version: int64(binary.BigEndian.Uint32(blob[17:])),
		header:  blob[:ciphertextHeader],
		sealed:  blob[ciphertextHeader:],
	}, true
}

func appendHeader(dst []byte, k *key) []byte {
	dst = append(dst, ciphertextVersion)
	dst, _ = hex.AppendDecode(dst, []byte(strings.ReplaceAll(k.id, "-", "")))
	return binary.BigEndian.AppendUint32(dst, uint32(k.version))
}

// sealUnder makes a ciphertext.
func sealUnder(k *key, material, plaintext []byte, context map[string]string) ([]byte, error) {
	header := appendHeader(make([]byte, 0, ciphertextHeader), k)
	sealed, err := sealing.Seal(material, plaintext, associated(header, context))
	if err != nil {
		return nil, err
	}
	return append(header, sealed...), nil
}

func (t ciphertext) open(material []byte, context map[string]string) ([]byte, error) {
	plaintext, err := sealing.Open(material, t.sealed, associated(t.header, context))
	if err == seal.ErrOpen {
		return nil, errCiphertext()
	}
	return plaintext, err
}

// associated is what a ciphertext is bound to: its header and the encryption
// context, whose pairs have no order. Lengths before each part keep two contexts
// from having one form.
func associated(header []byte, context map[string]string) []byte {
	names := make([]string, 0, len(context))
	size := len(header) + 4
	for name, value := range context {
		names = append(names, name)
		size += 8 + len(name) + len(value)
	}
	slices.Sort(names)
	out := append(make([]byte, 0, size), header...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(names)))
	for _, name := range names {
		out = appendText(appendText(out, name), context[name])
	}
	return out
}

func appendText(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(s))), s...)
}

// setContext checks an encryption context and adds its condition keys.
func setContext(keys policy.Context, context map[string]string) *api.Error {
	if len(context) == 0 {
		return nil
	}
	if len(context) > maxPairs {
		return invalid("1 validation error detected: EncryptionContext has %d pairs; the limit is %d", len(context), maxPairs)
	}
	size := 0
	names := make([]string, 0, len(context))
	for name, value := range context {
		size += len(name) + len(value)
		folded := "kms:EncryptionContext:" + name
		// Names of condition keys have no case: of two such pairs a policy would
		// see either one.
		if _, double := keys.Get(folded); double {
			return invalid("EncryptionContext has two names that differ only in case: %s", foldName(name))
		}
		keys.Set(folded, value)
		names = append(names, name)
	}
	if size > maxContext {
		return invalid("EncryptionContext has %d bytes; the limit is %d", size, maxContext)
	}
	slices.Sort(names)
	keys.Set("kms:EncryptionContextKeys", names...)
	return nil
}
