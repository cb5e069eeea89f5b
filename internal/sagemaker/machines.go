package sagemaker

import (
	"context"
	"io"

	"bawn.dev/internal/api"
	"bawn.dev/internal/host"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// Machines is the host that runs workloads, as host.Client reaches it.
type Machines interface {
	Capabilities(ctx context.Context) (host.Capabilities, error)
	Image(ctx context.Context, ref string) (host.Image, error)
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

// Network gives jobs their interfaces: package ec2.
type Network interface {
	// Reserve makes an interface in one of the subnets, in the transaction that
	// writes down that the job has it, and answers it and its VPC. What is wrong with
	// the place is an *api.Error.
	Reserve(ctx context.Context, tx *store.Tx, r api.Reservation) (netmodel.Interface, string, error)
	// Release gives an interface back. One that is gone is no error.
	Release(tx *store.Tx, networkInterface string) error
	// Version is what Ready waits for.
	Version(q store.Querier, vpc string) (int64, error)
	// Ready waits until the host obeys the VPC as it is in that version.
	Ready(ctx context.Context, vpc string, version int64) error
}

// Sessions makes the credentials of a role's session. The caller has decided that
// it may be.
type Sessions interface {
	Issue(claim api.Claim) (Credentials, error)
}
