package signin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/ssooidc"
	"bawn.dev/internal/store"
)

const (
	deviceGrant  = "urn:ietf:params:oauth:grant-type:device_code"
	codeGrant    = "authorization_code"
	refreshGrant = "refresh_token"

	// accountScope opens the accounts and roles that were assigned to a person. It is
	// the only one; a client that asks for none has it, as with AWS.
	accountScope = "sso:account:access"

	clientSealing seal.Purpose = "signin client"
	clientLife                 = 90 * 24 * time.Hour
	maxClient                  = 2048 // bytes of what is sealed: it travels in an address
	maxClientName              = 128  // characters
)

// A client is a program that asks a person for her accounts. Anybody registers one:
// what it says of itself is a claim, and proves nothing. It is kept nowhere; its id is
// what it registered, sealed, and its secret follows from the id.
type client struct {
	Name      string   `json:"n"`
	Scopes    []string `json:"s,omitempty"`
	Grants    []string `json:"g,omitempty"`
	Redirects []string `json:"r,omitempty"`
	Issued    int64    `json:"i"`
	Expires   int64    `json:"e"`

	id string // the sealed text
	// application says that it is one of the identity centre's: id is its ARN, and its
	// administrator registered the redirect URIs.
	application bool
}

// grants says whether the client may use a grant. One that named none may use the
// device's, and may refresh if it asked for a scope: so the SDKs register.
func (c *client) grants(grant string) bool {
	if len(c.Grants) > 0 {
		return slices.Contains(c.Grants, grant)
	}
	return grant == deviceGrant || grant == refreshGrant && len(c.Scopes) > 0
}

func (c *client) scopes() []string {
	if len(c.Scopes) == 0 {
		return []string{accountScope}
	}
	return c.Scopes
}

// digest is the client where its long id is too much.
func (c *client) digest() string { return digest(c.id) }

func (s *Service) sealClient(c *client) (id string, err error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	if len(raw) > maxClient {
		return "", refused("InvalidClientMetadataException", "The client's name, scopes and redirect URIs are too long.")
	}
	sealed, err := clientSealing.Seal(s.Key[:], raw, nil)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// openClient reads a client's id.
func (s *Service) openClient(id string, now time.Time) (*client, error) {
	c := &client{id: id}
	if len(id) > 2*maxClient || unseal(clientSealing, s.Key, id, nil, c) != nil {
		return nil, refused("InvalidClientException", "Invalid client provided")
	}
	if now.Unix() >= c.Expires {
		return nil, refused("InvalidClientException", "The client's registration has expired. Please register again.")
	}
	return c, nil
}

func (s *Service) clientSecret(id string) string {
	mac := hmac.New(sha256.New, s.Key[:])
	mac.Write([]byte("bawn signin client secret v1\x00" + id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// authenticated is the client whose id and secret were shown.
func (s *Service) authenticated(c *api.Call, id, secret string) (*client, error) {
	known, err := s.openClient(id, c.Now)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(secret), []byte(s.clientSecret(id))) != 1 {
		return nil, refused("InvalidClientException", "Invalid client provided")
	}
	c.Note("clientName", known.Name)
	return known, nil
}

func (s *Service) newClient(_ context.Context, c *api.Call, in *shape.RegisterClientInput) (*client, []api.Demand, error) {
	n := &client{Name: in.ClientName, Scopes: in.Scopes, Grants: in.GrantTypes, Redirects: in.RedirectUris,
		Issued: c.Now.Unix(), Expires: c.Now.Add(clientLife).Unix()}
	if in.ClientType != "public" {
		return nil, nil, refused("InvalidClientMetadataException", "clientType must be public.")
	}
	if n.Name == "" || utf8.RuneCountInString(n.Name) > maxClientName || strings.ContainsFunc(n.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return nil, nil, refused("InvalidClientMetadataException", "clientName has 1 to 128 printable characters.")
	}
	if err := known(n.Scopes); err != nil {
		return nil, nil, err
	}
	for _, g := range n.Grants {
		if g != deviceGrant && g != codeGrant && g != refreshGrant {
			return nil, nil, refused("UnsupportedGrantTypeException", "grantTypes may hold authorization_code, refresh_token and "+deviceGrant+".")
		}
	}
	if n.grants(codeGrant) != (len(n.Redirects) > 0) {
		return nil, nil, refused("InvalidRequestException", "redirectUris belong to the grant authorization_code, which needs one.")
	}
	for _, u := range n.Redirects {
		if !loopback.MatchString(u) {
			return nil, nil, refused("InvalidRedirectUriException", "A redirect URI leads to this computer: http://127.0.0.1 or http://[::1], with any port and path.")
		}
	}
	if in.IssuerUrl != "" {
		if err := s.ours(c, in.IssuerUrl); err != nil {
			return nil, nil, err
		}
	}
	return n, nil, nil
}

// known refuses scopes that there are not.
func known(scopes []string) error {
	for _, scope := range scopes {
		if scope != accountScope {
			return refused("InvalidScopeException", "There is no such scope; "+accountScope+" is the one.")
		}
	}
	return nil
}

func (s *Service) registerClient(_ context.Context, c *api.Call, _ *shape.RegisterClientInput, n *client) (*shape.RegisterClientOutput, error) {
	id, err := s.sealClient(n)
	if err != nil {
		return nil, err
	}
	c.Note("clientId", id)
	return &shape.RegisterClientOutput{
		ClientId: id, ClientSecret: s.clientSecret(id), ClientIdIssuedAt: &n.Issued, ClientSecretExpiresAt: &n.Expires,
		AuthorizationEndpoint: s.address("/authorize"), TokenEndpoint: s.address("/token"),
	}, nil
}

// loopback is where codes may be sent: to a program on the person's own computer, by
// address. A name could be made to lead elsewhere.
var loopback = regexp.MustCompile(`^http://(127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$`)

// admits says whether a code may be sent to an address: one that was registered, at
// any port, which a program learns only when it listens (RFC 8252, section 7.3).
func (c *client) admits(redirect string) bool {
	if c.application {
		return slices.Contains(c.Redirects, redirect)
	}
	asked := loopback.FindStringSubmatch(redirect)
	return asked != nil && slices.ContainsFunc(c.Redirects, func(r string) bool {
		registered := loopback.FindStringSubmatch(r)
		return registered != nil && registered[1] == asked[1] && registered[3] == asked[3]
	})
}

// address is one of ours, for a browser or a client.
func (s *Service) address(path string) string { return s.Origins()[0] + path }

// Issuer is the identity centre as AWS names it. AWS's command line takes such a name
// for a start URL without asking anybody, and follows one redirect to it.
func (s *Service) Issuer(sn *store.Snapshot) (string, error) {
	instance, _, err := s.Directory.Instance(sn)
	return "https://identitycenter.amazonaws.com/" + instance[strings.LastIndexByte(instance, '/')+1:], err
}

// ours refuses a start URL that is not the portal's, nor this identity centre's name.
func (s *Service) ours(c *api.Call, start string) error {
	sn := c.Snapshot
	asked, err := url.Parse(start)
	if err != nil || asked.User != nil {
		return refused("InvalidRequestException", "The start URL is not one.")
	}
	issuer, err := s.Issuer(sn)
	if err != nil {
		return err
	}
	_, directory, err := s.Directory.Instance(sn)
	if err != nil {
		return err
	}
	names := []string{issuer, "https://" + directory[strings.LastIndexByte(directory, '/')+1:] + ".awsapps.com/start"}
	for _, origin := range s.Origins() {
		names = append(names, origin+"/start")
	}
	if strings.EqualFold(asked.Hostname(), c.Host) { // by whatever name she came
		names = append(names, strings.ToLower(asked.Scheme+"://"+asked.Host)+"/start")
	}
	// What follows # and ? says which page, and nothing here.
	if text := strings.ToLower(asked.Scheme+"://"+asked.Host) + strings.TrimSuffix(asked.Path, "/"); !slices.Contains(names, text) {
		return refused("InvalidRequestException", "The start URL is not this identity centre's, which is "+s.address("/start")+".")
	}
	return nil
}
