package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/config"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// PeopleRequest asks for one change of how people sign in.
type PeopleRequest struct {
	Operator string `json:"operator"`
	// Do is one of set-password, unlock, reset-mfa, end-sessions and mfa-policy.
	Do     string `json:"do"`
	User   string `json:"user,omitempty"`   // user name or id
	Policy string `json:"policy,omitempty"` // of mfa-policy: required or when-registered; empty asks which it is
}

// PeopleAnswer is what came of it.
type PeopleAnswer struct {
	UserID   string `json:"userId,omitempty"`
	Password string `json:"password,omitempty"` // one-time; it is told to nobody else
	Policy   string `json:"policy,omitempty"`
}

// peopleEvents are what the record calls the commands.
var peopleEvents = map[string]string{
	"set-password": "SetPersonPassword", "unlock": "UnlockPerson", "reset-mfa": "ResetPersonMFA", "end-sessions": "EndPersonSessions", "mfa-policy": "MFAPolicy",
}

// People changes how a person, or everybody, signs in. The change and its record are
// one.
func (s *Server) People(ctx context.Context, in PeopleRequest) (*PeopleAnswer, error) {
	name := peopleEvents[in.Do]
	if name == "" {
		return nil, fmt.Errorf("people: there is no %q", in.Do)
	}
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	out := &PeopleAnswer{}
	if in.Do == "mfa-policy" {
		if in.Policy == "" {
			out.Policy, err = s.signin.MFAPolicy(sn)
			return out, errors.Join(err, s.administered(ctx, name, in.Operator, in))
		}
		out.Policy = in.Policy
		return out, s.changed(ctx, name, in.Operator, in, func(tx *store.Tx) error { return s.signin.SetMFAPolicy(tx, in.Policy) })
	}
	if out.UserID, err = s.personNamed(sn, in.User); err != nil {
		return nil, err
	}
	change := map[string]func(*store.Tx) error{
		"unlock":    func(tx *store.Tx) error { return s.signin.Unlock(tx, out.UserID) },
		"reset-mfa": func(tx *store.Tx) error { return s.signin.ResetDevices(tx, out.UserID) },
		"end-sessions": func(tx *store.Tx) error {
			return errors.Join(s.signin.EndSessions(tx, out.UserID), s.identity.SignOut(tx, out.UserID, s.now()))
		},
	}[in.Do]
	if in.Do == "set-password" {
		if out.Password, change, err = s.signin.OneTimePassword(ctx, sn, out.UserID, s.now()); err != nil {
			return nil, err
		}
	}
	return out, s.changed(ctx, name, in.Operator, in, change)
}

// personNamed is the id of a person by user name or id. One who is disabled is not
// there. A text that is one's id and another's name is nobody's: who may name herself
// would be taken for whom an administrator means.
func (s *Server) personNamed(sn *store.Snapshot, user string) (string, error) {
	id, err := s.identity.UserID(sn, user)
	if err != nil {
		return "", err
	}
	other, err := s.identity.Known(sn, user, "")
	switch {
	case err != nil:
		return "", err
	case other && id != "" && id != user:
		return "", fmt.Errorf("people: %q is the id of one person and the name of another, who is %s", user, id)
	case id == "":
		id = user
	}
	if _, _, _, err := s.identity.Named(sn, id); err != nil {
		return "", fmt.Errorf("people: there is no enabled person %q", user)
	}
	return id, nil
}

// changed commits what an administration command changes, with its record.
func (s *Server) changed(ctx context.Context, name, operator string, parameters any, change func(*store.Tx) error) error {
	raw, err := json.Marshal(parameters)
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		return s.trail.Append(tx, &trail.Record{
			EventTime: s.now(), EventSource: "bawn", EventName: name, Region: s.cfg.Region, Account: s.cfg.AccountID,
			UserIdentity: trail.UserIdentity{Type: "Operator", PrincipalID: peerOf(ctx), UserName: operator, AccountID: s.cfg.AccountID},
			EventType:    "BawnAdministration", ManagementEvent: true, RequestParameters: raw,
		})
	})
}

// site is the host name under which browsers reach Bawn. An address is no name that a
// passkey can be bound to.
func site(cfg config.Config) string {
	if len(cfg.Hosts) > 0 {
		return cfg.Hosts[0]
	}
	return "localhost"
}

// origins are the site's addresses: on the port where we listen and, for who forwards
// from there, on the one that browsers take without saying so.
func (s *Server) origins() []string {
	scheme := "https"
	if s.cfg.PlainHTTP {
		scheme = "http"
	}
	host := site(s.cfg)
	return []string{fmt.Sprintf("%s://%s:%d", scheme, host, s.port.Load()), "https://" + host}
}
