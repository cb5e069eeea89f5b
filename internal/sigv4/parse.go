package sigv4

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	paramAlgorithm     = "X-Amz-Algorithm"
	paramCredential    = "X-Amz-Credential"
	paramDate          = "X-Amz-Date"
	paramExpires       = "X-Amz-Expires"
	paramSignedHeaders = "X-Amz-SignedHeaders"
	paramSignature     = "X-Amz-Signature"
	paramToken         = "X-Amz-Security-Token"
	paramContentHash   = "X-Amz-Content-Sha256"
)

// Parse reads the signature that a request claims, and refuses every request that could be read in two ways. It
// returns ErrUnsigned when there is none, neither in the Authorization header (another scheme, such as Bearer, is
// none) nor in the query; every other error is an *Error too. Parse reads no body and checks no time and no key.
func Parse(r *http.Request) (*Signature, error) {
	target, err := readTarget(r)
	if err != nil {
		return nil, err
	}
	query, inQuery, err := signatureParams(target.query)
	if err != nil {
		return nil, err
	}
	values := r.Header["Authorization"]
	switch {
	case len(values) > 1:
		return nil, refuse(Ambiguous, "more than one Authorization header")
	case len(values) == 1 && inQuery:
		return nil, refuse(Ambiguous, "authentication in both the Authorization header and the query")
	}
	s := &Signature{target: target}
	switch {
	case len(values) == 1:
		err = s.fromHeader(r, values[0])
	case inQuery:
		err = s.fromQuery(query)
	default:
		return nil, ErrUnsigned
	}
	if err != nil {
		return nil, err
	}
	if err := s.checkHeaders(r); err != nil {
		return nil, err
	}
	if err := s.readPayload(r, query[paramContentHash]); err != nil {
		return nil, err
	}
	return s, nil
}

// signatureParams picks the parameters of a presigned request. Any of them makes the request a presigned one, in
// whatever case its name is written: a misspelt one must not turn the signature off.
func signatureParams(query []param) (found map[string]string, inQuery bool, err error) {
	for _, p := range query {
		if len(p.name) < 6 || !strings.EqualFold(p.name[:6], "X-Amz-") {
			continue
		}
		for _, name := range [...]string{paramAlgorithm, paramCredential, paramDate, paramExpires,
			paramSignedHeaders, paramSignature, paramToken, paramContentHash} {
			if !strings.EqualFold(p.name, name) {
				continue
			}
			if p.name != name {
				return nil, false, refuse(MalformedQuery, "the parameter "+name+" is written in another case")
			}
			if _, twice := found[name]; twice {
				return nil, false, refuse(MalformedQuery, "the parameter "+name+" is there twice")
			}
			if found == nil {
				found = make(map[string]string, 8)
			}
			found[name] = p.value
			inQuery = true
		}
	}
	return found, inQuery, nil
}

func (s *Signature) fromHeader(r *http.Request, value string) error {
	if len(value) > maxAuthorization {
		return refuse(MalformedHeader, "the Authorization header is too long")
	}
	scheme, rest, _ := strings.Cut(value, " ")
	if scheme != Algorithm {
		if len(scheme) >= 3 && strings.EqualFold(scheme[:3], "AWS") {
			return refuse(Unsupported, "the algorithm is not "+Algorithm)
		}
		return ErrUnsigned
	}
	var credential, headers, signature string
	for part := range strings.SplitSeq(rest, ",") {
		name, v, ok := strings.Cut(strings.Trim(part, " "), "=")
		var dst *string
		switch name {
		case "Credential":
			dst = &credential
		case "SignedHeaders":
			dst = &headers
		case "Signature":
			dst = &signature
		}
		if !ok || dst == nil || v == "" {
			return refuse(MalformedHeader, "the Authorization header has a part that is not Credential, SignedHeaders or Signature")
		}
		if *dst != "" {
			return refuse(MalformedHeader, "the Authorization header names "+name+" twice")
		}
		*dst = v
	}
	date, err := one(r, "X-Amz-Date")
	if err != nil {
		return err
	}
	if s.Token, err = one(r, "X-Amz-Security-Token"); err != nil {
		return err
	}
	return s.set(MalformedHeader, credential, date, headers, signature)
}

func (s *Signature) fromQuery(query map[string]string) error {
	s.Presigned = true
	if algorithm, ok := query[paramAlgorithm]; ok && algorithm != Algorithm {
		return refuse(Unsupported, "the algorithm is not "+Algorithm)
	}
	for _, name := range [...]string{paramAlgorithm, paramCredential, paramDate, paramExpires, paramSignedHeaders, paramSignature} {
		if query[name] == "" {
			return refuse(MalformedQuery, "the parameter "+name+" is missing")
		}
	}
	expires := query[paramExpires]
	seconds, err := strconv.ParseUint(expires, 10, 31)
	s.Expires = time.Duration(seconds) * time.Second
	if err != nil || expires[0] == '+' || s.Expires < time.Second || s.Expires > MaxExpires {
		return refuse(MalformedQuery, "X-Amz-Expires is not a number of seconds from 1 to 604800")
	}
	s.Token = query[paramToken]
	return s.set(MalformedQuery, query[paramCredential], query[paramDate], query[paramSignedHeaders], query[paramSignature])
}

// set checks the form of the parts that both locations have.
func (s *Signature) set(reason Reason, credential, date, headers, signature string) error {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[4] != scopeEnd {
		return refuse(reason, "the credential is not AccessKeyId/date/region/service/aws4_request")
	}
	s.AccessKeyID, s.Date, s.Region, s.Service = parts[0], parts[1], parts[2], parts[3]
	if !word(s.AccessKeyID, maxAccessKeyID, "_") || !word(s.Region, 64, "-") || !word(s.Service, 64, "-_.") {
		return refuse(reason, "the credential has an empty, overlong or malformed part")
	}
	var err error
	if s.Time, err = time.Parse(timeFormat, date); err != nil || len(date) != len(timeFormat) {
		return refuse(reason, "X-Amz-Date is missing or not of the form YYYYMMDDTHHMMSSZ")
	}
	if s.Date != date[:8] {
		return refuse(reason, "the date of the credential is not the date of X-Amz-Date")
	}
	if len(signature) != 64 || !lowerHex(signature) {
		return refuse(reason, "the signature is not 64 lower-case hexadecimal digits")
	}
	s.signature = signature
	if len(s.Token) > maxToken {
		return refuse(reason, "the session token is too long")
	}
	s.SignedHeaders = strings.Split(headers, ";")
	if len(s.SignedHeaders) > maxSignedHeaders {
		return refuse(reason, "too many signed headers")
	}
	previous := ""
	for _, name := range s.SignedHeaders {
		if name <= previous || !headerName(name) {
			return refuse(reason, "the signed headers are not lower-case names in ascending order, each once")
		}
		previous = name
	}
	return nil
}

// one returns the value of a header that may stand in the request at most once.
func one(r *http.Request, name string) (string, error) {
	switch values := r.Header[name]; len(values) {
	case 0:
		return "", nil
	case 1:
		return strings.Trim(values[0], " \t"), nil
	}
	return "", refuse(MalformedHeader, "the header "+name+" is there twice")
}

func word(s string, limit int, extra string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') && strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= limit
}

func headerName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= 256
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}
