package netmodel

import (
	"crypto/sha256"
	"encoding/hex"
)

// Device is the name of the link, on the VPC's side, of the interface with this id: 15 characters, the most that Linux
// takes.
func Device(interfaceID string) string {
	sum := sha256.Sum256([]byte(interfaceID))
	return "w" + hex.EncodeToString(sum[:7])
}
