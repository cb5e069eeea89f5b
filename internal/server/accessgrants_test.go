package server_test

import (
	"testing"

	"bawn.dev/internal/server/servertest"
)

// Two people in one shared role read different data, and the record says who.
func TestAccessGrants(t *testing.T) {
	b := servertest.Start(t)
	b.Python(t, script(t, "accessgrants.py"), b.Token(t, "ada@example.org", nil), b.Token(t, "grace@example.org", nil))
}
