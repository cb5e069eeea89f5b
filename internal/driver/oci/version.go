package oci

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os/exec"
	"regexp"
	"time"
)

// oldestRunsc is the day of the oldest gVisor that is accepted. What is older
// has holes that are known by now; it is raised with the version that
// build-runsc.sh builds.
const oldestRunsc = "20260905"

// A version names its day: "release-20260905.0" in what gVisor's own builds
// print, "v0.0.0-20260905035102-160fafc42237" in what Go's tools build.
var (
	releaseDay = regexp.MustCompile(`(?m)^runsc version release-(\d{8})\.`)
	moduleDay  = regexp.MustCompile(`^v0\.0\.0-(\d{8})\d{6}-[0-9a-f]{12}$`)
)

// checkVersion refuses a runsc that is too old or does not say how old it is.
// It guards against an accident, not against somebody who can replace the
// binary: they are root already.
func checkVersion(path string) error {
	day := ""
	if info, err := buildinfo.ReadFile(path); err == nil && info.Main.Path == "gvisor.dev/gvisor" {
		if m := moduleDay.FindStringSubmatch(info.Main.Version); m != nil {
			day = m[1]
		}
	}
	if day == "" {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, "--version")
		cmd.Env = []string{}
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("oci: %s --version: %w", path, err)
		}
		if m := releaseDay.FindSubmatch(out); m != nil {
			day = string(m[1])
		}
	}
	if day == "" {
		return fmt.Errorf("oci: %s does not say which version it is", path)
	}
	if day < oldestRunsc {
		return fmt.Errorf("oci: %s is of %s; the oldest that is safe is of %s", path, day, oldestRunsc)
	}
	return nil
}
