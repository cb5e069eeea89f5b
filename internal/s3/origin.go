package s3

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// sharing finds the first rule that lets a page make a request, and writes it down as
// browsers read it. Unlike AWS's it never allows credentials: those of browsers are
// cookies, and no call here rests on one.
func (s *Service) sharing(_ context.Context, sn *store.Snapshot, q *api.CrossOrigin) (map[string]string, error) {
	if !plainName(q.Bucket) {
		return nil, nil
	}
	b, err := s.get(sn, q.Bucket)
	if err != nil || b == nil {
		return nil, err
	}
	for i := range b.origins {
		r := &b.origins[i]
		if origin := allowedOrigin(r, q.Origin); origin != "" && slices.Contains(r.AllowedMethods, q.Method) && allowsHeaders(r, q.Headers) {
			return written(r, q, origin), nil
		}
	}
	return nil, nil
}

// allowedOrigin is how the rule allows an origin: by name, or as any.
func allowedOrigin(r *s3.CORSRule, origin string) string {
	for _, pattern := range r.AllowedOrigins {
		if pattern == "*" {
			return "*"
		}
		if fits(pattern, origin) {
			return origin
		}
	}
	return ""
}

func allowsHeaders(r *s3.CORSRule, names []string) bool {
	for _, name := range names {
		if !headerName(name) || !slices.ContainsFunc(r.AllowedHeaders, func(p string) bool { return fitsHeader(p, name) }) {
			return false
		}
	}
	return true
}

// fits matches a pattern with at most one wildcard.
func fits(pattern, s string) bool {
	before, behind, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == s
	}
	return len(s) >= len(before)+len(behind) && strings.HasPrefix(s, before) && strings.HasSuffix(s, behind)
}

// fitsHeader is fits for names of headers, which have no case. Nobody in particular asks
// this, about many names: it copies nothing.
func fitsHeader(pattern, name string) bool {
	wild := strings.IndexByte(pattern, '*')
	if wild < 0 {
		return strings.EqualFold(pattern, name)
	}
	behind := len(pattern) - wild - 1
	return len(name) >= wild+behind && strings.EqualFold(pattern[:wild], name[:wild]) && strings.EqualFold(pattern[wild+1:], name[len(name)-behind:])
}

func written(r *s3.CORSRule, q *api.CrossOrigin, origin string) map[string]string {
	h := map[string]string{
		"Access-Control-Allow-Origin":  origin,
		"Access-Control-Allow-Methods": strings.Join(r.AllowedMethods, ", "),
		"Vary":                         "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
	}
	if len(r.ExposeHeaders) > 0 {
		h["Access-Control-Expose-Headers"] = strings.Join(r.ExposeHeaders, ", ")
	}
	if !q.Preflight {
		return h
	}
	if len(q.Headers) > 0 {
		h["Access-Control-Allow-Headers"] = strings.ToLower(strings.Join(q.Headers, ", "))
	}
	if r.MaxAgeSeconds != nil {
		h["Access-Control-Max-Age"] = strconv.Itoa(int(*r.MaxAgeSeconds))
	}
	return h
}
