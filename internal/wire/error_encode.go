package wire

import (
	"net/http"
	"slices"
	"strconv"

	"bawn.dev/internal/shape"
)

// EncodeError writes a refusal or failure in the service's form. Common codes become the service's own. It works on every Match,
// also one that came with an error.
func (m *Match) EncodeError(w http.ResponseWriter, requestID string, e *Error) {
	code, status := m.service.spell(e)
	h := w.Header()
	m.requestID(h, requestID)
	for name, value := range e.Header {
		h.Set(name, value)
	}
	if m.service.Protocol == shape.JSON || m.service.Protocol == shape.RestJSON {
		h.Set("X-Amzn-Errortype", code)
	}
	body, contentType := m.errorBody(requestID, code, status, e)
	if m.head || status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// A client that went away has no use for the rest.
	_, _ = w.Write(body)
}

func (m *Match) errorBody(requestID, code string, status int, e *Error) ([]byte, string) {
	x := &xmlWriter{service: m.service}
	switch m.service.Protocol {
	case shape.Query:
		x.open("ErrorResponse", m.service.XMLNamespace)
		x.open("Error", "")
		kind := "Sender"
		if status >= 500 {
			kind = "Receiver"
		}
		x.leaf("Type", kind)
		x.leaf("Code", code)
		x.leaf("Message", e.Message)
		x.fields(e)
		x.close("Error")
		x.leaf("RequestId", requestID)
		x.close("ErrorResponse")
		return x.buf, "text/xml"
	case shape.EC2:
		x.buf = append(x.buf, xmlHeader...)
		x.open("Response", "")
		x.open("Errors", "")
		x.open("Error", "")
		x.leaf("Code", code)
		x.leaf("Message", e.Message)
		x.fields(e)
		x.close("Error")
		x.close("Errors")
		x.leaf("RequestID", requestID)
		x.close("Response")
		return x.buf, "text/xml"
	case shape.RestXML:
		x.buf = append(x.buf, xmlHeader...)
		control := m.service.Name == s3Control // whose clients look for the error inside an answer
		if control {
			x.open("ErrorResponse", controlNamespace)
		}
		x.open("Error", "")
		x.leaf("Code", code)
		x.leaf("Message", e.Message)
		x.fields(e)
		x.leaf("RequestId", requestID)
		x.leaf("HostId", hostID(requestID))
		x.close("Error")
		if control {
			x.leaf("RequestId", requestID)
			x.close("ErrorResponse")
		}
		return x.buf, "application/xml"
	}
	return m.jsonError(code, e)
}

func (x *xmlWriter) fields(e *Error) {
	for _, name := range fieldNames(e) {
		x.leaf(name, e.Fields[name])
	}
}

func fieldNames(e *Error) []string {
	names := make([]string, 0, len(e.Fields))
	for name := range e.Fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (m *Match) jsonError(code string, e *Error) ([]byte, string) {
	j := &jsonWriter{buf: []byte{'{'}}
	member := func(name, text string) {
		mark := len(j.buf)
		if j.name(name) != nil || j.quote(text, 0) != nil {
			j.buf = j.buf[:mark] // text that is not UTF-8 is left out rather than the whole refusal
		}
	}
	contentType := "application/json"
	if m.service.Protocol == shape.JSON {
		contentType = m.jsonType()
		member("__type", code)
	}
	message := "message"
	if known := m.service.Errors[code]; known != nil && known.Message != "" {
		message = known.Message
	}
	if m.service.Name == "sso-oidc" && e.Fields["error"] == "" {
		// OAuth's own two members (RFC 6749, section 5.2) are what this service's errors consist of.
		member("error", oauthCode(code))
		member("error_description", e.Message)
	}
	member(message, e.Message)
	for _, name := range fieldNames(e) {
		member(name, e.Fields[name])
	}
	return append(j.buf, '}'), contentType
}

// oauthCode is OAuth's name of an error of the token service.
func oauthCode(code string) string {
	switch code {
	case "InvalidClientException":
		return "invalid_client"
	case "InvalidGrantException":
		return "invalid_grant"
	case "UnauthorizedClientException":
		return "unauthorized_client"
	case "UnsupportedGrantTypeException":
		return "unsupported_grant_type"
	case "InvalidScopeException":
		return "invalid_scope"
	case "AccessDeniedException":
		return "access_denied"
	case "ExpiredTokenException":
		return "expired_token"
	case "SlowDownException":
		return "slow_down"
	case "AuthorizationPendingException":
		return "authorization_pending"
	case "InternalServerException", CodeInternalFailure:
		return "server_error"
	}
	return "invalid_request"
}
