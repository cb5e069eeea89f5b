// Package spec says what a workload is: which image runs, as whom, with which
// mounts, limits and network. It is the sentence in which `serve` tells `host`
// what to do, and in which `host` tells a driver.
//
// It is pure: it reads no file and starts nothing, and it trusts nobody. A
// [Workload] is data until [Workload.Validate] has passed, and every bound
// that keeps a host whole (lengths, counts, path shapes, the user's id) is
// checked there. An attacker who writes the specification can therefore choose
// what runs inside one sandbox, but cannot ask for root, for a path outside
// the workload's volume, for an unlimited resource, or for a network mode that
// means "the host's".
//
// A volume's key is no part of a specification: it travels beside it, in
// memory, and is never written.
package spec

import (
	"net/netip"
	"time"
)

// Kind says which of SageMaker's contracts a workload follows.
type Kind string

// TrainingJob is a workload that runs to its end and leaves a model.
const TrainingJob Kind = "training-job"

// Workload is everything that a driver needs to know to run one sandbox. The
// zero value is refused by [Workload.Validate].
type Workload struct {
	// ID names the workload on its host; see [NewID]. It is unguessable, so
	// that a name chosen by a tenant never becomes a path on the host.
	ID string `json:"id"`
	// Account is the 12-digit account that owns the workload.
	Account string `json:"account"`
	Kind    Kind   `json:"kind"`
	Image   Image  `json:"image"`

	// Command replaces nothing: it and Args are the whole argument vector, as
	// the control plane resolved it from the request and the image.
	Command []string `json:"command"`
	Args    []string `json:"args,omitzero"`
	// Env is the whole environment; nothing is inherited. Only HOME, when it is
	// missing, is added, as the image's /etc/passwd has it. Env may hold
	// secrets: whoever stores a Workload seals it.
	Env        map[string]string `json:"env,omitzero"`
	User       User              `json:"user"`
	WorkingDir string            `json:"workingDir"`

	Mounts  []Mount `json:"mounts,omitzero"`
	Limits  Limits  `json:"limits"`
	Network Network `json:"network"`
	Stop    Stop    `json:"stop"`
}

// Image names a root file system by content.
type Image struct {
	// Digest is "sha256:" and 64 hexadecimal digits.
	Digest string `json:"digest"`
	// Ref is the name that the image was asked for by; shown, never resolved.
	Ref string `json:"ref,omitzero"`
}

// User is the identity inside the sandbox. Neither id may be 0.
type User struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// Mount shows one file or directory of the workload's volume inside the
// sandbox. A directory that is missing is made, owned by the workload's user.
type Mount struct {
	// Source is relative to the volume, clean, and does not begin with
	// [Reserved].
	Source string `json:"source"`
	// Target is absolute and clean, and is not a place that the sandbox itself
	// provides (/, /proc, /sys, /dev, /tmp and what lies below them).
	Target   string `json:"target"`
	ReadOnly bool   `json:"readOnly,omitzero"`
}

// Reserved is the directory of a volume that belongs to the driver: it holds
// the workload's environment, its writable layer and its log, and is never
// mounted into a sandbox.
const Reserved = ".bawn"

// Limits bounds what a workload may use. All of them are required: zero means
// "not stated", never "unlimited".
type Limits struct {
	// MilliCPUs is processor time, in thousandths of one processor.
	MilliCPUs int64 `json:"milliCPUs"`
	// MemoryBytes includes what the sandbox itself needs (about 60 MiB) and
	// everything that is written to /tmp and /dev/shm.
	MemoryBytes int64 `json:"memoryBytes"`
	// PIDs bounds processes and threads together.
	PIDs int64 `json:"pids"`
	// DiskBytes is the size of the encrypted volume.
	DiskBytes int64 `json:"diskBytes"`
	// MaxRuntimeSeconds is SageMaker's MaxRuntimeInSeconds. The worker enforces
	// it, not the driver.
	MaxRuntimeSeconds int64 `json:"maxRuntimeSeconds"`
}

// Mode is how a workload is joined to a network.
type Mode string

const (
	// None leaves the workload its own loopback and nothing else.
	None Mode = "none"
	// VPC joins the workload to one VPC through one interface.
	VPC Mode = "vpc"
)

// Network places a workload. With mode [None] every other field is empty.
type Network struct {
	Mode      Mode      `json:"mode"`
	VPCID     string    `json:"vpcId,omitzero"`
	Interface Interface `json:"interface,omitzero"`
	// Hostname is what the workload calls itself; empty means "localhost".
	Hostname string `json:"hostname,omitzero"`
	// Nameserver and Hosts become /etc/resolv.conf and /etc/hosts.
	Nameserver netip.Addr `json:"nameserver,omitzero"`
	Hosts      []Host     `json:"hosts,omitzero"`
}

// Interface is the workload's elastic network interface.
type Interface struct {
	ID             string     `json:"id,omitzero"`
	SubnetID       string     `json:"subnetId,omitzero"`
	SecurityGroups []string   `json:"securityGroups,omitzero"`
	Address        netip.Addr `json:"address,omitzero"`
}

// Host is one line of /etc/hosts.
type Host struct {
	Address netip.Addr `json:"address"`
	Name    string     `json:"name"`
}

// Stop says how a workload is asked to end. SageMaker sends SIGTERM and kills
// after 120 seconds.
type Stop struct {
	// Signal is the number of the signal that asks; SIGTERM (15) as a rule.
	Signal int `json:"signal"`
	// GraceSeconds is how long the workload may then take before it is killed.
	GraceSeconds int64 `json:"graceSeconds"`
}

// Grace is GraceSeconds as a duration.
func (s Stop) Grace() time.Duration { return time.Duration(s.GraceSeconds) * time.Second }

// Argv returns the argument vector: Command and then Args.
func (w Workload) Argv() []string {
	argv := make([]string, 0, len(w.Command)+len(w.Args))
	return append(append(argv, w.Command...), w.Args...)
}
