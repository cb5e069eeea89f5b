package trail

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MarshalEvent gives CloudTrail's JSON of the record, on one line. Every call writes
// one: it is written out, member by member, in the order of the type event.
func (r *Record) MarshalEvent() ([]byte, error) { return r.appendEvent(make([]byte, 0, 1536)) }

func (r *Record) appendEvent(to []byte) ([]byte, error) {
	w := writer{buf: to}
	w.open()
	w.text("eventVersion", eventVersion)
	w.name("userIdentity")
	w.identity(&r.UserIdentity)
	w.time("eventTime", r.EventTime)
	w.text("eventSource", r.EventSource)
	w.text("eventName", r.EventName)
	w.text("awsRegion", r.Region)
	w.text("sourceIPAddress", r.SourceIP)
	w.text("userAgent", r.UserAgent)
	w.some("errorCode", r.ErrorCode)
	w.some("errorMessage", r.ErrorMessage)
	w.object("requestParameters", r.RequestParameters)
	w.object("responseElements", r.ResponseElements)
	if len(r.AdditionalEventData) > 0 {
		w.object("additionalEventData", r.AdditionalEventData)
	}
	w.text("requestID", r.RequestID)
	w.some("parentRequestID", r.ParentRequestID)
	w.text("eventID", r.EventID)
	w.some("sharedEventID", r.SharedEventID)
	w.flag("readOnly", r.ReadOnly)
	if len(r.Resources) > 0 {
		w.name("resources")
		w.buf = append(w.buf, '[')
		for i, x := range r.Resources {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.open()
			w.text("ARN", x.ARN)
			w.some("accountId", x.Account)
			w.some("type", x.Type)
			w.close()
		}
		w.buf = append(w.buf, ']')
	}
	w.text("eventType", r.EventType)
	w.flag("managementEvent", r.ManagementEvent)
	w.text("recipientAccountId", r.Account)
	w.some("vpcEndpointId", r.VpcEndpointID)
	w.some("vpcEndpointAccountId", r.VpcEndpointAccountID)
	w.text("eventCategory", r.EventCategory)
	if t := r.TLS; t != (TLS{}) {
		w.name("tlsDetails")
		w.open()
		w.some("tlsVersion", t.Version)
		w.some("cipherSuite", t.CipherSuite)
		w.some("clientProvidedHostHeader", t.Host)
		w.close()
	}
	w.close()
	return w.buf, w.err
}

// writer writes one JSON object. Its first error stays.
type writer struct {
	buf []byte
	err error
}

func (w *writer) open()  { w.buf = append(w.buf, '{') }
func (w *writer) close() { w.buf = append(w.buf, '}') }

// name begins a member. Names need no escaping.
func (w *writer) name(name string) {
	if w.buf[len(w.buf)-1] != '{' {
		w.buf = append(w.buf, ',')
	}
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '"', ':')
}

// chosen is text under a name that others chose.
func (w *writer) chosen(name, value string) {
	quoted, err := jsontext.AppendQuote(nil, name)
	if err != nil {
		w.err = errors.Join(w.err, err)
		return
	}
	w.text(string(quoted[1:len(quoted)-1]), value)
}

func (w *writer) text(name, value string) {
	w.name(name)
	if plain(value) {
		w.buf = append(w.buf, '"')
		w.buf = append(w.buf, value...)
		w.buf = append(w.buf, '"')
		return
	}
	buf, err := jsontext.AppendQuote(w.buf, value)
	if err != nil {
		w.err = errors.Join(w.err, err)
		return
	}
	w.buf = buf
}

// plain says that a string stands in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// some is text that is left out when it is empty.
func (w *writer) some(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func (w *writer) flag(name string, value bool) {
	w.name(name)
	w.buf = strconv.AppendBool(w.buf, value)
}

func (w *writer) time(name string, t time.Time) {
	w.name(name)
	w.buf = append(w.buf, '"')
	w.buf = t.UTC().AppendFormat(w.buf, stampFormat)
	w.buf = append(w.buf, '"')
}

// object is a value that complete has checked; null when there is none.
func (w *writer) object(name string, value jsontext.Value) {
	w.name(name)
	if len(value) == 0 {
		value = jsontext.Value("null")
	}
	w.buf = append(w.buf, value...)
}

func (w *writer) identity(u *UserIdentity) {
	w.open()
	w.text("type", u.Type)
	w.some("principalId", u.PrincipalID)
	w.some("arn", u.ARN)
	w.some("accountId", u.AccountID)
	w.some("accessKeyId", u.AccessKeyID)
	w.some("userName", u.UserName)
	if s := u.SessionContext; s != nil {
		w.name("sessionContext")
		w.open()
		if i := s.SessionIssuer; i != (SessionIssuer{}) {
			w.name("sessionIssuer")
			w.open()
			w.text("type", i.Type)
			w.text("principalId", i.PrincipalID)
			w.text("arn", i.ARN)
			w.text("accountId", i.AccountID)
			w.some("userName", i.UserName)
			w.close()
		}
		w.name("attributes")
		w.open()
		w.time("creationDate", s.CreationDate)
		w.text("mfaAuthenticated", strconv.FormatBool(s.MFA))
		w.close()
		if s.FederatedProvider != "" {
			w.name("webIdFederationData")
			w.open()
			w.text("federatedProvider", s.FederatedProvider)
			w.name("attributes")
			w.open()
			for _, name := range slices.Sorted(maps.Keys(s.Attributes)) {
				w.chosen(name, s.Attributes[name])
			}
			w.close()
			w.close()
		}
		w.some("sourceIdentity", s.SourceIdentity)
		w.close()
	}
	if p := u.OnBehalfOf; p != nil {
		w.name("onBehalfOf")
		w.open()
		w.text("userId", p.UserID)
		w.text("identityStoreArn", p.IdentityStoreARN)
		w.close()
	}
	w.some("invokedBy", u.InvokedBy)
	w.some("credentialId", u.CredentialID)
	w.some("identityProvider", u.IdentityProvider)
	if i := u.InScopeOf; i != nil {
		w.name("inScopeOf")
		w.open()
		w.some("sourceArn", i.SourceARN)
		w.some("sourceAccount", i.SourceAccount)
		w.some("issuerType", i.IssuerType)
		w.some("credentialsIssuedTo", i.CredentialsIssuedTo)
		w.close()
	}
	w.close()
}
