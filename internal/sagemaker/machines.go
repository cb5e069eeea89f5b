package sagemaker

import (
	"context"
	"io"

	"bawn.dev/internal/api"
	"bawn.dev/internal/host"
	"bawn.dev/internal/spec"
	"bawn.dev/internal/store"
)

// Machines is the host that runs workloads, as host.Client reaches it.
type Machines interface {
	Capabilities(ctx context.Context) (host.Capabilities, error)
	Image(ctx context.Context, ref string) (Image, error)
	Prepare(ctx context.Context, o host.Order) error
	Put(ctx context.Context, id, path string, r io.Reader) error
	Start(ctx context.Context, id string) error
	Stop(ctx context.Context, id string) error
	State(ctx context.Context, id string) (host.State, error)
	Logs(ctx context.Context, id string, from int64, max int) (host.Lines, error)
	Archive(ctx context.Context, id, dir string) (io.ReadCloser, error)
	ReadFile(ctx context.Context, id, path string, max int64) ([]byte, error)
	Lock(ctx context.Context, id string) error
	Remove(ctx context.Context, id string) error
}

// An Image is what the host says of an image that it has.
type Image struct {
	Digest     string // "sha256:…"
	Env        []string
	Entrypoint []string
	Cmd        []string
	WorkingDir string
	User       spec.User
}

// A Place is where in a VPC a job wants its interface.
type Place struct {
	Account string
	Job     string // ARN; what the interface says it is for
	Subnets []string
	Groups  []string
}

// Network gives jobs their interfaces. Package ec2 is one.
type Network interface {
	// Reserve makes an interface in one of the subnets, in the transaction that
	// writes down that the job has it. What is wrong with the place is an *api.Error.
	Reserve(ctx context.Context, tx *store.Tx, p Place) (spec.Network, error)
	// Release gives an interface back. One that is gone is no error.
	Release(ctx context.Context, tx *store.Tx, networkInterface string) error
	// Ready says whether the host has the VPC with the interface in it.
	Ready(ctx context.Context, vpc, networkInterface string) (bool, error)
}

// Sessions makes the credentials of a role's session. The caller has decided that
// it may be.
type Sessions interface {
	Issue(claim api.Claim) (Credentials, error)
}
