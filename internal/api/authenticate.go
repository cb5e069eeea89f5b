package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"bawn.dev/internal/sigv4"
)

// nobody is a secret that signs for no one: an unknown key is verified with it,
// so that it does not answer sooner than a wrong signature.
const nobody = "nobody-holds-this-secret"

// A signing key is what a secret gives for a day, a region and a service, and always
// the same.
type signing struct{ secret, date, region, service string }

const cachedSigning = 4096

// authenticate finds who signed a request and yields its body, of which no byte
// that the signature does not cover reaches a decoder. doc is nil for a stream.
func (d *Door) authenticate(ctx context.Context, c *Call, r *http.Request, sig *sigv4.Signature, doc *document) (io.Reader, error) {
	if c.op.credential.kind == open {
		return bytes.NewReader(doc.text), nil
	}
	secret, claim, err := d.credential(ctx, c, sig)
	unknown := errors.Is(err, ErrGone) || errors.Is(err, ErrExpired)
	if err != nil && !unknown {
		return nil, err
	}
	hash := ""
	if doc != nil {
		hash = doc.hash
	}
	day := signing{secret, sig.Date, sig.Region, sig.Service}
	key, kept := d.signing.Get(day, 0)
	if !kept {
		key = sigv4.SigningKey(secret, sig.Date, sig.Region, sig.Service)
	}
	verified := sig.VerifyWithKey(r, key, c.Now, hash)
	c.suspect = claim
	if unknown {
		return nil, err
	}
	if verified != nil {
		return nil, verified
	}
	if !kept {
		d.signing.Put(day, 0, key) // of those who hold the secret only
	}
	c.signature = sig
	if c.subject, err = d.Authorizer.Subject(ctx, c.Snapshot, claim); err != nil {
		return nil, err
	}
	c.Account = c.subject.Principal.Account
	if d.Used != nil {
		d.Used(claim, c.service.Prefix, c.Now)
	}
	if doc != nil {
		return bytes.NewReader(doc.text), nil
	}
	limit := int64(maxBody)
	if c.model.StreamingIn {
		limit = maxStream
	}
	body, err := sig.Body(r, key, sigv4.BodyOptions{MaxBytes: limit, AllowUnsigned: c.origin.TLS || c.origin.Loopback()})
	if err != nil {
		return nil, err
	}
	c.body = body
	return body, nil
}

// credential asks the source that the key id's prefix names. Of one that is no longer
// good it may still tell whose it was.
func (d *Door) credential(ctx context.Context, c *Call, sig *sigv4.Signature) (string, Claim, error) {
	if len(sig.AccessKeyID) < 16 {
		return nobody, Claim{}, ErrGone
	}
	source := d.Credentials[sig.AccessKeyID[:4]]
	if source == nil {
		return nobody, Claim{}, ErrGone
	}
	secret, claim, err := source.Credential(ctx, c.Snapshot, sig.AccessKeyID, sig.Token, c.Now)
	if err != nil || secret == "" {
		if err != nil && !errors.Is(err, ErrGone) && !errors.Is(err, ErrExpired) {
			return nobody, Claim{}, err // ours, and to be logged
		}
		secret, err = nobody, errors.Join(err, ErrGone)
	}
	if claim.ID != "" { // what nobody holds may be anything, a secret that was mistaken for it too
		claim.AccessKeyID = sig.AccessKeyID
	}
	return secret, claim, err
}

// signedHere says whether a credential scope's region is ours. Clients sign for
// global services in us-east-1, wherever they are.
func (d *Door) signedHere(region string) bool { return region == d.Region || region == "us-east-1" }
