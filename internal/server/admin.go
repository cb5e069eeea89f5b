package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/config"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// An administration command goes to the running server over its socket. When none
// runs, the command opens the data directory itself. Either way it is recorded,
// with the name of who ran it as the operating system gave it.

// CheckRequest asks for a check of everything stored.
type CheckRequest struct {
	Operator string `json:"operator"`
	// Heads are signed checkpoints that were kept elsewhere, which the record must extend.
	Heads []string `json:"heads,omitempty"`
}

// Report is what fsck found.
type Report struct {
	Checked  []string `json:"checked"`
	Problems []string `json:"problems"`
	Notes    []string `json:"notes,omitempty"`
	Orphans  int      `json:"orphans"` // sealed bytes that no row names, collected
	Moved    int      `json:"moved"`   // of those that rows name, out of segments with little left
}

// maxAdminBody bounds what the socket reads.
const maxAdminBody = 64 << 10

func (s *Server) adminHandler(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /audit", command(s.Audit))
	mux.Handle("POST /audit/follow", streamed(ctx, s.FollowAudit))
	mux.Handle("POST /fsck", command(s.Check))
	mux.Handle("POST /record/key", command(s.RecordKey))
	mux.Handle("POST /record/export", s.exporting())
	mux.Handle("POST /record/prove", command(s.Prove))
	mux.Handle("POST /record/extend", command(s.Extend))
	mux.Handle("POST /record/memories", command(s.RecordMemories))
	mux.Handle("POST /scim/create-token", command(s.CreateScimToken))
	mux.Handle("POST /scim/list-tokens", command(s.ListScimTokens))
	mux.Handle("POST /scim/delete-token", command(s.DeleteScimToken))
	mux.Handle("POST /explain", command(s.Explain))
	mux.Handle("POST /people", command(s.People))
	mux.Handle("POST /provider", command(s.Provider))
	mux.Handle("POST /directory", command(s.Directory))
	mux.Handle("POST /rekey", command(s.Rekey))
	mux.Handle("POST /unlock-bucket", command(s.UnlockBucket))
	mux.Handle("POST /network", command(s.Network))
	mux.Handle("POST /reach", command(s.Reach))
	mux.Handle("POST /egress", command(s.Outside))
	mux.Handle("POST /site", command(s.Sites))
	return mux
}

// command makes an HTTP handler of an administration command.
func command[In, Out any](do func(context.Context, In) (Out, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxAdminBody), &in, json.RejectUnknownMembers(true)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out, err := do(context.WithValue(r.Context(), peerKey{}, r.RemoteAddr), in)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		json.MarshalWrite(w, out)
	})
}

// AskRunning sends a command to the running server. ErrNotRunning if there is
// none.
func AskRunning(ctx context.Context, cfg config.Config, path string, in, out any) error {
	return StreamRunning(ctx, cfg, path, in, func(answer io.Reader) error { return json.UnmarshalRead(answer, out) })
}

// StreamRunning is AskRunning for an answer that is read as it comes.
func StreamRunning(ctx context.Context, cfg config.Config, path string, in any, read func(io.Reader) error) error {
	var dialer net.Dialer
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, "unix", cfg.Path("run", "admin.sock"))
		if err != nil {
			return nil, errors.Join(ErrNotRunning, err)
		}
		return c, nil
	}}}
	defer client.CloseIdleConnections()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://bawn"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return errors.New(string(bytes.TrimSpace(why)))
	}
	return read(bufio.NewReader(resp.Body))
}

// ErrNotRunning says that no server answers on the data directory's socket.
var ErrNotRunning = errors.New("no bawn server runs on this data directory")

// administered records an administration command before it is answered.
func (s *Server) administered(ctx context.Context, name, operator string, parameters any) error {
	raw, err := json.Marshal(parameters)
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx *store.Tx) error {
		return s.trail.Append(tx, &trail.Record{
			EventTime: s.now(), EventSource: "bawn", EventName: name, Region: s.cfg.Region, Account: s.cfg.AccountID,
			UserIdentity: trail.UserIdentity{Type: "Operator", PrincipalID: peerOf(ctx), UserName: operator, AccountID: s.cfg.AccountID},
			EventType:    "BawnAdministration", ManagementEvent: true, ReadOnly: true, RequestParameters: raw,
		})
	})
}

// Check verifies the record's ledger and the references between
// rows and sealed bytes, collects bytes that nothing names any more, and gives back
// the space between others.
func (s *Server) Check(ctx context.Context, in CheckRequest) (*Report, error) {
	if err := s.administered(ctx, "Fsck", in.Operator, in); err != nil {
		return nil, err
	}
	r := &Report{Problems: []string{}}
	step := func(name string, check func() ([]string, error)) error {
		problems, err := check()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.Checked = append(r.Checked, name)
		r.Problems = append(r.Problems, problems...)
		return nil
	}
	return r, errors.Join(
		step("record", func() ([]string, error) { return s.checkRecord(ctx, in.Heads) }),
		s.notePruned(ctx, r),
		step("objects", func() ([]string, error) { return s.checkObjects(ctx, r) }),
		step("space", func() (_ []string, err error) { r.Moved, err = s.compact(ctx); return nil, err }),
	)
}

// faults turns what a verifier found into lines.
func faults(err error) ([]string, error) {
	if err == nil {
		return nil, nil
	}
	return []string{err.Error()}, nil
}
