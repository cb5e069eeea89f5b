package egress

import (
	"errors"
	"fmt"
	"net/http"
)

// Why a connection was cut or refused.
var (
	ErrRevoked  = errors.New("no rule admits this connection any more")
	ErrBudget   = errors.New("the rule's budget of bytes is spent")
	ErrIdle     = errors.New("nothing moved for a long time")
	ErrFronting = errors.New("the name inside differs from the name that was asked for")
	ErrClosed   = errors.New("the gateway is closed")
	ErrTooFast  = errors.New("too many connections at once from one source")
	ErrRecord   = errors.New("the connection cannot be recorded")
	ErrDial     = errors.New("the name cannot be reached")
	ErrForm     = errors.New("this is not a request that the gateway takes")
)

// Denied is Allow's answer when a connection is not to be. Groups are the security groups that a rule could be made for; with
// none it is something else that is in the way, and Why says it.
type Denied struct {
	Groups []string
	Why    string
}

// Error implements error.
func (d *Denied) Error() string {
	if d.Why != "" {
		return d.Why
	}
	return "no rule of its security groups admits this"
}

// advice is what a person needs who reads a refusal in a notebook.
func (d *Denied) advice(name string, port uint16) string {
	if len(d.Groups) == 0 && d.Why != "" {
		return fmt.Sprintf("%s:%d is not open to this workload: %s", name, port, d.Why)
	}
	group := "GROUP"
	if len(d.Groups) > 0 {
		group = d.Groups[0]
	}
	return fmt.Sprintf("%s:%d is not open to this workload: ask the operator for \"bawn egress allow --group %s %s:%d\"", name, port, group, name, port)
}

// told is the status and the words with which a workload is told why. It learns nothing of the machine's own troubles.
func told(err error, name string, port uint16) (status int, words string) {
	var denied *Denied
	switch {
	case errors.As(err, &denied):
		return http.StatusForbidden, denied.advice(name, port)
	case errors.Is(err, ErrBudget), errors.Is(err, ErrRevoked):
		return http.StatusForbidden, fmt.Sprintf("%s:%d: %v: ask the operator", name, port, err)
	case errors.Is(err, ErrForm):
		return http.StatusBadRequest, err.Error()
	case errors.Is(err, ErrTooFast):
		return http.StatusTooManyRequests, ErrTooFast.Error()
	case errors.Is(err, ErrDial):
		return http.StatusBadGateway, fmt.Sprintf("%s:%d cannot be reached", name, port)
	case errors.Is(err, ErrIdle):
		return http.StatusGatewayTimeout, fmt.Sprintf("%s:%d did not answer", name, port)
	}
	return http.StatusServiceUnavailable, "the gateway cannot serve this now"
}

// form is an ErrForm with its reason.
func form(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrForm, fmt.Sprintf(format, args...))
}
