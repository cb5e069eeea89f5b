package kms

import (
	"crypto/hmac"
	"crypto/sha256"
)

// fingerprint is by what a key knows material again that was imported before. It
// takes the service's key to make one, so the store tells nobody what he could guess.
func (s *Service) fingerprint(arn string, material []byte) []byte {
	k := kdf(s.Key, "bawn.dev/kms material fingerprint v1", []byte(arn))
	defer clear(k)
	h := hmac.New(sha256.New, k)
	h.Write(material)
	return h.Sum(nil)
}

// kdf derives a key for a purpose of the service's own: docs/formats/seal.md.
func kdf(key []byte, label string, context []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte{0, 0, 0, 1})
	h.Write([]byte(label))
	h.Write([]byte{0})
	h.Write(context)
	h.Write([]byte{0, 0, 1, 0})
	return h.Sum(nil)
}
