package main

import (
	"os"
	"runtime/debug"
)

// What is alive between two calls is small, and each call leaves garbage: collecting
// less often costs some memory under load and saves a tenth of the processor's time.
// Above the limit the collector works as hard as it must.
const (
	collectAt   = 400 // percent of what is alive
	memoryLimit = 1 << 30
)

// tuneMemory sets the collector, unless the operator did.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
