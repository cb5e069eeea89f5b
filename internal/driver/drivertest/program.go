// Package drivertest is the contract of package driver as a test suite. Every
// driver passes it, the fake too, so that what is tested on the fake holds for
// the real one.
//
// It is only for tests and trusts its caller. The program that the suite runs
// is written once, as [Program]: the fake calls it, and the real drivers run
// the binary in drivertest/probe, whose main it is.
package drivertest

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Process is what a program sees of the world.
type Process struct {
	Args           []string // without the program's name
	Env            []string
	Stdout, Stderr io.Writer
	// Signals delivers the signals that can be caught.
	Signals <-chan os.Signal
	// Allocate uses n more bytes of memory. It does not return when there are
	// none.
	Allocate func(n int)
}

// Program does what its first argument says, and returns its exit status.
func Program(p Process) int {
	if len(p.Args) == 0 {
		return 2
	}
	switch verb, rest := p.Args[0], p.Args[1:]; verb {
	case "exit":
		code, err := strconv.Atoi(rest[0])
		if err != nil {
			return 2
		}
		return code
	case "say": // out, err
		fmt.Fprintln(p.Stdout, rest[0])
		fmt.Fprintln(p.Stderr, rest[1])
	case "count":
		n, err := strconv.Atoi(rest[0])
		if err != nil {
			return 2
		}
		for i := range n {
			fmt.Fprintln(p.Stdout, i)
		}
	case "long": // one line of n bytes, without a newline
		n, err := strconv.Atoi(rest[0])
		if err != nil {
			return 2
		}
		io.WriteString(p.Stdout, strings.Repeat("x", n))
	case "raw": // bytes that are not UTF-8
		p.Stdout.Write([]byte("caf\xe9\nnext\n"))
	case "env":
		for _, e := range slices.Sorted(slices.Values(p.Env)) {
			fmt.Fprintln(p.Stdout, e)
		}
	case "wait": // until SIGTERM, which it obeys
		fmt.Fprintln(p.Stdout, "ready")
		for s := range p.Signals {
			fmt.Fprintln(p.Stdout, "got", int(s.(syscall.Signal)))
			if s == syscall.SIGTERM {
				return 0
			}
		}
	case "stubborn": // only SIGKILL helps
		fmt.Fprintln(p.Stdout, "ready")
		for s := range p.Signals {
			fmt.Fprintln(p.Stdout, "ignored", int(s.(syscall.Signal)))
		}
	case "eat":
		fmt.Fprintln(p.Stdout, "eating")
		for {
			p.Allocate(1 << 20)
		}
	default:
		return 2
	}
	return 0
}
