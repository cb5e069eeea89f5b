package signin

import (
	"encoding/base64"
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"bawn.dev/internal/seal"
)

// errPasskey says that what a browser brought proves nothing. Why is for nobody.
var errPasskey = errors.New("signin: the passkey was not accepted")

// algorithms are the signatures that passkeys may make: those that the cryptographic
// module approves.
var algorithms = []protocol.CredentialParameter{
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
}

// A passkey is what is kept, sealed, of a registered one.
type passkey struct {
	Key            []byte   `json:"key"` // public, as COSE writes it
	Count          uint32   `json:"count"`
	BackupEligible bool     `json:"backupEligible"`
	Transports     []string `json:"transports,omitzero"`
}

// A holder is a person as package webauthn sees one.
type holder struct {
	id, name, display string
	credentials       []webauthn.Credential
}

func (h *holder) WebAuthnID() []byte                         { return []byte(h.id) }
func (h *holder) WebAuthnName() string                       { return h.name }
func (h *holder) WebAuthnDisplayName() string                { return h.display }
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.credentials }

// party is this site as passkeys know it. A passkey is bound to the site's name and
// not to a port, so the origins say exactly where it may be used.
func (s *Service) party() (*webauthn.WebAuthn, error) {
	return webauthn.New(&webauthn.Config{
		RPID: s.Site, RPDisplayName: "Bawn", RPOrigins: s.Origins(),
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore, // some password managers send them; none is used
	})
}

// ceremony is what the answer to a challenge must fit.
func (s *Service) ceremony(challenge, userID string) webauthn.SessionData {
	return webauthn.SessionData{
		Challenge: challenge, RelyingPartyID: s.Site, UserID: []byte(userID), UserVerification: protocol.VerificationRequired, CredParams: algorithms,
	}
}

// optionsOf are a ceremony's, for the browser.
func optionsOf(of any) (string, error) {
	raw, err := json.Marshal(of)
	return string(raw), err
}

func credentialID(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func (d *factor) passkey(key seal.Key) (*passkey, error) {
	raw, err := d.open(key)
	if err != nil {
		return nil, err
	}
	p := new(passkey)
	return p, json.Unmarshal(raw, p)
}

// credential is a registered passkey as package webauthn sees it.
func (d *factor) credentialOf(p *passkey) (webauthn.Credential, error) {
	id, err := base64.RawURLEncoding.DecodeString(d.credential)
	c := webauthn.Credential{ID: id, PublicKey: p.Key, Authenticator: webauthn.Authenticator{SignCount: p.Count}}
	c.Flags.BackupEligible = p.BackupEligible
	for _, t := range p.Transports {
		c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
	}
	return c, err
}

// askPasskey makes a challenge. Without devices any passkey of this site may answer
// it, so that the challenge tells nothing of anybody.
func (s *Service) askPasskey(devices []*factor) (text, challenge string, err error) {
	party, err := s.party()
	if err != nil {
		return "", "", err
	}
	var allowed []protocol.CredentialDescriptor
	for _, d := range devices {
		p, err := d.passkey(s.Key)
		if err != nil {
			return "", "", err
		}
		c, err := d.credentialOf(p)
		if err != nil {
			return "", "", err
		}
		allowed = append(allowed, c.Descriptor())
	}
	asked, session, err := party.BeginDiscoverableLogin(webauthn.WithAllowedCredentials(allowed))
	if err != nil {
		return "", "", err
	}
	text, err = optionsOf(asked)
	return text, session.Challenge, err
}

// answered is the id of the passkey that made an answer; errPasskey if it is none.
// Nothing is proved by it yet.
func answered(response string) (string, *protocol.ParsedCredentialAssertionData, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(response))
	if err != nil {
		return "", nil, errPasskey
	}
	return credentialID(parsed.RawID), parsed, nil
}

// checkPasskey says whether an answer is the one of a device to a challenge, and notes
// in the device what was learned. errPasskey if it is not.
func (s *Service) checkPasskey(d *factor, challenge string, parsed *protocol.ParsedCredentialAssertionData) error {
	if challenge == "" {
		return errPasskey
	}
	party, err := s.party()
	if err != nil {
		return err
	}
	p, err := d.passkey(s.Key)
	if err != nil {
		return err
	}
	c, err := d.credentialOf(p)
	if err != nil {
		return err
	}
	found, err := party.ValidateLogin(&holder{id: d.userID, credentials: []webauthn.Credential{c}}, s.ceremony(challenge, d.userID), parsed)
	if err != nil || found.Authenticator.CloneWarning { // a counter that goes back: two have the key
		return errPasskey
	}
	p.Count = found.Authenticator.SignCount
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return d.seal(s.Key, raw)
}

// offerPasskey makes a challenge to register a passkey. Those that the person has are
// not offered again.
func (s *Service) offerPasskey(who *holder, devices []*factor) (text, challenge string, err error) {
	party, err := s.party()
	if err != nil {
		return "", "", err
	}
	var have []protocol.CredentialDescriptor
	for _, d := range ofKind(devices, passkeyKind) {
		c, err := d.credentialOf(&passkey{})
		if err != nil {
			return "", "", err
		}
		have = append(have, c.Descriptor())
	}
	offer, session, err := party.BeginRegistration(who, webauthn.WithCredentialParameters(algorithms), webauthn.WithExclusions(have))
	if err != nil {
		return "", "", err
	}
	text, err = optionsOf(offer)
	return text, session.Challenge, err
}

// registerPasskey makes a device of what a browser made for a challenge. errPasskey if
// it does not fit.
func (s *Service) registerPasskey(who *holder, challenge, response, name string, now time.Time) (*factor, error) {
	if challenge == "" {
		return nil, errPasskey
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(response))
	if err != nil || attested(parsed) {
		return nil, errPasskey
	}
	party, err := s.party()
	if err != nil {
		return nil, err
	}
	c, err := party.CreateCredential(who, s.ceremony(challenge, who.id), parsed)
	if err != nil {
		return nil, errPasskey
	}
	d := newFactor(who.id, passkeyKind, name, now)
	d.credential = credentialID(c.ID)
	p := &passkey{Key: c.PublicKey, Count: c.Authenticator.SignCount, BackupEligible: c.Flags.BackupEligible}
	for _, t := range c.Transport[:min(len(c.Transport), 8)] {
		p.Transports = append(p.Transports, clip(string(t), 32))
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return d, d.seal(s.Key, raw)
}

// attested says whether a maker vouches for the authenticator. That was not asked for,
// and its formats are much that an attacker could speak to.
func attested(parsed *protocol.ParsedCredentialCreationData) bool {
	o := parsed.Response.AttestationObject
	_, certified := o.AttStatement["x5c"]
	return o.Format != "none" && (o.Format != "packed" || certified)
}
