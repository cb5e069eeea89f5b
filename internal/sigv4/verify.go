package sigv4

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"time"
)

// Verify checks that the request was signed with secret, at a time that is valid now. bodyHash is the hash of the
// body in hex (see ReadBody), or empty if the body has not been read; PayloadComputed needs it, and where the
// request states a hash the two must be equal. Who passes an empty one reads the body through Body.
func (s *Signature) Verify(r *http.Request, secret string, now time.Time, bodyHash string) error {
	if secret == "" {
		return errors.New("sigv4: no secret to verify with")
	}
	return s.VerifyWithKey(r, SigningKey(secret, s.Date, s.Region, s.Service), now, bodyHash)
}

// VerifyWithKey is Verify for a caller that keeps the SigningKey of the secret and of s.Date, s.Region and
// s.Service.
func (s *Signature) VerifyWithKey(r *http.Request, key []byte, now time.Time, bodyHash string) error {
	s.verified = false
	if s.Payload == 0 || len(key) != sha256.Size {
		return errors.New("sigv4: no signature from Parse, or no signing key")
	}
	if err := s.checkTime(now); err != nil {
		return err
	}
	hash := s.contentHash
	if s.Payload == PayloadComputed {
		if hash = bodyHash; len(hash) != 64 {
			return errors.New("sigv4: this signature needs the hash of the body")
		}
	}
	canonical, err := s.appendCanonical(make([]byte, 0, 2048), r, hash)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(s.sign(key, canonical), []byte(s.signature)) != 1 {
		return refuse(Mismatch, "the signature does not match")
	}
	if s.Payload == PayloadHash && bodyHash != "" && bodyHash != hash {
		return refuse(BodyMismatch, "the body is not the one whose hash was signed")
	}
	s.verified = true
	return nil
}

// checkTime comes before the signature, as with AWS: a stale request is told so.
func (s *Signature) checkTime(now time.Time) error {
	if now.Before(s.Time.Add(-MaxSkew)) {
		return refuse(Skewed, "the request is signed for a time in the future")
	}
	if s.Presigned {
		if now.After(s.Time.Add(s.Expires)) {
			return refuse(Expired, "the presigned request has expired")
		}
	} else if now.After(s.Time.Add(MaxSkew)) {
		return refuse(Skewed, "the request was signed too long ago")
	}
	return nil
}

// ReadBody reads the whole body, at most limit bytes, and returns it with the hash that Verify wants. A longer body
// is an *Error with reason BodyTooLarge.
func ReadBody(r *http.Request, limit int64) (body []byte, hash string, err error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, EmptyHash, nil
	}
	if r.ContentLength > limit {
		return nil, "", refuse(BodyTooLarge, "the body is too large")
	}
	var read bytes.Buffer
	if r.ContentLength > 0 { // as stated, unless that is much: nothing of it has come yet
		read.Grow(int(min(r.ContentLength, 16<<10)) + bytes.MinRead)
	}
	_, err = read.ReadFrom(io.LimitReader(r.Body, limit+1))
	body = read.Bytes()
	if err != nil {
		return nil, "", err
	}
	if int64(len(body)) > limit {
		return nil, "", refuse(BodyTooLarge, "the body is too large")
	}
	sum := sha256.Sum256(body)
	return body, hex.EncodeToString(sum[:]), nil
}
