package policy

import (
	"strings"

	"bawn.dev/internal/arn"
)

// An actionPattern matches actions without regard to case.
type actionPattern struct {
	all     bool     // "*"
	service string   // lower case; empty for "*:name"
	name    arn.Glob // lower case
	text    string   // as written
}

// compileAction reads "*" or "service:Name" with wildcards in the name. The
// second result says what is wrong, and is empty where nothing is.
func compileAction(s string) (actionPattern, string) {
	if s == "*" || s == "*:*" {
		return actionPattern{all: true, text: s}, ""
	}
	service, name, ok := strings.Cut(s, ":")
	if !ok || service == "" || name == "" {
		return actionPattern{}, `must be "*" or of the form service:Name, such as s3:GetObject`
	}
	for _, c := range []byte(service) {
		if c = lower(c); !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return actionPattern{}, "must name one service before the colon, without wildcards"
		}
	}
	for _, c := range []byte(name) {
		if c = lower(c); !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '*' || c == '?') {
			return actionPattern{}, "may hold letters, digits, * and ? after the colon"
		}
	}
	return actionPattern{service: fold(service), name: arn.CompileGlob(fold(name)), text: s}, ""
}

// action is a request's action, cut once for all statements.
type action struct {
	service string // lower case
	name    string
}

func cutAction(s string) (action, bool) {
	service, name, ok := strings.Cut(s, ":")
	return action{fold(service), name}, ok && service != "" && name != ""
}

func (p *actionPattern) match(a *action) bool {
	return p.all || p.service == a.service && p.name.MatchFold(a.name)
}

// matchAction says whether the statement speaks of the action.
func (s *statement) matchAction(a *action) bool {
	for i := range s.actions {
		if s.actions[i].match(a) {
			return !s.notAction
		}
	}
	return s.notAction
}
