package signin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"unicode"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

// Why the operations of sign-in are open, and why no policy is asked.
const (
	whyOpen       = "it is how people prove who they are"
	whyUndeniable = "what is one's own cannot be kept from oneself"
	whyAnybody    = "a program asks, and gets nothing until a person approves"
)

// SignInAPI lists what is served of our own sign-in API.
func (s *Service) SignInAPI() *api.Service {
	list := []api.Operation{
		api.Read("BeginSignIn", s.begun, s.beginSignIn),
		api.Write("ContinueSignIn", s.continued, s.continueSignIn).Guesses(),
	}
	list = slices.Concat(list, s.ownOperations(), s.consentOperations(), s.federationOperations())
	for i, op := range list {
		list[i] = op.Open(whyOpen).Undeniable(whyUndeniable)
	}
	return &api.Service{Model: shape.Model(), Prefix: "signin", Operations: list}
}

// begun finds whom a name means. A name that is nobody's gets an id too, always the
// same, that is nobody's: all that follows is done with it as with any.
func (s *Service) begun(ctx context.Context, c *api.Call, in *shape.BeginSignInInput) (*flow, []api.Demand, error) {
	f := &flow{Name: in.UserName, Stage: stageIdentify, Binding: bound(in.Binding), Expires: c.Now.UTC().Add(flowLife)}
	userID, err := s.Directory.FindUser(ctx, c.Snapshot, "userName", in.UserName)
	switch {
	case errors.Is(err, api.ErrGone):
		f.UserID = s.nobody(in.UserName)
	case err != nil:
		return nil, nil, err
	default:
		f.UserID = userID
		c.Note("userId", userID)
	}
	f.Remembered = s.remembers(in.Remembered, f.UserID, c.Now)
	return f, nil, nil
}

// nobody is the id of a name that nobody has.
func (s *Service) nobody(name string) string {
	return uuid.Format([16]byte(s.keyed("bawn signin nobody v1", name)[:16]))
}

// pick chooses what a name is asked about if its password is kept nowhere else: always
// the same, and nobody can tell that it was not a real one.
func (s *Service) pick(name string) uint64 {
	return binary.BigEndian.Uint64(s.keyed("bawn signin pick v1", name))
}

func (s *Service) keyed(use, name string) []byte {
	mac := hmac.New(sha256.New, s.Key[:])
	mac.Write([]byte(use + "\x00" + fold(name)))
	return mac.Sum(nil)
}

// fold is the directory's way to compare names (identity.Fold). By another, two ways to
// write one name would share the wrong guesses at nobody and not those at somebody.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if low := unicode.ToLower(r); r <= unicode.MaxASCII || low > unicode.MaxASCII {
			return low
		}
		return r
	}, name)
}

func (s *Service) beginSignIn(_ context.Context, c *api.Call, in *shape.BeginSignInInput, f *flow) (*shape.BeginSignInOutput, error) {
	out := &shape.BeginSignInOutput{Methods: []string{"password", "passkey"}, ExpiresAt: f.Expires}
	providers, err := s.providers(c.Snapshot, in.UserName)
	if err != nil {
		return nil, err
	}
	for _, id := range providers {
		out.Methods = append(out.Methods, redirect+id)
	}
	if out.PasskeyOptions, f.Challenge, err = s.askPasskey(nil); err != nil {
		return nil, err
	}
	out.Flow, err = s.sealFlow(f)
	return out, err
}

// redirect is before the id of the provider to which a person is to be sent.
const redirect = "redirect:"

// A Providers knows the external identity providers.
type Providers interface {
	// Providers are the ids of those to which somebody with a name can be sent. It must
	// not depend on whether there is such a person.
	Providers(sn *store.Snapshot, userName string) ([]string, error)
}

func (s *Service) providers(sn *store.Snapshot, userName string) ([]string, error) {
	if s.Providers == nil {
		return nil, nil
	}
	return s.Providers.Providers(sn, userName)
}
