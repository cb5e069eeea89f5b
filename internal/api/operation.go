package api

import (
	"context"
	"fmt"
	"reflect"

	"bawn.dev/internal/store"
)

// A Credential says how the caller of an operation proves herself. The zero
// value is the strictest.
type Credential struct {
	kind   credentialKind
	detail string // the kind of bearer token, or why the operation is open
}

type credentialKind int

const (
	signed credentialKind = iota
	bearer
	open
)

// Signed callers prove themselves by Signature V4.
var Signed = Credential{}

// An Operation is something that a caller can ask for. Make one with Read or
// Write.
type Operation struct {
	Name       string
	credential Credential
	actions    []string // every action that it may demand
	undeniable string   // why no policy can refuse it
	streams    bool
	data       bool // a data event, not a management event
	silent     bool // the record leaves out what it answered
	asRead     bool // the record calls a write read-only
	each       bool // it is decided item by item
	guesses    bool // of strangers, about secrets that can be guessed

	newInput func() any
	resolve  func(context.Context, *Call, any) (any, []Demand, error)
	read     func(ctx context.Context, c *Call, in, resource any) (any, error)
	prepare  func(ctx context.Context, c *Call, in, resource any) (commit, error)
}

type commit func(*store.Tx) (any, error)

// Commit finishes a write: SQL and nothing slow, in the transaction that also
// holds the record.
type Commit[Out any] = func(tx *store.Tx) (*Out, error)

// Read is an operation that changes nothing. resolve finds the resource and
// states what the call demands; handle runs after every demand was allowed, on
// the same snapshot.
func Read[In, R, Out any](
	name string,
	resolve func(context.Context, *Call, *In) (R, []Demand, error),
	handle func(context.Context, *Call, *In, R) (*Out, error),
) Operation {
	op := declare(name, resolve, handle == nil)
	op.read = func(ctx context.Context, c *Call, in, r any) (any, error) {
		out, err := handle(ctx, c, in.(*In), r.(R))
		if err != nil {
			return nil, err
		}
		return out, nil
	}
	return op
}

// Write is an operation that changes something. prepare runs after every demand
// was allowed, outside any write transaction: it may Invoke, do cryptography and
// stream bytes. What it returns commits the change. Between the two the rows
// that the decision read may have changed: then the call is resolved, decided
// and (unless it Streams) prepared again.
func Write[In, R, Out any](
	name string,
	resolve func(context.Context, *Call, *In) (R, []Demand, error),
	prepare func(context.Context, *Call, *In, R) (Commit[Out], error),
) Operation {
	op := declare(name, resolve, prepare == nil)
	op.prepare = func(ctx context.Context, c *Call, in, r any) (commit, error) {
		finish, err := prepare(ctx, c, in.(*In), r.(R))
		if err != nil {
			return nil, err
		}
		return func(tx *store.Tx) (any, error) {
			out, err := finish(tx)
			if err != nil {
				return nil, err
			}
			return out, nil
		}, nil
	}
	return op
}

func declare[In, R any](name string, resolve func(context.Context, *Call, *In) (R, []Demand, error), incomplete bool) Operation {
	if name == "" || resolve == nil || incomplete {
		panic(fmt.Sprintf("api: operation %q lacks its demands or its handler", name))
	}
	if want, got := name+"Input", reflect.TypeFor[In]().Name(); want != got {
		panic(fmt.Sprintf("api: operation %s takes %s", name, got))
	}
	return Operation{
		Name:     name,
		newInput: func() any { return new(In) },
		resolve: func(ctx context.Context, c *Call, in any) (any, []Demand, error) {
			r, demands, err := resolve(ctx, c, in.(*In))
			return r, demands, err
		},
	}
}

// Demands names the actions that the operation may demand, where they are not
// the one of its own name.
func (o Operation) Demands(actions ...string) Operation {
	o.actions = actions
	return o
}

// Streams marks a write whose input is a stream that can be read once. When the
// decision must be made again, its prepare step does not run again.
func (o Operation) Streams() Operation {
	o.streams = true
	return o
}

// Each marks an operation that decides about each of its items by itself: its resolve
// step asks Allowed, of every item that the handler may touch, and need not demand
// anything of the whole.
func (o Operation) Each() Operation {
	o.each = true
	return o
}

// Data marks an operation on data rather than on resources, as CloudTrail
// divides them.
func (o Operation) Data() Operation {
	o.data = true
	return o
}

// Silent keeps what the operation answers out of its record.
func (o Operation) Silent() Operation {
	o.silent = true
	return o
}

// RecordedAsRead marks a write that changes nothing but what it used up, such as a
// one-time code: its record says readOnly, as AWS's does.
func (o Operation) RecordedAsRead() Operation {
	o.asRead = true
	return o
}

// Undeniable marks an operation that no policy can refuse, and says why.
func (o Operation) Undeniable(reason string) Operation {
	o.undeniable = reason
	return o
}

// Open marks an operation whose caller proves herself in the operation itself.
func (o Operation) Open(reason string) Operation {
	o.credential = Credential{open, reason}
	return o
}

// Guesses marks an open operation that looks at what people choose or type, such as a
// password: before it does, the call is counted as a stranger's.
func (o Operation) Guesses() Operation {
	o.guesses = true
	return o
}

// Rehearses marks an operation that can be asked for as a rehearsal, such as EC2's
// DryRun: once everything was allowed and the request is understood, it ends with an
// error that says so, and nothing is done.
func (o Operation) Rehearses(asked func(in any) bool, end error) Operation {
	if read := o.read; read != nil {
		o.read = func(ctx context.Context, c *Call, in, r any) (any, error) {
			if asked(in) {
				return nil, end
			}
			return read(ctx, c, in, r)
		}
		return o
	}
	prepare := o.prepare
	o.prepare = func(ctx context.Context, c *Call, in, r any) (commit, error) {
		finish, err := prepare(ctx, c, in, r)
		if err == nil && asked(in) {
			return nil, end
		}
		return finish, err
	}
	return o
}

// ReadOnly says whether the operation changes nothing.
func (o Operation) ReadOnly() bool { return o.read != nil }
