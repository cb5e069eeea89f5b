package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A root key may need a secret: a passphrase, or a token's PIN. It comes from a file
// that only its owner can read, from a file descriptor, from systemd
// (LoadCredential=), or from who sits at the terminal; never from arguments or the
// environment, which other processes see.
type rootSecret struct {
	RootSecretFile string `env:"BAWN_ROOT_SECRET_FILE" type:"path" help:"File (mode 0600) with the passphrase, or the token's PIN, that the root key needs."`
	RootSecretFD   int    `name:"root-secret-fd" default:"-1" help:"File descriptor to read it from."`
}

// credential is its name among systemd's.
const credential = "bawn-root-secret"

// maxSecret bounds what is read.
const maxSecret = 4096

func (r rootSecret) ask(what string) ([]byte, error) {
	return secretFrom(r.RootSecretFile, r.RootSecretFD, credential, what, false)
}

// newRootSecret is that of a root key that is being made.
type newRootSecret struct {
	NewSecretFile string `type:"path" help:"File (mode 0600) with the passphrase or PIN of the new root key."`
	NewSecretFD   int    `name:"new-secret-fd" default:"-1" help:"File descriptor to read it from."`
}

func (r newRootSecret) ask(what string) ([]byte, error) {
	return secretFrom(r.NewSecretFile, r.NewSecretFD, credential+"-new", what, true)
}

// secretFrom reads a secret from the first place that is named.
func secretFrom(file string, fd int, credential, what string, twice bool) ([]byte, error) {
	directory := os.Getenv("CREDENTIALS_DIRECTORY")
	switch {
	case file != "":
		return secretFile(file)
	case fd >= 0:
		f := os.NewFile(uintptr(fd), what)
		if f == nil {
			return nil, fmt.Errorf("there is no file descriptor %d", fd)
		}
		defer f.Close()
		return secretIn(f)
	case directory != "":
		f, err := os.Open(filepath.Join(directory, credential))
		if err == nil {
			defer f.Close()
			return secretIn(f)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return prompt(what, twice)
}

func secretFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %04o): chmod 600 it, and consider whether it was", path, info.Mode().Perm())
	}
	return secretIn(f)
}

// secretIn is the first line's worth of a reader: one line end after it is no part.
func secretIn(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSecret {
		return nil, fmt.Errorf("a secret of more than %d bytes", maxSecret)
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(text) == 0 || bytes.ContainsAny(text, "\n\x00") {
		return nil, errors.New("a secret is one line of text")
	}
	return text, nil
}

// prompt asks at the terminal, and shows nothing of what is typed.
func prompt(what string, twice bool) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%s is needed: name a file or a file descriptor (see --help), or start at a terminal", what)
	}
	defer tty.Close()
	first, err := hidden(tty, what)
	if err != nil || !twice {
		return first, err
	}
	second, err := hidden(tty, what+", again")
	defer clear(second)
	if err == nil && !bytes.Equal(first, second) {
		err = errors.New("these were two different ones")
	}
	return first, err
}

func hidden(tty *os.File, what string) ([]byte, error) {
	fd := int(tty.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	quiet := *before
	quiet.Lflag &^= unix.ECHO
	quiet.Lflag |= unix.ICANON | unix.ISIG
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
		return nil, err
	}
	defer unix.IoctlSetTermios(fd, unix.TCSETS, before)
	fmt.Fprintf(tty, "%s: ", what)
	defer fmt.Fprintln(tty)
	line := make([]byte, 0, maxSecret)
	for len(line) < cap(line) { // byte by byte: nothing of it stays in a buffer
		n, err := tty.Read(line[len(line) : len(line)+1])
		if err != nil {
			return nil, err
		}
		line = line[:len(line)+n]
		if bytes.HasSuffix(line, []byte("\n")) {
			break
		}
	}
	return secretIn(bytes.NewReader(line))
}
