package seal

import (
	"crypto/hmac"
	"crypto/sha256"
)

// kdf is the key derivation function of NIST SP 800-108r1, section 4.1 (counter mode), with HMAC-SHA-256, a
// 32-bit counter before the fixed data, and one block of output:
//
//	K = HMAC(key, [1]₃₂ || label || 0x00 || context || [256]₃₂)
//
// Labels are printable text, so that the zero byte ends them unambiguously.
func kdf(key []byte, label string, context []byte) []byte {
	input := make([]byte, 0, 192)
	input = append(input, 0, 0, 0, 1)
	input = append(input, label...)
	input = append(input, 0)
	input = append(input, context...)
	input = append(input, 0, 0, 1, 0)
	mac := hmac.New(sha256.New, key)
	mac.Write(input)
	return mac.Sum(make([]byte, 0, sha256.Size))
}
