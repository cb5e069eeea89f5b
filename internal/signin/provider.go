package signin

import (
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// issuerPath is below which Bawn is an OpenID provider.
const issuerPath = "/oidc"

const maxApplications = 200

// An Application signs people in here by OpenID Connect: a dashboard, a notebook hub.
// The administrator registered it, and consents for the people whom it may ask for.
type Application struct {
	ID           string   `json:"id"`
	RedirectURIs []string `json:"redirectUris"` // compared letter by letter
	SignedOut    []string `json:"signedOut,omitempty"`
	Groups       []string `json:"groups,omitempty"` // ids; who is in one may use it; none: everybody may
	Algorithm    string   `json:"algorithm"`
	// WithoutPKCE admits requests without a code challenge, of applications that cannot
	// make one. They must send a nonce.
	WithoutPKCE bool `json:"withoutPkce,omitzero"`
}

var applicationName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func applicationKey(id string) string { return "signin:application/" + id }

// check says what is wrong with an application that an administrator registers.
func (a *Application) check() error {
	if !applicationName.MatchString(a.ID) {
		return errors.New("an application's id has 1 to 64 letters, digits, dots, dashes and underscores")
	}
	if a.Algorithm != string(jose.RS256) && a.Algorithm != string(jose.ES256) {
		return errors.New("the algorithm is RS256 or ES256")
	}
	if len(a.RedirectURIs) == 0 {
		return errors.New("a redirect URI is needed")
	}
	for _, text := range slices.Concat(a.RedirectURIs, a.SignedOut) {
		if u, err := url.Parse(text); err != nil || away(text) != nil || u.Fragment != "" || len(text) > 2048 {
			return fmt.Errorf("%q is not an https address without a fragment (http is for localhost)", text)
		}
	}
	return nil
}

// AddApplication registers an application: its secret, to be told once, and the change.
func (s *Service) AddApplication(sn *store.Snapshot, a Application, now time.Time) (string, func(*store.Tx) error, error) {
	if err := a.check(); err != nil {
		return "", nil, err
	}
	_, keys, err := s.freshKeys(sn, now)
	if err != nil {
		return "", nil, err
	}
	doc, err := json.Marshal(a)
	if err != nil {
		return "", nil, err
	}
	secret := newSecret()
	return secret, func(tx *store.Tx) error {
		var n, same int
		if err := tx.QueryRow(`SELECT count(*), count(CASE WHEN id = ? THEN 1 END) FROM signin_applications`, a.ID).Scan(&n, &same); err != nil {
			return err
		}
		if same > 0 || n >= maxApplications {
			return fmt.Errorf("there is an application %s already, or there are %d", a.ID, maxApplications)
		}
		if err := keys(tx); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO signin_applications (id, doc, digest, created) VALUES (?, ?, ?, ?)`, a.ID, doc, digest(secret), now.UnixMicro())
		return errors.Join(err, tx.Touch(applicationKey(a.ID)))
	}, nil
}

// RemoveApplication ends an application and every token that it has.
func (s *Service) RemoveApplication(tx *store.Tx, id string) error {
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM signin_applications WHERE id = ?`, id).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("there is no application %s", id)
	}
	for _, q := range []string{`DELETE FROM signin_applications WHERE id = ?`, `DELETE FROM signin_families WHERE application = ?`} {
		if _, err := tx.Exec(q, id); err != nil {
			return err
		}
	}
	return tx.Touch(applicationKey(id))
}

// ListApplications lists the applications, by id.
func (s *Service) ListApplications(sn *store.Snapshot) ([]Application, error) {
	return store.Collect(sn, func(r *store.Rows) (a Application, err error) {
		var doc []byte
		if err := r.Scan(&doc); err != nil {
			return a, err
		}
		return a, json.Unmarshal(doc, &a)
	}, `SELECT doc FROM signin_applications ORDER BY id`)
}

// application finds one and its secret's digest; nil if there is none.
func application(sn *store.Snapshot, id string) (*Application, string, error) {
	if _, err := sn.Version(applicationKey(id)); err != nil {
		return nil, "", err
	}
	var doc []byte
	var kept string
	err := sn.QueryRow(`SELECT doc, digest FROM signin_applications WHERE id = ?`, id).Scan(&doc, &kept)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	a := new(Application)
	return a, kept, json.Unmarshal(doc, a)
}

// proven is the application that a secret is of.
func proven(sn *store.Snapshot, id, secret string) (*Application, error) {
	a, kept, err := application(sn, id)
	if err != nil {
		return nil, err
	}
	if a == nil || subtle.ConstantTimeCompare([]byte(kept), []byte(digest(secret))) != 1 {
		return nil, fail("UnauthorizedException", "The application or its secret is not known.")
	}
	return a, nil
}

// A Group is one that a person is in.
type Group struct{ ID, Name string }

// groups are those that a person is in.
func (s *Service) groups(sn *store.Snapshot, userID string) ([]Group, error) {
	if s.Federation.Groups == nil {
		return nil, nil
	}
	return s.Federation.Groups(sn, userID)
}

// welcomes says whether somebody in groups may use the application.
func (a *Application) welcomes(groups []Group) bool {
	return len(a.Groups) == 0 || slices.ContainsFunc(groups, func(g Group) bool { return slices.Contains(a.Groups, g.ID) })
}

// checkIssuer refuses what is not the issuer at one of this server's addresses.
func (s *Service) checkIssuer(issuer string) error {
	if !slices.ContainsFunc(s.Origins(), func(origin string) bool { return issuer == origin+issuerPath }) {
		return fail("ValidationException", "Issuer is not an address of this server.")
	}
	return nil
}

// federationOperations are what a sign-in elsewhere, and one for an application, are
// made of.
func (s *Service) federationOperations() []api.Operation {
	return []api.Operation{
		api.Write("BeginFederation", s.leaving, s.beginFederation),
		api.Write("AcceptCode", s.cameBack, s.acceptCode).Streams(), // a code is redeemed once
		api.Write("AcceptAssertion", s.asserted, s.acceptAssertion),
		api.Write("FinishFederation", s.arrived, s.finishFederation),
		api.Write("AuthorizeApplication", s.askedFor, s.authorizeApplication),
		api.Write("CreateApplicationToken", s.redeemed, s.createApplicationToken),
		api.Write("RevokeApplicationToken", s.revoked, s.revokeApplicationToken),
		api.Read("DescribeBearer", s.bearing, s.describeBearer),
		api.Write("EndApplicationSession", s.leavingApplication, s.endApplicationSession),
		api.Read("ListSigningKeys", s.listedKeys, s.listKeys),
	}
}
