package sigv4

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Credential is what a client signs with. Token is the session token, empty for long-lived keys.
type Credential struct {
	AccessKeyID string
	Secret      string
	Token       string
}

// String names the key and hides the rest.
func (c Credential) String() string { return "sigv4.Credential(" + c.AccessKeyID + ")" }

// GoString hides what String hides.
func (c Credential) GoString() string { return c.String() }

// UnsignedPayload is the payload for Sign that leaves the body out of the signature (S3 only).
const UnsignedPayload = "UNSIGNED-PAYLOAD"

// Sign signs a client's request in its Authorization header, replacing what an earlier Sign left. payload is the
// SHA-256 of the body in hex, EmptyHash where there is none, or UnsignedPayload. All headers that are set by then
// are signed but those which net/http or a proxy may change.
func Sign(r *http.Request, c Credential, service, region string, now time.Time, payload string) error {
	_, err := sign(r, c, service, region, now, payload)
	return err
}

func sign(r *http.Request, c Credential, service, region string, now time.Time, payload string) (*Signature, error) {
	s, err := begin(r, c, service, region, now, payload)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Amz-Date", s.Time.Format(timeFormat))
	r.Header.Del("X-Amz-Security-Token")
	if c.Token != "" {
		r.Header.Set("X-Amz-Security-Token", c.Token)
	}
	if s3Dialect(service) {
		r.Header.Set("X-Amz-Content-Sha256", payload)
	}
	s.signAll(r)
	if err := s.finish(r, c); err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", Algorithm+" Credential="+c.AccessKeyID+"/"+s.scope()+
		", SignedHeaders="+strings.Join(s.SignedHeaders, ";")+", Signature="+s.signature)
	return s, nil
}

// Presign returns the request's URL with a signature in its query, valid for expires (whole seconds, at most
// MaxExpires) after now. The headers that are set on r are signed and must be sent. payload is as for Sign; for S3
// it is mostly UnsignedPayload.
func Presign(r *http.Request, c Credential, service, region string, now time.Time, expires time.Duration, payload string) (*url.URL, error) {
	if expires < time.Second || expires > MaxExpires || expires%time.Second != 0 {
		return nil, errors.New("sigv4: a presigned request lives 1 to 604800 whole seconds")
	}
	s, err := begin(r, c, service, region, now, payload)
	if err != nil {
		return nil, err
	}
	s.Presigned = true
	s.signAll(r)
	add := func(name, value string) { s.target.query = append(s.target.query, param{name, value}) }
	add(paramAlgorithm, Algorithm)
	add(paramCredential, c.AccessKeyID+"/"+s.scope())
	add(paramDate, s.Time.Format(timeFormat))
	add(paramExpires, strconv.FormatInt(int64(expires/time.Second), 10))
	add(paramSignedHeaders, strings.Join(s.SignedHeaders, ";"))
	if c.Token != "" {
		add(paramToken, c.Token)
	}
	if s3Dialect(service) && payload != UnsignedPayload && r.Header.Get(paramContentHash) == "" {
		add(paramContentHash, payload)
	}
	if err := s.finish(r, c); err != nil {
		return nil, err
	}
	u := *r.URL
	u.RawQuery = string(appendQuery(nil, s.target.query, true)) + "&" + paramSignature + "=" + s.signature
	return &u, nil
}

func begin(r *http.Request, c Credential, service, region string, now time.Time, payload string) (*Signature, error) {
	if c.AccessKeyID == "" || c.Secret == "" {
		return nil, errors.New("sigv4: no credential")
	}
	streaming := strings.HasPrefix(payload, "STREAMING-")
	if !(len(payload) == 64 && lowerHex(payload)) && !(s3Dialect(service) && (payload == UnsignedPayload || streaming)) {
		return nil, errors.New("sigv4: the payload is neither a SHA-256 in lower-case hex nor allowed for this service")
	}
	target, err := readTarget(r)
	if err != nil {
		return nil, err
	}
	now = now.UTC()
	return &Signature{
		AccessKeyID: c.AccessKeyID,
		Date:        now.Format("20060102"),
		Region:      region,
		Service:     service,
		Time:        now.Truncate(time.Second),
		contentHash: payload,
		target:      target,
	}, nil
}

// signAll signs every header but those that change on the way or are set after signing.
func (s *Signature) signAll(r *http.Request) {
	s.SignedHeaders = []string{"host"}
	for name := range r.Header {
		switch name = strings.ToLower(name); name {
		case "authorization", "user-agent", "expect", "connection", "transfer-encoding", "accept-encoding",
			"content-length", "x-amzn-trace-id":
		default:
			s.SignedHeaders = append(s.SignedHeaders, name)
		}
	}
	slices.Sort(s.SignedHeaders)
	s.SignedHeaders = slices.Compact(s.SignedHeaders)
}

func (s *Signature) finish(r *http.Request, c Credential) error {
	canonical, err := s.appendCanonical(nil, r, s.contentHash)
	if err != nil {
		return err
	}
	key := SigningKey(c.Secret, s.Date, s.Region, s.Service)
	s.signature = string(s.sign(key, canonical))
	return nil
}

func (s *Signature) scope() string { return string(s.appendScope(nil)) }
