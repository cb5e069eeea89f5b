package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"bawn.dev/internal/sigv4"
)

// maxBody bounds the input of every operation that does not stream. AWS's own
// bounds are lower or equal; S3's configuration documents are the largest.
const maxBody = 2 << 20

// maxStream bounds a streamed input: AWS's largest object in one part, 5 GiB.
const maxStream = 5 << 30

// nobody is a secret that signs for no one: an unknown key is verified with it,
// so that it does not answer sooner than a wrong signature.
const nobody = "nobody-holds-this-secret"

// authenticate finds who signed a request and yields its body, of which no byte
// that the signature does not cover reaches a decoder.
func (d *Door) authenticate(ctx context.Context, c *Call, r *http.Request, sig *sigv4.Signature, sigErr error) (io.Reader, error) {
	if c.op.credential.kind == open {
		return http.MaxBytesReader(nil, r.Body, maxBody), nil
	}
	if sigErr != nil {
		return nil, sigErr
	}
	if sig.Service != c.service.Model.SigningName || !d.signedHere(sig.Region) {
		return nil, errScope
	}
	secret, claim, err := d.credential(ctx, c, sig)
	unknown := errors.Is(err, ErrGone) || errors.Is(err, ErrExpired)
	if err != nil && !unknown {
		return nil, err
	}
	streams := c.model.StreamingIn || sig.Payload.Streaming()
	var raw []byte
	var hash string
	if !streams {
		var readErr error
		if raw, hash, readErr = sigv4.ReadBody(r, maxBody); readErr != nil {
			return nil, readErr
		}
	}
	key := sigv4.SigningKey(secret, sig.Date, sig.Region, sig.Service)
	verified := sig.VerifyWithKey(r, key, c.Now, hash)
	if unknown {
		return nil, err
	}
	c.suspect = claim
	if verified != nil {
		return nil, verified
	}
	c.signature = sig
	if c.subject, err = d.Authorizer.Subject(ctx, c.Snapshot, claim); err != nil {
		return nil, err
	}
	c.Account = c.subject.Principal.Account
	if !streams {
		return bytes.NewReader(raw), nil
	}
	limit := int64(maxBody)
	if c.model.StreamingIn {
		limit = maxStream
	}
	body, err := sig.Body(r, key, sigv4.BodyOptions{MaxBytes: limit, AllowUnsigned: true})
	if err != nil {
		return nil, err
	}
	c.body = body
	return body, nil
}

// credential asks the source that the key id's prefix names.
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
		return nobody, Claim{}, errors.Join(err, ErrGone)
	}
	claim.AccessKeyID = sig.AccessKeyID
	return secret, claim, nil
}

// signedHere says whether a credential scope's region is ours. Clients sign for
// global services in us-east-1, wherever they are.
func (d *Door) signedHere(region string) bool { return region == d.Region || region == "us-east-1" }
