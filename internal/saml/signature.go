package saml

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes that are good
	_ "crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"
)

const (
	exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	enveloped = nsSignature + "enveloped-signature"
	more      = "http://www.w3.org/2001/04/xmldsig-more#"
	encrypted = "http://www.w3.org/2001/04/xmlenc#"
)

// digests and methods are the algorithms that are good. SHA-1, and keys that both
// sides share, are not.
var digests = map[string]crypto.Hash{
	encrypted + "sha256": crypto.SHA256, more + "sha384": crypto.SHA384, encrypted + "sha512": crypto.SHA512,
}

type method struct {
	hash     crypto.Hash
	elliptic bool
}

var methods = map[string]method{
	more + "rsa-sha256": {crypto.SHA256, false}, more + "rsa-sha384": {crypto.SHA384, false}, more + "rsa-sha512": {crypto.SHA512, false},
	more + "ecdsa-sha256": {crypto.SHA256, true}, more + "ecdsa-sha384": {crypto.SHA384, true}, more + "ecdsa-sha512": {crypto.SHA512, true},
}

// opened verifies the one signature directly below e, which must be over e, and
// answers what was signed: e without that signature, parsed anew from the bytes
// that the digest was taken of. It never looks for an element by its ID, so a
// signature says nothing of any other element.
func opened(e *etree.Element, keys []crypto.PublicKey) (*etree.Element, error) {
	signature, err := needed(e, nsSignature, "Signature")
	if err != nil {
		return nil, err
	}
	for _, c := range signature.ChildElements() {
		if !is(c, nsSignature, "SignedInfo") && !is(c, nsSignature, "SignatureValue") && !is(c, nsSignature, "KeyInfo") {
			return nil, refuse(Unproven, "a Signature has a %s", c.Tag)
		}
	}
	info, err := needed(signature, nsSignature, "SignedInfo")
	if err != nil {
		return nil, err
	}
	canonical, err := canonicalized(info, "")
	if err != nil {
		return nil, err
	}
	if info, err = parse(canonical, MaxResponse); err != nil {
		return nil, err
	}
	if err := verifyInfo(info, canonical, signature, keys); err != nil {
		return nil, err
	}
	return referenced(e, info)
}

// canonicalized is the exclusive canonical form of an element in its place,
// without comments.
func canonicalized(e *etree.Element, prefixes string) ([]byte, error) {
	context, err := etreeutils.NSBuildParentContext(e)
	if err != nil {
		return nil, refuse(Malformed, "the document's namespaces are wrong")
	}
	detached, err := etreeutils.NSDetatch(context, e)
	if err != nil {
		return nil, refuse(Malformed, "the document's namespaces are wrong, or it has too many elements")
	}
	text, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(prefixes).Canonicalize(detached)
	if err != nil {
		return nil, refuse(Malformed, "the document's namespaces are wrong")
	}
	return text, nil
}

// algorithm is the Algorithm of the one element of a name below e, which must have
// no parameters.
func algorithm(e *etree.Element, name string) (string, error) {
	c, err := needed(e, nsSignature, name)
	if err != nil {
		return "", err
	}
	if len(c.ChildElements()) > 0 {
		return "", refuse(Unproven, "%s has parameters", name)
	}
	return attr(c, "Algorithm"), nil
}

// verifyInfo checks that one of the keys signed the canonical SignedInfo.
func verifyInfo(info *etree.Element, canonical []byte, signature *etree.Element, keys []crypto.PublicKey) error {
	form, err := algorithm(info, "CanonicalizationMethod")
	if err != nil {
		return err
	}
	if form != exclusive {
		return refuse(Unproven, "the canonical form of a signature is not %s", exclusive)
	}
	name, err := algorithm(info, "SignatureMethod")
	if err != nil {
		return err
	}
	m, ok := methods[name]
	if !ok {
		return refuse(Unproven, "the signature's algorithm is not good enough or unknown")
	}
	element, err := needed(signature, nsSignature, "SignatureValue")
	if err != nil {
		return err
	}
	value, err := decoded(element)
	if err != nil {
		return err
	}
	h := m.hash.New()
	h.Write(canonical)
	sum := h.Sum(nil)
	for _, key := range keys {
		switch key := key.(type) {
		case *rsa.PublicKey:
			if !m.elliptic && rsa.VerifyPKCS1v15(key, m.hash, sum, value) == nil {
				return nil
			}
		case *ecdsa.PublicKey:
			if m.elliptic && verifyECDSA(key, sum, value) {
				return nil
			}
		}
	}
	return refuse(Unproven, "no key of the provider made the signature")
}

// verifyECDSA takes a signature as XML writes it: two numbers of the curve's size.
func verifyECDSA(key *ecdsa.PublicKey, sum, value []byte) bool {
	size := (key.Curve.Params().BitSize + 7) / 8
	if len(value) != 2*size {
		return false
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(value[:size]), new(big.Int).SetBytes(value[size:])})
	return err == nil && ecdsa.VerifyASN1(key, sum, der)
}

// referenced checks that the signed info is of e, and nothing else, and answers what
// it is of.
func referenced(e, info *etree.Element) (*etree.Element, error) {
	reference, err := needed(info, nsSignature, "Reference")
	if err != nil {
		return nil, err
	}
	id := attr(e, "ID")
	if id == "" || attr(reference, "URI") != "#"+id {
		return nil, refuse(Unproven, "the signature in a %s is not over it", e.Tag)
	}
	prefixes, err := transforms(reference)
	if err != nil {
		return nil, err
	}
	name, err := algorithm(reference, "DigestMethod")
	if err != nil {
		return nil, err
	}
	hash, ok := digests[name]
	if !ok {
		return nil, refuse(Unproven, "the digest's algorithm is not good enough or unknown")
	}
	element, err := needed(reference, nsSignature, "DigestValue")
	if err != nil {
		return nil, err
	}
	want, err := decoded(element)
	if err != nil {
		return nil, err
	}
	canonical, err := withoutSignature(e, prefixes)
	if err != nil {
		return nil, err
	}
	h := hash.New()
	h.Write(canonical)
	if !bytes.Equal(h.Sum(nil), want) {
		return nil, refuse(Unproven, "the %s was changed after it was signed", e.Tag)
	}
	return parse(canonical, MaxResponse)
}

func withoutSignature(e *etree.Element, prefixes string) ([]byte, error) {
	signature, err := needed(e, nsSignature, "Signature")
	if err != nil {
		return nil, err
	}
	at := signature.Index()
	e.RemoveChildAt(at)
	defer e.InsertChildAt(at, signature)
	return canonicalized(e, prefixes)
}

// transforms are the two that SAML knows, in their order. It answers the prefixes
// that the canonical form keeps although they look unused.
func transforms(reference *etree.Element) (prefixes string, err error) {
	list, err := needed(reference, nsSignature, "Transforms")
	if err != nil {
		return "", err
	}
	all := list.ChildElements()
	if len(all) != 2 || !is(all[0], nsSignature, "Transform") || !is(all[1], nsSignature, "Transform") ||
		attr(all[0], "Algorithm") != enveloped || attr(all[1], "Algorithm") != exclusive || len(all[0].ChildElements()) > 0 {
		return "", refuse(Unproven, "a signature's transforms are other than enveloped-signature and exclusive canonical form")
	}
	for _, c := range all[1].ChildElements() {
		if !is(c, exclusive, "InclusiveNamespaces") || prefixes != "" {
			return "", refuse(Unproven, "a transform has parameters that are unknown")
		}
		prefixes = attr(c, "PrefixList")
	}
	return prefixes, nil
}

func decoded(e *etree.Element) ([]byte, error) {
	s, ok := text(e)
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil || !ok {
		return nil, refuse(Malformed, "%s is not base64", e.Tag)
	}
	return b, nil
}
