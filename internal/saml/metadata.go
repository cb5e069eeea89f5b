package saml

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// Metadata describes one identity provider.
type Metadata struct {
	EntityID   string
	ValidUntil time.Time // zero where the document does not say
	// SignOn is where people are sent with a request in the address; empty where the
	// provider has no such place.
	SignOn string
	// WantsSigned says that the provider takes requests only when they are signed.
	WantsSigned bool

	keys []crypto.PublicKey // that sign
}

const (
	maxEntityID = 1024
	maxKeys     = 32
)

// ParseMetadata reads the EntityDescriptor of an identity provider, at most
// MaxMetadata bytes. Of each certificate it takes the key: as with AWS, its names
// and dates say nothing. The document's own signature, if it has one, is not
// looked at, since whoever uploads it answers for it.
func ParseMetadata(document []byte) (*Metadata, error) {
	root, err := parse(document, MaxMetadata)
	if err != nil {
		return nil, err
	}
	if !is(root, nsMetadata, "EntityDescriptor") {
		return nil, refuse(Malformed, "the metadata is no EntityDescriptor")
	}
	md := &Metadata{EntityID: attr(root, "entityID")}
	if md.EntityID == "" || len(md.EntityID) > maxEntityID {
		return nil, refuse(Malformed, "entityID must have 1 to %d characters", maxEntityID)
	}
	idp, err := needed(root, nsMetadata, "IDPSSODescriptor")
	if err != nil {
		return nil, err
	}
	if !slices.Contains(strings.Fields(attr(idp, "protocolSupportEnumeration")), nsProtocol) {
		return nil, refuse(Malformed, "the provider does not speak SAML 2.0")
	}
	for _, e := range []*etree.Element{root, idp} {
		until, err := moment(e, "validUntil")
		if err != nil {
			return nil, err
		}
		if !until.IsZero() && (md.ValidUntil.IsZero() || until.Before(md.ValidUntil)) {
			md.ValidUntil = until
		}
	}
	wants := attr(idp, "WantAuthnRequestsSigned")
	md.WantsSigned = wants == "true" || wants == "1"
	for _, e := range children(idp, nsMetadata, "SingleSignOnService") {
		if attr(e, "Binding") == redirectBinding && md.SignOn == "" {
			md.SignOn = attr(e, "Location")
		}
	}
	for _, k := range children(idp, nsMetadata, "KeyDescriptor") {
		switch attr(k, "use") {
		case "", "signing":
		case "encryption":
			continue
		default:
			return nil, refuse(Malformed, "a KeyDescriptor is for neither signing nor encryption")
		}
		if err := md.addKeys(k); err != nil {
			return nil, err
		}
	}
	if len(md.keys) == 0 {
		return nil, refuse(Malformed, "the metadata has no certificate that signs")
	}
	return md, nil
}

func (md *Metadata) addKeys(descriptor *etree.Element) error {
	info, err := needed(descriptor, nsSignature, "KeyInfo")
	if err != nil {
		return err
	}
	for _, data := range children(info, nsSignature, "X509Data") {
		for _, c := range children(data, nsSignature, "X509Certificate") {
			key, err := certified(c)
			if err != nil {
				return err
			}
			if md.keys = append(md.keys, key); len(md.keys) > maxKeys {
				return refuse(Malformed, "the metadata has more than %d certificates", maxKeys)
			}
		}
	}
	return nil
}

func certified(e *etree.Element) (crypto.PublicKey, error) {
	encoded, _ := text(e)
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), ""))
	if err != nil {
		return nil, refuse(Malformed, "an X509Certificate is not base64")
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, refuse(Malformed, "an X509Certificate cannot be read")
	}
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits >= 2048 && bits <= 8192 {
			return key, nil
		}
		return nil, refuse(Malformed, "an RSA key has %d bits; 2048 to 8192 are good", key.N.BitLen())
	case *ecdsa.PublicKey:
		if slices.Contains([]elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}, key.Curve) {
			return key, nil
		}
	}
	return nil, refuse(Malformed, "a certificate's key is neither RSA nor ECDSA on P-256, P-384 or P-521")
}
