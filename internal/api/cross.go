package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"bawn.dev/internal/netlimit"
	"bawn.dev/internal/sigv4"
	"bawn.dev/internal/store"
)

// A CrossOrigin is what a browser says of a request that a page of another site makes.
type CrossOrigin struct {
	Bucket    string
	Origin    string
	Method    string
	Headers   []string // that the page sets, of a preflight
	Preflight bool
}

// Sharing answers which headers let a browser show an answer to the page that asked
// for it, or nil: it shall not. It decides nothing about the request itself.
type Sharing func(ctx context.Context, sn *store.Snapshot, q *CrossOrigin) (map[string]string, error)

// maxAsked bounds the headers that a preflight asks about.
const maxAsked = 50

// share adds the headers to whatever the call will be answered. It says nothing of
// credentials: a page gets no more than it could sign for by itself.
func (d *Door) share(ctx context.Context, w http.ResponseWriter, r *http.Request, c *Call) error {
	origin := r.Header.Get("Origin")
	if c.service.Sharing == nil || origin == "" {
		return nil
	}
	headers, err := d.shared(ctx, c.service.Sharing, &CrossOrigin{Bucket: c.match.Label("Bucket"), Origin: origin, Method: r.Method})
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	return err
}

func (d *Door) shared(ctx context.Context, sharing Sharing, q *CrossOrigin) (map[string]string, error) {
	if q.Bucket == "" {
		return nil, nil
	}
	sn, err := d.Store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	return sharing(ctx, sn, q)
}

// preflight answers a browser that asks, before it makes a request for a page, whether
// that page may make it. Nobody is proved by it, and it tells what a bucket's rules say
// of the page and nothing else: neither that there is no such bucket nor that it has
// no rules. An address may ask as often as calls of it are looked at.
func (d *Door) preflight(ctx context.Context, w http.ResponseWriter, r *http.Request, c *Call, sig *sigv4.Signature) bool {
	if r.Method != http.MethodOptions || sig != nil {
		return false
	}
	match, _ := d.router.Match(r, "s3")
	e := d.byAction["s3:GetObject"]
	if e == nil || e.service.Sharing == nil || match.Service != e.service.Model || match.Label("Bucket") == "" {
		return false
	}
	c.match = match
	if !d.opens.change("page "+netlimit.Network(c.origin.SourceIP), 1, doubts, c.Now) {
		d.answer(w, c, throttled())
		return true
	}
	q := &CrossOrigin{
		Bucket: match.Label("Bucket"), Origin: r.Header.Get("Origin"), Method: r.Header.Get("Access-Control-Request-Method"), Preflight: true,
	}
	for name := range strings.SplitSeq(strings.Join(r.Header.Values("Access-Control-Request-Headers"), ","), ",") {
		if name = strings.TrimSpace(name); name != "" {
			q.Headers = append(q.Headers, name)
		}
	}
	headers, err := d.preflighted(ctx, e.service.Sharing, q)
	if err != nil {
		d.turnAway(ctx, w, c, err)
		return true
	}
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	w.Header().Set("X-Amz-Request-Id", c.RequestID)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return true
}

func (d *Door) preflighted(ctx context.Context, sharing Sharing, q *CrossOrigin) (map[string]string, error) {
	switch {
	case q.Origin == "":
		return nil, &Error{Code: "BadRequest", Status: http.StatusBadRequest, Message: "Insufficient information. Origin request header needed."}
	case q.Method == "":
		return nil, &Error{Code: "BadRequest", Status: http.StatusBadRequest, Message: "Invalid Access-Control-Request-Method: null"}
	}
	if len(q.Headers) <= maxAsked {
		if headers, err := d.shared(ctx, sharing, q); headers != nil || err != nil {
			return headers, err
		}
	}
	return nil, &Error{Code: "AccessForbidden", Status: http.StatusForbidden, Message: "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."}
}

// turnAway refuses a preflight, which is recorded as what strangers do is.
func (d *Door) turnAway(ctx context.Context, w http.ResponseWriter, c *Call, err error) {
	refusal, told := errors.AsType[*Error](err)
	if !told {
		d.answer(w, c, d.refuse(ctx, c, err))
		return
	}
	recorded, err := d.TurnedAway(ctx, Stranger{Service: "s3.amazonaws.com", Name: "PreflightRequest", Agent: c.agent, Origin: c.origin, Reason: refusal.Message})
	if !recorded {
		err = cmp.Or(err, error(throttled()))
	}
	if err != nil {
		d.answer(w, c, err)
		return
	}
	d.answer(w, c, refusal)
}
