package main

import (
	"crypto/fips140"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

type versionCmd struct {
	Output string `enum:"text,json" default:"text" help:"text or json."`
}

func (c *versionCmd) Run() error {
	if c.Output == "json" {
		return json.NewEncoder(os.Stdout).Encode(map[string]string{"version": version(), "go": runtime.Version(), "crypto": module()})
	}
	fmt.Printf("bawn %s, %s, %s\n", version(), runtime.Version(), module())
	return nil
}

// version is the release, set when it is built, or the commit.
func version() string {
	if release != "" {
		return release
	}
	return "development"
}

// release is set by the linker.
var release string

// module names the cryptographic module and whether its FIPS mode is on.
func module() string {
	name := "Go cryptography"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "GOFIPS140" && s.Value != "off" {
				name = "Go Cryptographic Module " + s.Value
			}
		}
	}
	if fips140.Enabled() {
		return name + ", FIPS 140-3 mode on"
	}
	return name + ", FIPS 140-3 mode OFF"
}
