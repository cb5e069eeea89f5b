package server_test

import (
	"testing"

	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/store/pgtest"
)

// Two people in one shared role read different data, and the record says who.
func TestAccessGrants(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *servertest.Bawn{
		"embedded": servertest.Start,
		"postgres": func(t testing.TB) *servertest.Bawn { return servertest.StartOn(t, pgtest.Start(t).Database(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t)
			b.Python(t, script(t, "accessgrants.py"), b.Token(t, "ada@example.org", nil), b.Token(t, "grace@example.org", nil))
		})
	}
}
