package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/config"
	"bawn.dev/internal/trail"
)

// pulse is how often who follows hears that there is nothing new: neither side waits
// for one that is gone.
const pulse = 5 * time.Second

// FollowAudit tells of records as they are sealed, oldest first, until the context
// ends or emit fails. The first line, and each that tells of nothing, says from where
// to go on. An account whose first record comes later is followed too.
func (s *Server) FollowAudit(ctx context.Context, in AuditRequest, emit func(AuditLine) error) error {
	if err := s.administered(ctx, "FollowAudit", in.Operator, in); err != nil {
		return err
	}
	from := in.From
	if from == 0 {
		var err error
		if from, err = s.trail.End(ctx); err != nil {
			return err
		}
	}
	account := in.Account
	in.Account = "any" // one query for each alternative, made to fit below
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return err
	}
	search, err := s.search(ctx, sn, in)
	sn.Close()
	if err != nil {
		return err
	}
	wanted := func(r *trail.Record) bool {
		return (account == "" || r.Account == account) && search.Only(r) && slices.ContainsFunc(search.Queries, func(q trail.Query) bool {
			q.Account = r.Account
			return q.Matches(r)
		})
	}
	for ctx.Err() == nil {
		if err := emit(AuditLine{Seq: from}); err != nil {
			return err
		}
		slice, cancel := context.WithTimeout(ctx, pulse)
		err := s.trail.Follow(slice, from, func(e trail.Entry) error {
			from = e.Seq
			if !wanted(e.Record) {
				return nil
			}
			sn, err := s.store.Snapshot(ctx)
			if err != nil {
				return err
			}
			defer sn.Close()
			l, err := line(e, func(id string) (string, error) { return s.identity.UserName(sn, id) })
			if err != nil {
				return err
			}
			return emit(l)
		})
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	return nil
}

// streamed makes an HTTP handler of a command whose answer goes on: a JSON value a line.
// It ends with the server's context: a server that stops waits for nobody who follows.
func streamed[In, Out any](server context.Context, do func(context.Context, In, func(Out) error) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxAdminBody), &in, json.RejectUnknownMembers(true)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), peerKey{}, r.RemoteAddr))
		defer cancel()
		defer context.AfterFunc(server, cancel)()
		control, said := http.NewResponseController(w), false
		err := do(ctx, in, func(out Out) error {
			said = true
			if err := control.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
				return err
			}
			if err := json.MarshalWrite(w, out); err != nil {
				return err
			}
			return control.Flush()
		})
		if err != nil && !said {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

// FollowRunning is FollowAudit of the running server. ErrNotRunning if there is none, or
// once it ends.
func FollowRunning(ctx context.Context, cfg config.Config, in AuditRequest, emit func(AuditLine) error) error {
	return StreamRunning(ctx, cfg, "/audit/follow", in, func(answer io.Reader) error {
		dec := jsontext.NewDecoder(answer)
		for {
			var l AuditLine
			if err := json.UnmarshalDecode(dec, &l); err != nil {
				return errors.Join(ErrNotRunning, err)
			}
			if err := emit(l); err != nil {
				return err
			}
		}
	})
}
