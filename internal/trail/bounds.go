package trail

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/uuid"
)

// Limits on what one record holds. CloudTrail cuts long fields too; a call is
// never refused because its user agent is long, and no caller fills the disk.
const (
	maxName       = 256
	maxARN        = 2048
	maxText       = 1024
	maxJSON       = 16 << 10
	maxResources  = 256
	maxAttributes = 32
	maxEvent      = 256 << 10
)

// complete fills in what a record may leave out and bounds every field.
func (r *Record) complete() error {
	if r.EventID == "" {
		r.EventID = uuid.At(time.Now())
	}
	if r.EventTime.IsZero() {
		r.EventTime = time.Now().UTC()
	}
	if r.EventType == "" {
		r.EventType = "AwsApiCall"
	}
	if r.EventCategory == "" {
		r.EventCategory = "Management"
	}
	u := &r.UserIdentity
	for _, s := range []*string{&r.EventID, &r.SharedEventID, &r.RequestID, &r.ParentRequestID, &r.EventSource, &r.EventName,
		&r.Region, &r.Account, &r.SourceIP, &r.VpcEndpointID, &r.VpcEndpointAccountID, &r.ErrorCode,
		&r.EventType, &r.EventCategory, &r.TLS.Version, &r.TLS.CipherSuite, &r.TLS.Host,
		&u.Type, &u.PrincipalID, &u.AccountID, &u.AccessKeyID, &u.UserName, &u.InvokedBy, &u.IdentityProvider, &u.CredentialID} {
		bound(s, maxName)
	}
	bound(&r.UserAgent, maxText)
	bound(&r.ErrorMessage, maxText)
	bound(&u.ARN, maxARN)
	if s := u.SessionContext; s != nil {
		for _, x := range []*string{&s.SourceIdentity, &s.SessionIssuer.Type, &s.SessionIssuer.PrincipalID,
			&s.SessionIssuer.AccountID, &s.SessionIssuer.UserName} {
			bound(x, maxName)
		}
		bound(&s.SessionIssuer.ARN, maxARN)
		bound(&s.FederatedProvider, maxARN)
		s.Attributes = boundAttributes(s.Attributes)
	}
	if i := u.InScopeOf; i != nil {
		bound(&i.SourceARN, maxARN)
		bound(&i.SourceAccount, maxName)
		bound(&i.IssuerType, maxName)
		bound(&i.CredentialsIssuedTo, maxARN)
	}
	if p := u.OnBehalfOf; p != nil {
		bound(&p.UserID, maxName)
		bound(&p.IdentityStoreARN, maxARN)
	}
	if len(r.Resources) > maxResources {
		return fmt.Errorf("trail: %d resources in one record, %d at most", len(r.Resources), maxResources)
	}
	for i := range r.Resources {
		bound(&r.Resources[i].ARN, maxARN)
		bound(&r.Resources[i].Account, maxName)
		bound(&r.Resources[i].Type, maxName)
	}
	for _, v := range []*jsontext.Value{&r.RequestParameters, &r.ResponseElements, &r.AdditionalEventData} {
		if err := boundJSON(v); err != nil {
			return err
		}
	}
	if r.Account == "" || r.EventSource == "" || r.EventName == "" {
		return errors.New("trail: a record needs an account, an event source and an event name")
	}
	return nil
}

// bound makes a string valid UTF-8 without NUL (a database takes no other) and
// cuts it, visibly, to so many bytes.
func bound(s *string, limit int) {
	if !utf8.ValidString(*s) || strings.IndexByte(*s, 0) >= 0 {
		*s = strings.ReplaceAll(strings.ToValidUTF8(*s, "\uFFFD"), "\x00", "\uFFFD")
	}
	if len(*s) <= limit {
		return
	}
	end := limit - len("…")
	for !utf8.RuneStart((*s)[end]) {
		end--
	}
	*s = (*s)[:end] + "…"
}

// boundAttributes cuts names and values; of more than maxAttributes the first are kept.
func boundAttributes(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, min(len(m), maxAttributes))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if len(out) == maxAttributes {
			break
		}
		value := m[name]
		bound(&name, maxName)
		bound(&value, maxName)
		out[name] = value
	}
	return out
}

// boundJSON checks that a value is one JSON object. In one that is too long its longest
// members give way to notes of their length: who pads one hides no other.
func boundJSON(v *jsontext.Value) error {
	if len(*v) == 0 {
		*v = nil
		return nil
	}
	if !v.IsValid() || v.Kind() != '{' {
		return errors.New("trail: parameters, elements and additional data are JSON objects")
	}
	if bytes.ContainsAny(*v, "\r\n") { // an event is one line
		*v = bytes.Clone(*v)
		if err := v.Compact(); err != nil {
			return err
		}
	}
	if len(*v) > maxJSON {
		short, err := shortened(*v)
		if err != nil {
			return err
		}
		*v = short
	}
	return nil
}

func omitted(v jsontext.Value) jsontext.Value {
	return jsontext.Value(fmt.Sprintf(`{"omitted":true,"originalSize":%d,"reason":"too long"}`, len(v)))
}

// shortened is an object of at most maxJSON bytes: without its longest members or, if
// too many are short, without any.
func shortened(object jsontext.Value) (jsontext.Value, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(object))
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	var names, values []jsontext.Value
	for dec.PeekKind() != '}' {
		for _, list := range []*[]jsontext.Value{&names, &values} {
			v, err := dec.ReadValue()
			if err != nil {
				return nil, err
			}
			*list = append(*list, v.Clone())
		}
	}
	for size := len(object); size > maxJSON; {
		longest := 0
		for i, v := range values {
			if len(v) > len(values[longest]) {
				longest = i
			}
		}
		if len(values) == 0 {
			return omitted(object), nil
		}
		note := omitted(values[longest])
		if len(note) >= len(values[longest]) {
			return omitted(object), nil
		}
		size -= len(values[longest]) - len(note)
		values[longest] = note
	}
	short := jsontext.Value("{")
	for i, name := range names {
		if i > 0 {
			short = append(short, ',')
		}
		short = append(append(append(short, name...), ':'), values[i]...)
	}
	return append(short, '}'), nil
}
