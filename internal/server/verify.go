package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/trail"
)

// What verifiers need of the record: its key, a copy, and proofs. `bawn verify` checks
// them without the server.

// RecordKeyRequest asks for the key that verifies the record.
type RecordKeyRequest struct {
	Operator string `json:"operator"`
}

// RecordKey is the public key of the record's checkpoints.
type RecordKey struct {
	Key string `json:"key"`
}

// ExportRequest asks for the record from a leaf on.
type ExportRequest struct {
	Operator string `json:"operator"`
	From     int64  `json:"from"`
}

// ProveRequest asks for the proof of one record: by its event's id or, of one that may be
// pruned, by its hash as a leaf.
type ProveRequest struct {
	Operator string `json:"operator"`
	EventID  string `json:"eventId,omitempty"`
	Leaf     []byte `json:"leaf,omitempty"`
}

// ExtendRequest asks for the proof that the newest checkpoint extends an older one.
type ExtendRequest struct {
	Operator string `json:"operator"`
	Old      int64  `json:"old"` // leaves of the older
}

// Proven is a proof as a file.
type Proven struct {
	Text string `json:"text"`
}

// RecordKey gives the public key. It is not secret; whoever verifies should have it from
// somebody he trusts.
func (s *Server) RecordKey(ctx context.Context, in RecordKeyRequest) (*RecordKey, error) {
	if err := s.administered(ctx, "RecordKey", in.Operator, in); err != nil {
		return nil, err
	}
	return &RecordKey{s.trail.Public().String()}, nil
}

// ExportRecord writes the newest checkpoint and each leaf under it, from one on, in the
// form that [bawn.dev/internal/verify.Mirror] receives.
func (s *Server) ExportRecord(ctx context.Context, in ExportRequest, to io.Writer) error {
	if err := s.administered(ctx, "ExportRecord", in.Operator, in); err != nil {
		return err
	}
	w := bufio.NewWriterSize(to, 64<<10)
	line := func(parts ...string) error {
		for _, p := range parts {
			w.WriteString(p)
		}
		return w.WriteByte('\n') // a writer's error stays
	}
	err := s.trail.Export(ctx, in.From,
		func(signed []byte) error { return line(base64.StdEncoding.EncodeToString(signed)) },
		func(l trail.Leaf) error {
			if !oneLine(l.Event) {
				return line(`"`, base64.StdEncoding.EncodeToString(l.Hash[:]), `"`)
			}
			return line(string(l.Event))
		})
	return errors.Join(err, w.Flush())
}

// oneLine says whether an event can stand for itself in an export. One that cannot is
// none that the server wrote: somebody put it into the database before it was sealed, and
// it must not spoil the copy of all others.
func oneLine(event []byte) bool {
	return len(event) > 0 && len(event) <= maxExported && event[0] == '{' && bytes.IndexByte(event, '\n') < 0
}

// maxExported is the longest event that a copy takes.
const maxExported = 256 << 10

// exporting is ExportRecord over the socket. An answer that breaks off is one that does
// not hold the leaves that its checkpoint signs.
func (s *Server) exporting() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in ExportRequest
		if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxAdminBody), &in, json.RejectUnknownMembers(true)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := s.ExportRecord(context.WithValue(r.Context(), peerKey{}, r.RemoteAddr), in, w); err != nil {
			s.log.Warn("an export of the record broke off", "err", err)
			panic(http.ErrAbortHandler)
		}
	})
}

// Prove gives the proof that an event, of whichever account, is in the record. What is
// asked for by hash comes without the event.
func (s *Server) Prove(ctx context.Context, in ProveRequest) (*Proven, error) {
	if err := s.administered(ctx, "ProveRecord", in.Operator, in); err != nil {
		return nil, err
	}
	if in.EventID == "" {
		if len(in.Leaf) != len(ledger.Hash{}) {
			return nil, trail.ErrNoRecord
		}
		proof, err := s.trail.ProveKept(ctx, ledger.Hash(in.Leaf))
		if err != nil {
			return nil, err
		}
		return &Proven{string(proof.Text())}, nil
	}
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	accounts, err := s.organizations.Accounts(sn)
	if err := errors.Join(err, sn.Close()); err != nil {
		return nil, err
	}
	for _, account := range accounts {
		proof, err := s.trail.Prove(ctx, account, in.EventID)
		if errors.Is(err, trail.ErrNoRecord) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &Proven{string(proof.Text())}, nil
	}
	return nil, trail.ErrNoRecord
}

// Extend gives the newest checkpoint with the proof that it extends an older one.
func (s *Server) Extend(ctx context.Context, in ExtendRequest) (*Proven, error) {
	if err := s.administered(ctx, "ExtendRecord", in.Operator, in); err != nil {
		return nil, err
	}
	if err := s.trail.Seal(ctx); err != nil {
		return nil, err
	}
	e, err := s.trail.Extend(ctx, in.Old, nil)
	if err != nil {
		return nil, err
	}
	return &Proven{string(e.Text())}, nil
}
