// Command probe is drivertest.Program as a binary, and a handful of attacks on
// the sandbox that it runs in. It is built by tests only and trusts nothing.
package main

import (
	"os"
	"os/signal"
	"syscall"

	"bawn.dev/internal/driver/drivertest"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "attack" {
		os.Exit(attack(os.Args[2:]))
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1)
	var held [][]byte
	os.Exit(drivertest.Program(drivertest.Process{
		Args: os.Args[1:], Env: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals,
		Allocate: func(n int) {
			b := make([]byte, n)
			for i := 0; i < n; i += 512 {
				b[i] = byte(i) | 1
			}
			held = append(held, b)
		},
	}))
}
