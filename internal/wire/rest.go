package wire

import (
	"net/http"
	"net/url"
	"strings"

	"bawn.dev/internal/shape"
)

// route is a REST operation's path and fixed query, taken apart.
type route struct {
	segments []string // "{Name}" takes one segment, "{Name+}" all that follow
	fixed    map[string]string
	args     map[string]bool // members that travel in the query string: whether they are required
	headers  map[string]bool // headers of required members
}

func parseRoute(op *shape.Operation) route {
	text, query, _ := strings.Cut(op.URI, "?")
	rt := route{fixed: map[string]string{}, args: map[string]bool{}, headers: map[string]bool{}}
	for i := range op.Input.Fields {
		switch f := &op.Input.Fields[i]; {
		case f.Location == shape.QueryString:
			rt.args[f.Wire] = f.Required
		case f.Location == shape.Header && f.Required:
			rt.headers[f.Wire] = true
		}
	}
	for part := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(part, "="); name != "" {
			rt.fixed[name] = value
		}
	}
	for seg := range strings.SplitSeq(strings.Trim(text, "/"), "/") {
		if seg != "" {
			rt.segments = append(rt.segments, seg)
		}
	}
	return rt
}

func label(segment string) (name string, greedy, ok bool) {
	if !strings.HasPrefix(segment, "{") || !strings.HasSuffix(segment, "}") {
		return "", false, false
	}
	name = segment[1 : len(segment)-1]
	if n, more := strings.CutSuffix(name, "+"); more {
		return n, true, true
	}
	return name, false, true
}

// fits matches an escaped path and returns its labels, unescaped.
func (rt route) fits(escaped string) (map[string]string, bool) {
	parts := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	if len(parts) == 1 && parts[0] == "" {
		parts = nil
	}
	labels := map[string]string{}
	for i, seg := range rt.segments {
		if i >= len(parts) {
			return nil, false
		}
		name, greedy, isLabel := label(seg)
		text := parts[i]
		if greedy {
			text = strings.Join(parts[i:], "/")
			parts = parts[:i+1]
		}
		value, err := url.PathUnescape(text)
		if err != nil || value == "" {
			return nil, false
		}
		if !isLabel {
			if value != seg {
				return nil, false
			}
			continue
		}
		labels[name] = value
	}
	return labels, len(parts) == len(rt.segments)
}

// findREST matches method, path and query. Of two operations the one whose query says more is meant.
func (r *Router) findREST(m *Match, req *http.Request, candidates []*service) (*operation, error) {
	query := req.URL.Query()
	control := isControl(req)
	var found *operation
	for _, s := range candidates {
		if !s.routed(control) {
			continue
		}
		for _, op := range s.ordered {
			if op.Method != req.Method || found != nil && len(found.route.fixed) >= len(op.route.fixed) {
				continue
			}
			if labels, ok := op.route.fits(req.URL.EscapedPath()); ok && op.route.fixedIn(query) {
				found, m.service, m.labels = op, s, labels
			}
		}
	}
	if found != nil {
		return found, nil
	}
	for _, s := range candidates {
		if s.Protocol == shape.RestXML && control == (s.Name == s3Control) {
			m.service = s
			if control {
				return nil, nil
			}
			return r.findS3(m, req, s, query)
		}
	}
	return nil, nil
}

func (rt route) fixedIn(query url.Values) bool {
	for name, value := range rt.fixed {
		if got := query[name]; len(got) != 1 || got[0] != value {
			return false
		}
	}
	return true
}
