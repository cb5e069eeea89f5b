package host

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
)

// Bounds of what crosses the socket, in bytes.
const (
	maxOrder  = 10 << 20 // a workload in its widest JSON escapes, and a key
	maxAnswer = 64 << 20 // anything but a stream
	maxAsk    = 4 << 10  // a request for a descriptor, and its answer
	// MaxFile bounds ReadFile.
	MaxFile = 1 << 20
	// MaxLines bounds the lines of one answer of Logs.
	MaxLines = 10_000
)

// Names of the two sockets in the directory of sockets.
const (
	socketName     = "host.sock"
	descriptorName = "host-fd.sock"
)

// streamError is the trailer that says why a stream ended early. The text holds no
// content.
const streamError = "Bawn-Error"

// failure is an error as it crosses the socket.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// kinds are the errors that keep their identity across the socket.
var kinds = [...]struct {
	code   string
	status int
	err    error
}{
	{"NotFound", http.StatusNotFound, ErrNotFound},
	{"Exists", http.StatusConflict, ErrExists},
	{"Phase", http.StatusConflict, ErrPhase},
	{"Invalid", http.StatusBadRequest, ErrInvalid},
	{"Unsupported", http.StatusNotImplemented, ErrUnsupported},
	{"TooLarge", http.StatusRequestEntityTooLarge, ErrTooLarge},
}

// told returns err as a failure and its status.
func told(err error) (failure, int) {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return failure{k.code, err.Error()}, k.status
		}
	}
	return failure{"Internal", err.Error()}, http.StatusInternalServerError
}

// remote is an error that the host reported.
type remote struct {
	message string
	kind    error
}

func (r *remote) Error() string { return r.message }
func (r *remote) Unwrap() error { return r.kind }

func (f failure) err() error {
	for _, k := range kinds {
		if f.Code == k.code {
			return &remote{f.Message, k.err}
		}
	}
	return fmt.Errorf("host: %s", f.Message)
}

// ask is a request for a listener at an address, or with From for a connection from
// there to it.
type ask struct {
	VPC     string         `json:"vpc"`
	Address netip.AddrPort `json:"address"`
	From    netip.Addr     `json:"from,omitzero"`
}
