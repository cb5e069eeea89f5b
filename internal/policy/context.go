package policy

import "strings"

// A Context holds the condition keys of a request with their values. Keys are
// found without regard to the case of ASCII letters; always go through Set and
// Get, which fold them. Binary keys hold raw bytes; all others text, numbers in
// decimal, dates as RFC 3339 or seconds since 1970, Booleans as true or false.
//
// A key is single- or multivalued by the number of its values only. Filling a
// Context is not safe for concurrent use; deciding with it is.
type Context map[string][]string

// Set gives a key its values in place of earlier ones. Without values it removes
// the key: AWS holds an empty set of values for a missing key.
//
// Keys that differ only in case are one key, and the last Set wins: who fills
// keys from names that a caller chose (tags) must refuse such doubles first.
func (c Context) Set(key string, values ...string) {
	key = fold(key)
	if len(values) == 0 {
		delete(c, key)
		return
	}
	c[key] = values
}

// Get returns the values of a key, and whether it has any.
func (c Context) Get(key string) ([]string, bool) {
	values := c[fold(key)]
	return values, len(values) > 0
}

// common are keys that most calls have, folded once.
var common = func(names ...string) map[string]string {
	folded := make(map[string]string, len(names))
	for _, name := range names {
		folded[name] = strings.ToLower(name)
	}
	return folded
}(
	"aws:PrincipalIsAWSService", "aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalType", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths",
	"aws:TokenIssueTime", "aws:MultiFactorAuthPresent", "aws:CurrentTime", "aws:EpochTime", "aws:RequestedRegion", "aws:ResourceAccount",
	"aws:ResourceOrgID", "aws:ResourceOrgPaths", "aws:UserAgent", "aws:ViaAWSService", "aws:SecureTransport", "aws:SourceIp", "aws:SourceVpce",
	"aws:SourceVpc", "aws:SourceVpcArn", "aws:VpcSourceIp", "aws:VpceAccount", "aws:VpceOrgID", "aws:VpceOrgPaths", "aws:Referer",
	"identitystore:UserId", "identitystore:IdentityStoreArn", "identitycenter:InstanceArn", "identitycenter:ApplicationArn", "identitycenter:CredentialId",
	"kms:CallerAccount", "kms:ViaService", "kms:KeySpec", "kms:KeyUsage", "kms:KeyOrigin", "kms:MultiRegion", "kms:ResourceAliases", "kms:RequestAlias",
	"kms:EncryptionAlgorithm", "kms:EncryptionContextKeys",
)

// fold puts the ASCII letters of s in lower case. Unicode's folding would let
// U+212A (Kelvin sign) pass for k in a key's name.
func fold(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			if folded, ok := common[s]; ok {
				return folded
			}
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = lower(b[i])
			}
			return string(b)
		}
	}
	return s
}

func foldAll(list []string) []string {
	for i := range list {
		list[i] = fold(list[i])
	}
	return list
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
