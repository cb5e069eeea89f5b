package kms

import (
	"fmt"
	"strings"

	"bawn.dev/internal/api"
)

// fail is an error as AWS KMS words it; all of its client errors are 400.
func fail(code, format string, args ...any) *api.Error {
	return &api.Error{Code: code, Status: 400, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *api.Error {
	return fail("ValidationException", format, args...)
}

// storable refuses a text with a zero byte, which not every database takes.
func storable(member, text string) error {
	if strings.IndexByte(text, 0) >= 0 {
		return invalid("1 validation error detected: Value at '%s' failed to satisfy constraint: Member must not contain the character U+0000", member)
	}
	return nil
}

func errKeyNotFound(arn string) *api.Error {
	return fail("NotFoundException", "Key '%s' does not exist", arn)
}

func errAliasNotFound(arn string) *api.Error {
	return fail("NotFoundException", "Alias %s is not found.", arn)
}

// errCiphertext says nothing of why: a wrong context, a changed byte and a
// foreign format look the same.
func errCiphertext() *api.Error { return fail("InvalidCiphertextException", "") }

// errUnnamed is what a caller of Decrypt hears of every key that the ciphertext
// alone names and that she may not use: that there is none and that it is not
// hers look the same.
func errUnnamed() *api.Error {
	return fail("AccessDenied", "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.")
}

func errForeign(action string) *api.Error {
	return fail("AccessDenied", "%s cannot be performed on a KMS key of a different account.", action)
}
