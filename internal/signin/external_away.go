package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
)

const awaySealing seal.Purpose = "signin away"

// A journey is a sign-in that was sent to a provider, until it comes back. What names
// it goes through the browser and the provider and is no proof: the journey is also
// bound to the browser, as its flow is.
type journey struct {
	id       string // digest of what names it
	Provider string
	Flow     string // empty where it began at the provider
	Binding  []byte
	Origin   string // where it comes back
	Next     string
	Nonce    string // OIDC: that the token must have
	Verifier string // OIDC: PKCE's
	Request  string // SAML: ID of the request
	Expires  time.Time
	Who      *vouchedFor // once the provider has answered
}

// A vouchedFor is whom a provider vouches for.
type vouchedFor struct {
	Subject                                             string
	UserName, Email, DisplayName, GivenName, FamilyName string
	MFA                                                 bool
}

func journeyKey(id string) string { return "signin:away/" + id }

// newJourney makes one and the state that names it, short enough for a SAML provider
// to carry.
func newJourney() (*journey, string) {
	state := rand.Text() + rand.Text()
	return &journey{id: digest(state), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text(), Request: "_" + rand.Text()}, state
}

func (s *Service) saveJourney(tx *store.Tx, j *journey, now time.Time) error {
	raw, err := json.Marshal(j)
	if err != nil {
		return err
	}
	sealed, err := awaySealing.Seal(s.Key[:], raw, []byte(j.id))
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM signin_away WHERE id = ? OR expires < ?`, j.id, now.UnixMicro()); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO signin_away (id, sealed, expires) VALUES (?, ?, ?)`, j.id, sealed, j.Expires.UnixMicro())
	return errors.Join(err, tx.Touch(journeyKey(j.id)))
}

func endJourney(tx *store.Tx, j *journey) error {
	_, err := tx.Exec(`DELETE FROM signin_away WHERE id = ?`, j.id)
	return errors.Join(err, tx.Touch(journeyKey(j.id)))
}

// journey finds one by its state; nil if there is none.
func (s *Service) journey(sn *store.Snapshot, state string, now time.Time) (*journey, error) {
	id := digest(state)
	if _, err := sn.Version(journeyKey(id)); err != nil {
		return nil, err
	}
	var sealed []byte
	err := sn.QueryRow(`SELECT sealed FROM signin_away WHERE id = ?`, id).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	raw, err := awaySealing.Open(s.Key[:], sealed, []byte(id))
	if err != nil {
		return nil, err
	}
	j := &journey{id: id}
	if err := json.Unmarshal(raw, j); err != nil || now.After(j.Expires) {
		return nil, err
	}
	return j, nil
}

// of says whether a journey began in the browser with a binding.
func (j *journey) of(binding string) bool {
	return subtle.ConstantTimeCompare(j.Binding, bound(binding)) == 1
}

// A departure is a journey that can begin.
type departure struct {
	provider *Provider
	flow     *flow
}

// leaving finds where a flow is to be sent.
func (s *Service) leaving(_ context.Context, c *api.Call, in *shape.BeginFederationInput) (*departure, []api.Demand, error) {
	f, err := s.openFlow(c.Snapshot, in.Flow, in.Binding, c.Now)
	if err != nil {
		return nil, nil, err
	}
	if f.Stage != stageElsewhere {
		return nil, nil, over()
	}
	p, _, err := s.provider(c.Snapshot, f.Provider)
	if err != nil {
		return nil, nil, err
	}
	if p == nil {
		return nil, nil, over()
	}
	if !slices.Contains(s.Origins(), in.Origin) {
		return nil, nil, fail("ValidationException", "Origin is not an address of this server.")
	}
	c.Note("provider", p.ID)
	return &departure{p, f}, nil, nil
}

func (s *Service) beginFederation(ctx context.Context, c *api.Call, in *shape.BeginFederationInput, d *departure) (api.Commit[shape.BeginFederationOutput], error) {
	j, state := newJourney()
	j.Provider, j.Flow, j.Binding, j.Origin, j.Next, j.Expires = d.provider.ID, in.Flow, d.flow.Binding, in.Origin, in.Next, d.flow.Expires
	var to string
	var err error
	if d.provider.Kind == KindOIDC {
		to, err = s.askOIDC(ctx, d.provider, j, state, c.Release)
	} else {
		to, err = askSAML(d.provider, j, state, c.Now)
	}
	if err != nil {
		return nil, err
	}
	out := &shape.BeginFederationOutput{Location: to, ExpiresAt: j.Expires}
	return func(tx *store.Tx) (*shape.BeginFederationOutput, error) { return out, s.saveJourney(tx, j, c.Now) }, nil
}

// An arrival is a journey that came back.
type arrival struct {
	j *journey
	*attempt
}

// arrived goes on with the flow of a journey, if its provider vouched for somebody and
// it ends in the browser where it began.
func (s *Service) arrived(ctx context.Context, c *api.Call, in *shape.FinishFederationInput) (*arrival, []api.Demand, error) {
	j, err := s.journey(c.Snapshot, in.State, c.Now)
	if err != nil {
		return nil, nil, err
	}
	if j == nil || j.Who == nil || j.Flow != "" && !j.of(in.Binding) {
		return nil, nil, over()
	}
	p, _, err := s.provider(c.Snapshot, j.Provider)
	if err != nil {
		return nil, nil, err
	}
	if p == nil {
		return nil, nil, over()
	}
	c.Note("provider", p.ID)
	f := &flow{Stage: stageElsewhere, Provider: p.ID, ID: j.id, Binding: bound(in.Binding), Expires: j.Expires.Add(flowLife - samlUntil)}
	if j.Flow != "" {
		if f, err = s.openFlow(c.Snapshot, j.Flow, in.Binding, c.Now); err != nil {
			return nil, nil, err
		}
	}
	userID, link, err := s.known(ctx, c, p, j.Who)
	if err != nil {
		return nil, nil, err
	}
	methods := []string{"fed"}
	if j.Who.MFA {
		methods = append(methods, "mfa")
	}
	a, err := s.vouched(ctx, c, f, userID, methods...)
	if err != nil {
		return nil, nil, err
	}
	a.then(link)
	a.then(func(tx *store.Tx) error { return endJourney(tx, j) })
	return &arrival{j, a}, nil, nil
}

func (s *Service) finishFederation(_ context.Context, _ *api.Call, _ *shape.FinishFederationInput, a *arrival) (api.Commit[shape.FinishFederationOutput], error) {
	return func(tx *store.Tx) (*shape.FinishFederationOutput, error) {
		out, err := a.finish(tx)
		if err != nil {
			return nil, err
		}
		result := shape.SignInResult(*out)
		return &shape.FinishFederationOutput{Result: &result, Next: a.j.Next}, nil
	}, nil
}

// believed is whom a provider vouches for, by what it says of her.
func believed(p *Provider, subject string, values map[string]string, mfa bool) (*vouchedFor, error) {
	if subject == "" || len(subject) > 1024 || strings.ContainsFunc(subject, func(r rune) bool { return r < ' ' }) {
		return nil, fail("AccessDeniedException", "The provider names nobody.")
	}
	who := &vouchedFor{Subject: subject, MFA: mfa}
	for name, into := range map[string]*string{
		"userName": &who.UserName, "email": &who.Email, "displayName": &who.DisplayName, "givenName": &who.GivenName, "familyName": &who.FamilyName,
	} {
		*into = p.attribute(name, values)
	}
	return who, nil
}
