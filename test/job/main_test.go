// Package job holds the main job's end-to-end tests: both real processes as root,
// real sandboxes, networks and encrypted volumes, and clients that are boto3 as
// the distribution ships it. Everything that is asserted is what a person at a
// client, a program inside a sandbox, or a reader of the disk would see.
//
// One house is built for all tests and taken away after them; what is left of it
// then is an error.
package job

import (
	"sync"
	"testing"
)

var (
	once    sync.Once
	built   *house
	failure error
)

// open is the house, with people and resources in it.
func open(t testing.TB) *house {
	t.Helper()
	once.Do(func() {
		if built, failure = build(); failure == nil {
			built.furnish(t)
		}
	})
	if failure != nil {
		t.Fatal(failure)
	}
	if built.role == "" {
		t.Fatal("the house could not be furnished")
	}
	return built
}
