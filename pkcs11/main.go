// Command bawn-pkcs11 speaks to a PKCS#11 token for bawn, when the token's key is the
// root of a data directory. It is a program of its own since a token's library is C
// code of somebody else's: that runs here, for moments, and not in the server.
//
// It reads requests from standard input and answers on standard output, one JSON
// object a line (docs/formats/root.md), and ends with its input. It trusts bawn, the
// library that it is told to load, and the token. Who controls its input has the
// token's PIN already, and can do with it what any program can. The token's key never
// leaves the token; the store's key passes through here in clear.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxLine bounds a request.
const maxLine = 16 << 10

type request struct {
	Do     string `json:"do"`
	Module string `json:"module"`
	Token  string `json:"token"`
	PIN    []byte `json:"pin"`
	Key    string `json:"key"`
	Data   []byte `json:"data"`
	AAD    []byte `json:"aad"`
}

type answer struct {
	Data  []byte `json:"data,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	err := noDumps()
	if err == nil {
		err = serve(os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bawn-pkcs11:", err)
		os.Exit(1)
	}
}

// noDumps keeps key material out of core dumps and from debuggers.
func noDumps() error {
	const setDumpable = 4 // PR_SET_DUMPABLE
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return err
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setDumpable, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// serve answers requests until they end.
func serve(in io.Reader, out io.Writer) error {
	t := &token{}
	defer t.close()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	for lines.Scan() {
		data, err := handle(t, lines.Bytes())
		a := answer{Data: data}
		if err != nil {
			a = answer{Error: err.Error()}
		}
		line, err := json.Marshal(a)
		clear(data)
		if err != nil {
			return err
		}
		_, err = out.Write(append(line, '\n'))
		clear(line)
		if err != nil {
			return err
		}
	}
	return lines.Err()
}

func handle(t *token, line []byte) ([]byte, error) {
	defer clear(line)
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, errors.New("this is not a request")
	}
	defer clear(r.PIN)
	defer clear(r.Data)
	if r.Do != "open" && t.ctx == nil {
		return nil, errors.New("open comes first")
	}
	switch r.Do {
	case "open":
		return nil, t.open(r.Module, r.Token, r.PIN)
	case "make":
		return nil, t.make(r.Key)
	case "wrap":
		return t.wrap(r.Key, r.Data, r.AAD)
	case "unwrap":
		return t.unwrap(r.Key, r.Data, r.AAD)
	}
	return nil, errors.New("there is no such request")
}
