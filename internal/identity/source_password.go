package identity

import (
	"context"
	"errors"
	"fmt"

	"bawn.dev/internal/ldap"
	"bawn.dev/internal/store"
)

// maxAsking bounds how many passwords are asked about at a time: who guesses here must
// not flood the directory there.
const maxAsking = 16

// Owns implements signin.Source: who comes from a directory has her password there.
func (s *Service) Owns(_ context.Context, sn *store.Snapshot, userID string) (bool, error) {
	name, _, err := sourceOf(sn, userID)
	return name != "", err
}

// Authenticate implements signin.Source.
func (s *Service) Authenticate(ctx context.Context, sn *store.Snapshot, userID, password string) (bool, error) {
	name, external, err := sourceOf(sn, userID)
	if err != nil || name == "" {
		return false, err
	}
	var ok bool
	err = s.askSource(ctx, sn, name, func(ctx context.Context, d *ldap.Directory, secret string) (err error) {
		ok, err = d.Authenticate(ctx, secret, external, password)
		return err
	})
	return ok && err == nil, err
}

// Pretend implements signin.Source.
func (s *Service) Pretend(ctx context.Context, sn *store.Snapshot, pick uint64) error {
	all, err := s.ListSources(sn)
	if err != nil || len(all) == 0 {
		return err
	}
	return s.askSource(ctx, sn, all[pick%uint64(len(all))].Name, func(ctx context.Context, d *ldap.Directory, secret string) error {
		return d.Pretend(ctx, secret)
	})
}

// askSource waits for its turn to ask a directory something about a password.
func (s *Service) askSource(ctx context.Context, sn *store.Snapshot, name string, ask func(context.Context, *ldap.Directory, string) error) error {
	src, secret, err := s.source(sn, name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, ldap.PasswordTime)
	defer cancel()
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return errors.New("identity: too many passwords are asked about")
	}
	if err := ask(ctx, &src.Directory, secret); err != nil {
		return fmt.Errorf("identity: the directory %s: %w", name, err)
	}
	return nil
}

// TestSource reads a directory and changes nothing: how many people and groups it has,
// and what cannot be taken of them.
func (s *Service) TestSource(ctx context.Context, q store.Querier, name string) (*SourceReport, error) {
	src, secret, err := s.source(q, name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readingTime)
	defer cancel()
	c, err := src.Directory.Read(ctx, secret)
	if err != nil {
		return nil, err
	}
	r := &SourceReport{People: len(c.People), Groups: len(c.Groups)}
	for _, p := range c.People {
		r.problem(p.DN, p.Problem)
	}
	for _, g := range c.Groups {
		r.problem(g.DN, g.Problem)
	}
	return r, nil
}
