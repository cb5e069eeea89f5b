package image

import (
	"archive/tar"
	"path"
	"strings"
)

// needlessDirs are left out of a built image with all that lies below them:
// documentation, translations, what compiles, what manages packages, what the
// sandbox provides itself.
var needlessDirs = [...]string{
	"boot", "dev", "proc", "sys", "run", "tmp",
	"usr/include", "usr/lib/gcc", "usr/lib/x86_64-linux-gnu/perl", "usr/lib/aarch64-linux-gnu/perl",
	"usr/share/bash-completion", "usr/share/bug", "usr/share/doc", "usr/share/doc-base", "usr/share/info",
	"usr/share/lintian", "usr/share/locale", "usr/share/man", "usr/share/perl",
	"var/cache", "var/lib/apt", "var/log",
}

// needlessTools are the beginnings of program names, after the machine's
// triplet.
var needlessTools = [...]string{
	"addr2line", "ar", "as", "c++", "c89", "c99", "cpp", "dwp", "elfedit", "g++", "gcc", "gcov", "gfortran", "gold", "gp-",
	"gprof", "ld", "lto", "nm", "objcopy", "objdump", "ranlib", "readelf", "size", "strings", "strip",
}

// needless reports whether a file of a root file system is left out. The
// directories in needlessDirs themselves stay, empty.
func needless(name string, kind byte) bool {
	if kind == tar.TypeChar || kind == tar.TypeBlock || kind == tar.TypeFifo {
		return true
	}
	for _, dir := range needlessDirs {
		if strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	dir, base := path.Split(name)
	switch {
	case dir == "usr/bin/":
		return needlessTool(base)
	case strings.HasSuffix(base, ".a") && strings.HasPrefix(name, "usr/lib/"):
		return true
	case strings.HasPrefix(name, "usr/lib/python3"):
		return strings.Contains(name, "/tests/") || strings.Contains(name, "/config-3.")
	}
	return false
}

func needlessTool(base string) bool {
	cross := strings.Contains(base, "-linux-gnu-")
	if cross {
		_, base, _ = strings.Cut(base, "-linux-gnu-")
	}
	// "ld.so" is the loader's link, and "ldd" tells more than it costs.
	if base == "ld.so" || base == "ldd" {
		return false
	}
	for _, tool := range needlessTools {
		if base == tool || strings.HasPrefix(base, tool+"-") || strings.HasPrefix(base, tool+".") || cross && strings.HasPrefix(base, tool) {
			return true
		}
	}
	return false
}

// validPackage accepts the names that Debian's policy (5.6.1) allows, which
// hold nothing that an option or a list would be made of.
func validPackage(name string) bool {
	return len(name) >= 2 && len(name) <= 100 && name[0] != '-' && name[0] != '+' && name[0] != '.' &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == ""
}
