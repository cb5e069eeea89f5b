package signin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/oidc"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
)

const (
	endpointsFresh = 10 * time.Minute
	maxEndpoints   = 64
)

// endpoints are where an OpenID provider says that things are asked of it.
type endpoints struct {
	Issuer      string   `json:"issuer"`
	Authorize   string   `json:"authorization_endpoint"`
	Token       string   `json:"token_endpoint"`
	UserInfo    string   `json:"userinfo_endpoint"`
	TokenAuth   []string `json:"token_endpoint_auth_methods_supported"`
	NamesItself bool     `json:"authorization_response_iss_parameter_supported"`

	read time.Time
}

// discoveries remembers endpoints for a while.
type discoveries struct {
	mu  sync.Mutex
	all map[string]*endpoints
}

func (d *discoveries) get(issuer string, now time.Time) *endpoints {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.all[issuer]; e != nil && now.Sub(e.read) < endpointsFresh {
		return e
	}
	return nil
}

func (d *discoveries) put(e *endpoints) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil || len(d.all) >= maxEndpoints {
		d.all = map[string]*endpoints{}
	}
	d.all[e.Issuer] = e
}

// discover finds a provider's endpoints. Where it must be asked, wait is called first.
func (s *Service) discover(ctx context.Context, issuer string, wait func()) (*endpoints, error) {
	if e := s.discoveries.get(issuer, s.Now()); e != nil {
		return e, nil
	}
	wait()
	e, err := s.readEndpoints(ctx, issuer)
	if err != nil {
		s.Trouble(fmt.Errorf("discovery of %s: %w", issuer, err)) // what the network answered is not for her
		return nil, unreachable()
	}
	s.discoveries.put(e)
	return e, nil
}

func (s *Service) readEndpoints(ctx context.Context, issuer string) (*endpoints, error) {
	if s.Federation.Fetch == nil {
		return nil, errors.New("there is no way to ask")
	}
	raw, err := s.Federation.Fetch.Get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return nil, err
	}
	e := &endpoints{read: s.Now()}
	if err := json.Unmarshal(raw, e); err != nil {
		return nil, errors.New("the document is not JSON")
	}
	if e.Issuer != issuer {
		return nil, errors.New("the document names another issuer")
	}
	if err := errors.Join(away(e.Authorize), away(e.Token)); err != nil {
		return nil, fmt.Errorf("an endpoint: %w", err)
	}
	return e, nil
}

func unreachable() *api.Error {
	return fail("AccessDeniedException", "The provider does not answer as it should. The server's log says why.")
}

// callback is where a provider sends a browser back to. Each has its own, so that one
// provider's answer is never taken for another's.
func (j *journey) callback() string { return j.Origin + "/oauth2/callback/" + j.Provider }

// askOIDC is the address at which a provider is asked who somebody is.
func (s *Service) askOIDC(ctx context.Context, p *Provider, j *journey, state string, wait func()) (string, error) {
	at, err := s.discover(ctx, p.Issuer, wait)
	if err != nil {
		return "", err
	}
	challenge := sha256.Sum256([]byte(j.Verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {p.ClientID}, "redirect_uri": {j.callback()}, "state": {state}, "nonce": {j.Nonce},
		"scope":          {strings.Join(append([]string{"openid"}, p.Scopes...), " ")},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	sep := "?"
	if strings.Contains(at.Authorize, "?") {
		sep = "&"
	}
	return at.Authorize + sep + q.Encode(), nil
}

// A return is an OIDC provider's answer, with what it is held against.
type returned struct {
	j        *journey
	provider *Provider
	secret   string
}

// cameBack finds the journey that a provider's answer belongs to. It must have begun
// in this browser, at this provider.
func (s *Service) cameBack(_ context.Context, c *api.Call, in *shape.AcceptCodeInput) (*returned, []api.Demand, error) {
	j, err := s.journey(c.Snapshot, in.State, c.Now)
	if err != nil {
		return nil, nil, err
	}
	if j == nil || !j.of(in.Binding) || j.Provider != in.Provider || j.Who != nil {
		return nil, nil, over()
	}
	p, secret, err := s.provider(c.Snapshot, j.Provider)
	if err != nil {
		return nil, nil, err
	}
	if p == nil || p.Kind != KindOIDC {
		return nil, nil, over()
	}
	c.Note("provider", p.ID)
	return &returned{j, p, secret}, nil, nil
}

// acceptCode exchanges the code, once, and believes the token that comes for it.
func (s *Service) acceptCode(ctx context.Context, c *api.Call, in *shape.AcceptCodeInput, r *returned) (api.Commit[shape.AcceptCodeOutput], error) {
	c.Release()
	at, err := s.discover(ctx, r.provider.Issuer, func() {})
	if err != nil {
		return nil, err
	}
	switch { // RFC 9207
	case in.Issuer != "" && in.Issuer != r.provider.Issuer, in.Issuer == "" && at.NamesItself:
		return nil, fail("AccessDeniedException", "The answer comes from another provider than the one that was asked.")
	case in.Error != "":
		return nil, fail("AccessDeniedException", "The provider did not sign you in.")
	case in.Code == "":
		return nil, fail("ValidationException", "Code is missing.")
	}
	given, err := s.redeem(ctx, at, r, in.Code)
	if err != nil {
		return nil, err
	}
	who, err := s.identified(ctx, at, given, r)
	if err != nil {
		return nil, err
	}
	r.j.Who = who
	return func(tx *store.Tx) (*shape.AcceptCodeOutput, error) {
		return &shape.AcceptCodeOutput{State: in.State}, s.saveJourney(tx, r.j, c.Now)
	}, nil
}

// A redemption is what a code is redeemed for.
type redemption struct {
	IDToken     string `json:"id_token"`
	AccessToken string `json:"access_token"`
}

// redeem gets the tokens for a code.
func (s *Service) redeem(ctx context.Context, at *endpoints, r *returned, code string) (*redemption, error) {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {r.j.callback()}, "code_verifier": {r.j.Verifier},
	}
	user, password := r.provider.ClientID, r.secret
	if len(at.TokenAuth) > 0 && !slices.Contains(at.TokenAuth, "client_secret_basic") {
		form.Set("client_id", user)
		form.Set("client_secret", password)
		user, password = "", ""
	}
	raw, err := s.Federation.Fetch.Post(ctx, at.Token, user, password, form)
	if err != nil {
		s.Trouble(fmt.Errorf("the token endpoint of %s: %w", r.provider.Issuer, err))
		return nil, unreachable()
	}
	out := &redemption{}
	if err := json.Unmarshal(raw, out); err != nil || out.IDToken == "" || len(out.IDToken) > maxAssertion {
		return nil, unreachable()
	}
	return out, nil
}

// more asks the provider for what it leaves out of its tokens. It must speak of the
// token's subject; what the token says stands.
func (s *Service) more(ctx context.Context, at *endpoints, given *redemption, r *returned, claims map[string]any) error {
	if at.UserInfo == "" || given.AccessToken == "" || away(at.UserInfo) != nil {
		return nil
	}
	raw, err := s.Federation.Fetch.GetAs(ctx, at.UserInfo, given.AccessToken)
	var told map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &told)
	}
	if err != nil {
		s.Trouble(fmt.Errorf("userinfo of %s: %w", r.provider.Issuer, err))
		return nil // what the token says may be enough
	}
	if told["sub"] != claims["sub"] {
		return fail("AccessDeniedException", "The provider tells of somebody else.")
	}
	_, addressed := claims["email"]
	for name, value := range told {
		if _, there := claims[name]; !there && (name != "email_verified" || !addressed) { // which is of its own address
			claims[name] = value
		}
	}
	return nil
}

// texts are the claims that are text.
func texts(claims map[string]any) map[string]string {
	values := map[string]string{}
	for name, value := range claims {
		values[name], _ = value.(string)
	}
	return values
}

// identified is whom an id token vouches for (OpenID Connect Core 1.0, 3.1.3.7).
func (s *Service) identified(ctx context.Context, at *endpoints, given *redemption, r *returned) (*vouchedFor, error) {
	bad := func(why string) error { return fail("AccessDeniedException", "The provider's token %s.", why) }
	told, err := oidc.Parse(given.IDToken)
	if err != nil {
		return nil, bad("is refused: " + err.Error())
	}
	if told.Issuer != r.provider.Issuer {
		return nil, bad("is of another issuer")
	}
	signed, err := s.Issuers.Verify(ctx, told, func() {})
	if errors.Is(err, api.ErrAgain) { // the keys are here now
		signed, err = s.Issuers.Verify(ctx, told, func() {})
	}
	if refusal := unbelieved(err); refusal != nil {
		return nil, bad("is refused: " + err.Error())
	}
	if err != nil {
		s.Trouble(fmt.Errorf("the keys of %s: %w", r.provider.Issuer, err))
		return nil, unreachable()
	}
	text := func(name string) string { v, _ := signed.Claims[name].(string); return v }
	now := s.Now()
	switch party, told := signed.Claims["azp"]; {
	case !slices.Contains(signed.Audience, r.provider.ClientID):
		return nil, bad("is for another audience")
	case told && party != r.provider.ClientID, !told && len(signed.Audience) > 1:
		return nil, bad("was made for another party")
	case subtle.ConstantTimeCompare([]byte(text("nonce")), []byte(r.j.Nonce)) != 1:
		return nil, bad("answers another request")
	case signed.Expires.IsZero() || signed.Issued.IsZero():
		return nil, bad("has no exp or no iat")
	case now.After(signed.Expires.Add(clockSkew)):
		return nil, bad("has expired")
	case signed.Issued.After(now.Add(clockSkew)), signed.NotBefore.After(now.Add(clockSkew)):
		return nil, bad("is not valid yet")
	}
	strong := r.provider.strong(ways(signed.Claims)) // by the token alone
	for _, name := range []string{"userName", "email", "displayName"} {
		if r.provider.attribute(name, texts(signed.Claims)) == "" {
			if err := s.more(ctx, at, given, r, signed.Claims); err != nil {
				return nil, err
			}
			break
		}
	}
	who, err := believed(r.provider, signed.Subject, texts(signed.Claims), strong)
	if err == nil && signed.Claims["email_verified"] != true {
		if who.Email = ""; r.provider.Attributes["userName"] == "email" { // a name that anybody may give himself
			who.UserName = ""
		}
	}
	return who, err
}

// ways are how a provider says that it knows somebody: amr and acr.
func ways(claims map[string]any) (all []string) {
	if acr, ok := claims["acr"].(string); ok {
		all = append(all, acr)
	}
	list, _ := claims["amr"].([]any)
	for _, v := range list {
		if way, ok := v.(string); ok {
			all = append(all, way)
		}
	}
	return all
}

// strong says whether one of the ways is with a second factor. RFC 8176 has one word
// for it; all else is the administrator's to say.
func (p *Provider) strong(ways []string) bool {
	return slices.ContainsFunc(ways, func(w string) bool { return w != "" && slices.Contains(p.MFA, w) }) ||
		p.Kind == KindOIDC && len(p.MFA) == 0 && slices.Contains(ways, "mfa")
}
