package signin

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape"
	directory "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
)

// unknown is the refusal of somebody whom a provider vouches for and the directory
// does not have.
func unknown(why string) *api.Error { return fail("AccessDeniedException", "%s", why) }

// known is the person behind a provider's subject, and the change that keeps who she
// is: the one whom the subject was before; else, at its first sign-in, the one whom
// this service made for it, or the one in the directory whom the provider's
// configuration says to take. Nobody is two subjects of one provider, nor is she taken
// from another unless the configuration says so.
func (s *Service) known(ctx context.Context, c *api.Call, p *Provider, who *vouchedFor) (string, func(*store.Tx) error, error) {
	userID, err := s.linked(ctx, c, p.ID, who.Subject)
	if err != nil || userID != "" {
		return userID, func(*store.Tx) error { return nil }, err
	}
	if userID, err = s.made(ctx, c, p, who); err != nil {
		return "", nil, err
	}
	alone := false
	if userID == "" {
		if userID, err = s.matched(ctx, c, p, who); err != nil {
			return "", nil, err
		}
		alone = !p.MatchLinked
	}
	if userID == "" && p.Create {
		if err := s.makePerson(ctx, c, p, who); err != nil {
			return "", nil, err
		}
		return "", nil, api.ErrAgain // she is on the next snapshot
	}
	if userID == "" {
		return "", nil, unknown("You are not known here. Ask your administrator to add you.")
	}
	return userID, func(tx *store.Tx) error { return link(tx, p.ID, who.Subject, userID, alone, c.Now.UnixMicro()) }, nil
}

// linked is the person whom a subject was before. One who was removed since is
// forgotten.
func (s *Service) linked(ctx context.Context, c *api.Call, provider, subject string) (string, error) {
	var userID string
	err := c.Snapshot.QueryRow(`SELECT user_id FROM signin_links WHERE provider = ? AND subject = ?`, provider, subject).Scan(&userID)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	f, err := c.Resource(ctx, "arn:aws:identitystore:::user/"+userID)
	if err != nil || f.Missing != nil {
		return "", err
	}
	return userID, nil
}

// link keeps who a subject is. With alone nobody is a subject of two providers: one
// that has a name in common with another's must not become her by it.
func link(tx *store.Tx, provider, subject, userID string, alone bool, now int64) error {
	if alone {
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM signin_links WHERE user_id = ? AND provider <> ?`, userID, provider).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return unknown("Your account here belongs to another provider. Sign in there, or ask your administrator.")
		}
	}
	var other string
	err := tx.QueryRow(`SELECT subject FROM signin_links WHERE provider = ? AND user_id = ? AND subject <> ?`, provider, userID, subject).Scan(&other)
	if err == nil {
		return unknown("Your account here belongs to another name at your provider. Ask your administrator.")
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM signin_links WHERE provider = ? AND subject = ?`, provider, subject); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO signin_links (provider, subject, user_id, created) VALUES (?, ?, ?, ?)`, provider, subject, userID, now)
	return err
}

// matched is the person of the directory whom the configuration says to take at a
// first sign-in. An address counts only where the provider says that it is hers.
func (s *Service) matched(ctx context.Context, c *api.Call, p *Provider, who *vouchedFor) (string, error) {
	path, value := "userName", who.UserName
	if p.Match == "email" {
		path, value = "emails.value", who.Email
	}
	if p.Match == "" || value == "" {
		return "", nil
	}
	userID, err := s.Directory.FindUser(ctx, c.Snapshot, path, value)
	if errors.Is(err, api.ErrGone) {
		return "", nil
	}
	return userID, err
}

// named is how the directory keeps what a provider calls somebody. Another provider of
// the same name is another.
func (p *Provider) named(who *vouchedFor) directory.ExternalId {
	return directory.ExternalId{Issuer: "https://" + Principal + "/" + p.ID, Id: digest(p.Issuer + "\n" + who.Subject)}
}

func (s *Service) asService(ctx context.Context) (*api.Call, error) {
	if s.Federation.Begin == nil {
		return nil, errors.New("signin: there is no way to the directory")
	}
	return s.Federation.Begin(ctx, api.Claim{Kind: api.KindService, ID: Principal, Account: s.Account}, "")
}

// made is the person whom this service made for a subject; empty if there is none.
func (s *Service) made(ctx context.Context, c *api.Call, p *Provider, who *vouchedFor) (string, error) {
	if !p.Create {
		return "", nil
	}
	_, storeARN, err := s.Directory.Instance(c.Snapshot)
	if err != nil {
		return "", err
	}
	call, err := s.asService(ctx)
	if err != nil {
		return "", err
	}
	name := p.named(who)
	out, err := api.Invoke[directory.GetUserIdOutput](ctx, call, "identitystore:GetUserId", &directory.GetUserIdInput{
		IdentityStoreId: storeARN[strings.LastIndexByte(storeARN, '/')+1:], AlternateIdentifier: &directory.AlternateIdentifier{ExternalId: &name},
	})
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == "ResourceNotFoundException" {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return out.UserId, nil
}

// makePerson makes a person for a subject, without any rights.
func (s *Service) makePerson(ctx context.Context, c *api.Call, p *Provider, who *vouchedFor) error {
	_, storeARN, err := s.Directory.Instance(c.Snapshot)
	if err != nil {
		return err
	}
	if who.UserName == "" {
		return unknown("Your provider does not say under which name you are to be known here.")
	}
	extension, err := json.Marshal(map[string]any{"ExternalIds": []directory.ExternalId{p.named(who)}})
	if err != nil {
		return err
	}
	first, last, _ := strings.Cut(who.DisplayName, " ")
	in := &directory.CreateUserInput{
		IdentityStoreId: storeARN[strings.LastIndexByte(storeARN, '/')+1:], UserName: who.UserName, DisplayName: cmp.Or(who.DisplayName, who.UserName),
		Name:       &directory.Name{GivenName: cmp.Or(who.GivenName, first, who.UserName), FamilyName: cmp.Or(who.FamilyName, last, who.UserName)},
		Extensions: map[string]shape.Document{"aws:identitystore:provisioning": extension},
	}
	if who.Email != "" {
		in.Emails = []directory.Email{{Value: who.Email}}
	}
	call, err := s.asService(ctx)
	if err != nil {
		return err
	}
	c.Release()
	_, err = api.Invoke[directory.CreateUserOutput](ctx, call, "identitystore:CreateUser", in)
	if e, ok := errors.AsType[*api.Error](err); ok && e.Status < http.StatusInternalServerError {
		return unknown("Your account could not be made here: " + e.Message + " Ask your administrator.")
	}
	return err
}
