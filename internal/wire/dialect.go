package wire

import (
	"net/http"

	"bawn.dev/internal/shape"
)

// dialect is how a service words the refusals that every service has.
type dialect struct {
	validation    string            // a constraint was broken
	serialization string            // the request could not be read
	unknown       string            // a parameter that AWS does not have
	refused       string            // a parameter that AWS has and that is not served
	noOperation   string            // no such operation
	common        map[string]string // its codes for the common ones
	noOpStatus    int
	refusedStatus int
	accessStatus  int // of AccessDenied
}

func (d *dialect) malformed(format string, args ...any) *Error {
	return Errorf(d.serialization, format, args...).WithStatus(http.StatusBadRequest)
}

func (d *dialect) unknownOperation(name string) *Error {
	return Errorf(d.noOperation, "The operation %s is not one that is served here.", clip(name, 200)).WithStatus(d.noOpStatus)
}

// notServed refuses a parameter by its name. known is AWS's name of the member, or "" if AWS has none such.
func (d *dialect) notServed(op, parameter, known string) *Error {
	if known == "" {
		return Errorf(d.unknown, "The parameter %s is not one of %s.", clip(parameter, 200), op).WithStatus(d.refusedStatus)
	}
	if known != parameter {
		parameter += " (" + known + ")"
	}
	return Errorf(d.refused, "The parameter %s of %s is not implemented.", clip(parameter, 200), op).WithStatus(d.refusedStatus)
}

func jsonDialect() *dialect {
	return &dialect{
		validation: "ValidationException", serialization: "SerializationException", unknown: "ValidationException",
		refused: "ValidationException", noOperation: "UnknownOperationException", noOpStatus: 400, refusedStatus: 400, accessStatus: 400,
		common: map[string]string{
			CodeAccessDenied: "AccessDeniedException", CodeServiceUnavailable: "ServiceUnavailableException",
			CodeThrottling: "ThrottlingException", CodeValidation: "ValidationException",
			CodeMissingAuthentication: "MissingAuthenticationTokenException", CodeInvalidClientToken: "UnrecognizedClientException",
			CodeIncompleteSignature: "IncompleteSignatureException", CodeSignatureMismatch: "InvalidSignatureException",
			CodeExpiredToken: "ExpiredTokenException", CodeRequestExpired: "InvalidSignatureException",
			CodeTimeSkewed: "InvalidSignatureException", CodeTooLarge: "RequestEntityTooLargeException",
		},
	}
}

func dialectOf(s *shape.Service) *dialect {
	switch s.Protocol {
	case shape.JSON:
		d := jsonDialect()
		switch s.Name {
		case "logs":
			d.validation = "InvalidParameterException"
		case "organizations":
			d.validation = "InvalidInputException"
		}
		d.common[CodeValidation] = d.validation
		return d
	case shape.RestJSON:
		d := jsonDialect()
		d.accessStatus, d.noOpStatus = http.StatusForbidden, http.StatusNotFound
		switch s.Name {
		case "sso":
			d.validation, d.serialization, d.unknown, d.refused = "InvalidRequestException", "InvalidRequestException", "InvalidRequestException", "InvalidRequestException"
			d.common[CodeThrottling] = "TooManyRequestsException"
		case "sso-oidc":
			d.common[CodeThrottling] = "SlowDownException"
			d.validation, d.serialization, d.unknown, d.refused = "InvalidRequestException", "InvalidRequestException", "InvalidRequestException", "InvalidRequestException"
		}
		d.common[CodeValidation] = d.validation
		return d
	case shape.Query:
		return &dialect{
			validation: CodeValidation, serialization: "MalformedInput", unknown: CodeValidation, refused: CodeValidation,
			noOperation: "InvalidAction", noOpStatus: 400, refusedStatus: 400, accessStatus: 403,
			common: map[string]string{CodeTimeSkewed: CodeSignatureMismatch, CodeRequestExpired: CodeSignatureMismatch},
		}
	case shape.EC2:
		return &dialect{
			validation: "InvalidParameterValue", serialization: "MalformedQueryString", unknown: "UnknownParameter",
			refused: "InvalidParameterValue", noOperation: "InvalidAction", noOpStatus: 400, refusedStatus: 400, accessStatus: 403,
			common: map[string]string{
				CodeAccessDenied: "UnauthorizedOperation", CodeInternalFailure: "InternalError", CodeServiceUnavailable: "Unavailable",
				CodeThrottling: "RequestLimitExceeded", CodeValidation: "InvalidParameterValue", CodeInvalidClientToken: "AuthFailure",
				CodeSignatureMismatch: "AuthFailure", CodeIncompleteSignature: "AuthFailure", CodeExpiredToken: "RequestExpired",
				CodeTimeSkewed: "RequestExpired",
			},
		}
	case shape.RestXML:
		return &dialect{
			validation: "InvalidArgument", serialization: "MalformedXML", unknown: "NotImplemented", refused: "NotImplemented",
			noOperation: "MethodNotAllowed", noOpStatus: 405, refusedStatus: 501, accessStatus: 403,
			common: map[string]string{
				CodeInternalFailure: "InternalError", CodeThrottling: "SlowDown", CodeValidation: "InvalidArgument",
				CodeMissingAuthentication: "AccessDenied", CodeInvalidClientToken: "InvalidAccessKeyId",
				CodeIncompleteSignature: "AuthorizationHeaderMalformed", CodeRequestExpired: "AccessDenied",
				CodeTooLarge: "EntityTooLarge",
			},
		}
	}
	return nil
}

// commonStatus is the HTTP status of a common code, or 0 for 400.
func commonStatus(code string) int {
	switch code {
	case CodeInternalFailure:
		return http.StatusInternalServerError
	case CodeServiceUnavailable:
		return http.StatusServiceUnavailable
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeMissingAuthentication, CodeInvalidClientToken, CodeSignatureMismatch, CodeExpiredToken, CodeRequestExpired, CodeTimeSkewed:
		return http.StatusForbidden
	}
	return 0
}

// spell gives an error's code and status in the service's own words.
func (s *service) spell(e *Error) (code string, status int) {
	code, status = e.Code, e.Status
	if own, ok := s.dialect.common[code]; ok {
		code = own
	}
	if status != 0 {
		return code, status
	}
	for _, known := range s.Errors {
		if (known.Code == e.Code || known.Name == e.Code) && known.Status != 0 && e.Code != CodeAccessDenied {
			return code, known.Status
		}
	}
	switch {
	case e.Code == CodeAccessDenied:
		return code, s.dialect.accessStatus
	case e.Code == CodeThrottling && s.Protocol == shape.RestXML, e.Code == CodeThrottling && s.Protocol == shape.EC2:
		return code, http.StatusServiceUnavailable
	case e.Code == CodeExpiredToken && s.Protocol == shape.RestXML:
		return code, http.StatusBadRequest
	case commonStatus(e.Code) >= 413 || commonStatus(e.Code) != 0 && s.Protocol != shape.JSON:
		return code, commonStatus(e.Code)
	case e.Server:
		return code, http.StatusInternalServerError
	}
	return code, http.StatusBadRequest
}

// clip shortens text that a caller sent before it goes into a message.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n]) + "..."
}
