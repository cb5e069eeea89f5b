// Package host is the narrow door between `bawn serve`, which parses the world's
// input and has no privilege, and `bawn host`, which is root and parses nothing
// but this.
//
// Through it go descriptions of networks and workloads, keys of volumes, the
// files of a workload's volume, and back come states, log lines, what was found on
// networks, and sockets that listen or are connected in a VPC. The protocol is HTTP
// over a UNIX socket that only the server's user may open, with those sockets passed
// as descriptors on a second one.
//
// The host side trusts the server to say what should run; it validates every
// description again, confines every path to the workload's volume, and gives
// nobody a way to name a host path, a host address or another user. An attacker
// who owns the server process can start and stop sandboxed workloads and read
// their volumes, and cannot become root on the machine. The server side takes
// everything that the host reports about a workload for data that the workload may
// have chosen.
package host

import (
	"errors"
	"time"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/image"
	"bawn.dev/internal/spec"
)

// Failures that a caller tells apart with errors.Is, on either side of the socket.
var (
	// ErrNotFound says that the host has no such workload, network, image or file.
	ErrNotFound = errors.New("host: no such workload, network, image or file")
	// ErrExists says that the workload was prepared, or started, before.
	ErrExists = errors.New("host: exists already")
	// ErrPhase says that what was asked for does not go with the workload's phase:
	// its files are taken once it has exited, say, and never once it is locked.
	ErrPhase = errors.New("host: the workload's phase does not allow it")
	// ErrInvalid says that the host refuses a description or a path.
	ErrInvalid = errors.New("host: refused")
	// ErrUnsupported says that this machine cannot enforce what was asked for; the
	// text of the error says what is missing.
	ErrUnsupported = errors.New("host: this machine cannot enforce it")
	// ErrTooLarge says that files exceed their bound.
	ErrTooLarge = errors.New("host: too large")
	// ErrUnavailable says that nothing listens on the host's socket.
	ErrUnavailable = errors.New("host: `bawn host` does not run on this machine; start it as root with the same --data")
)

// Capabilities say what this machine can enforce. Each list is empty, or says in
// sentences for an operator what is missing and how to get it. What cannot be
// enforced is refused, never done without.
type Capabilities struct {
	Network  []string `json:"network,omitempty"`
	Volumes  []string `json:"volumes,omitempty"`
	Sandbox  []string `json:"sandbox,omitempty"`
	Volume   string   `json:"volume,omitempty"` // kind of volume encryption: "fscrypt"
	Runtime  string   `json:"runtime,omitempty"`
	Isolated bool     `json:"isolated"` // everything is there
}

// Phase is where a workload is on its host.
type Phase string

// The phases of a workload.
const (
	Prepared Phase = "prepared" // volume and network are there; files may be put
	Running  Phase = "running"
	Exited   Phase = "exited" // its volume is still there; files may be taken
	Locked   Phase = "locked" // its volume's key was taken away; nothing can be read any more
)

// State is what the host knows of a workload.
type State struct {
	ID    string       `json:"id"`
	Phase Phase        `json:"phase"`
	Exit  *driver.Exit `json:"exit,omitempty"` // once Exited
	// TimedOut says that the host ended it at its MaxRuntimeSeconds, Stopped that
	// Stop was asked for before it ended.
	TimedOut bool      `json:"timedOut,omitempty"`
	Stopped  bool      `json:"stopped,omitempty"`
	Started  time.Time `json:"started,omitzero"`
}

// Order is a workload with the key of its volume, which is never written down.
type Order struct {
	Spec spec.Workload `json:"spec"`
	Key  []byte        `json:"key"` // 32 bytes
}

// Lines are log lines and where the next ones begin.
type Lines struct {
	Lines []driver.Line `json:"lines"`
	Next  int64         `json:"next"`
	End   bool          `json:"end"` // the workload has ended and these are the last
}

// Image is an image that is present on the host.
type Image struct {
	Digest string       `json:"digest"`
	Config image.Config `json:"config"`
	// User is who the image wants to run as, resolved in the image and never root.
	User spec.User `json:"user"`
}
