package wire

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"bawn.dev/internal/shape"
)

// MaxForm is the largest form body, in bytes, that Match reads to find the operation in it. AWS's own limits are far below.
const MaxForm = 1 << 20

// service is a served API with its operations planned.
type service struct {
	*shape.Service
	dialect    *dialect
	operations map[string]*operation
	ordered    []*operation
}

// Router finds the operation that a request names. It never changes after it was built and may be used concurrently.
type Router struct {
	services []*service
	byScope  map[string][]*service
	hosts    []string
}

// NewRouter plans every operation of the services. It fails when a descriptor and its Go structs do not fit each other, or when two
// services claim the same operation of a protocol.
func NewRouter(services ...*shape.Service) (*Router, error) {
	r := &Router{byScope: make(map[string][]*service)}
	claimed := make(map[string]string)
	for _, s := range services {
		planned, err := planService(s)
		if err != nil {
			return nil, fmt.Errorf("wire: %s: %w", s.Name, err)
		}
		for _, op := range planned.ordered {
			claim := op.claim()
			if other := claimed[claim]; other != "" {
				return nil, fmt.Errorf("wire: %s and %s both claim %s", other, s.Name, claim)
			}
			claimed[claim] = s.Name
		}
		r.services = append(r.services, planned)
		r.byScope[s.SigningName] = append(r.byScope[s.SigningName], planned)
	}
	return r, nil
}

// Services lists what the router serves, in the order in which it was given.
func (r *Router) Services() []*shape.Service {
	list := make([]*shape.Service, len(r.services))
	for i, s := range r.services {
		list[i] = s.Service
	}
	return list
}

// WithHosts returns a router that takes <bucket>.<host> as a bucket's address for each of the host names, beside AWS's own names.
func (r *Router) WithHosts(hosts ...string) *Router {
	c := *r
	c.hosts = nil
	for _, h := range hosts {
		c.hosts = append(c.hosts, strings.ToLower(strings.TrimSuffix(h, ".")))
	}
	// The longest first: a host may be below another.
	slices.SortFunc(c.hosts, func(a, b string) int { return len(b) - len(a) })
	return &c
}

func planService(s *shape.Service) (*service, error) {
	d := dialectOf(s)
	if d == nil {
		return nil, fmt.Errorf("unknown protocol %q", s.Protocol)
	}
	planned := &service{Service: s, dialect: d, operations: make(map[string]*operation)}
	p := &planner{protocol: s.Protocol, types: make(map[*shape.Type]*value)}
	for _, op := range s.Operations {
		inType, outType := reflect.TypeOf(op.NewInput()), reflect.TypeOf(op.NewOutput())
		in, err := p.structure(op.Input, inType.Elem())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", op.Name, err)
		}
		out, err := p.structure(op.Output, outType.Elem())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", op.Name, err)
		}
		in.ignored = make(map[string]bool)
		for _, name := range op.Advisory {
			in.ignored[name] = true
		}
		o := &operation{
			Operation: op, service: planned, in: in, out: out, inType: inType, outType: outType,
			route: parseRoute(op), page: out.isPage(),
		}
		planned.operations[op.Name] = o
		planned.ordered = append(planned.ordered, o)
	}
	return planned, nil
}

// claim is what may exist only once among all services, so that no request fits two operations.
func (op *operation) claim() string {
	s := op.service
	switch s.Protocol {
	case shape.Query, shape.EC2:
		return "Action=" + op.Name + "&Version=" + s.APIVersion
	case shape.JSON:
		return shortTarget(s) + "." + op.Name
	}
	claim := s.SigningName + " " + op.Method + " " + op.URI
	if s.SigningName == "s3" {
		claim += op.route.distinction()
	}
	return claim
}

// Match is a request's operation.
type Match struct {
	Service   *shape.Service
	Operation *shape.Operation

	service *service
	op      *operation
	head    bool // a HEAD request, whose answer has no body
	labels  map[string]string
}

// Label is a part of an S3 address, by its member's name: "Bucket". It is there also if the request fits no operation.
func (m *Match) Label(name string) string { return m.labels[name] }

// Match finds the operation of a request. scope is the service in the credential scope of its signature, or "" if it is unsigned: a
// request can reach only the services that sign under that name, whatever its headers and body say.
//
// The operation of a form stands in its body. Match reads at most MaxForm bytes of it and puts a reader of the same bytes in its
// place, so that the caller can hash and decode it. Decode checks again that the body names this operation.
//
// The result is never nil: with an error, which is an *Error unless the body could not be read, it serves only to encode that error in
// the dialect that the client expects.
func (r *Router) Match(req *http.Request, scope string) (*Match, error) {
	candidates := r.services
	if scope != "" {
		candidates = r.byScope[scope]
	}
	m := &Match{head: req.Method == http.MethodHead}
	op, err := r.find(m, req, candidates)
	if op != nil {
		m.op, m.service = op, op.service
		m.Service, m.Operation = op.service.Service, op.Operation
		return m, err
	}
	if m.service == nil {
		m.service = guess(candidates)
	}
	m.Service = m.service.Service
	if err == nil {
		err = m.service.dialect.unknownOperation(req.Method + " " + req.URL.Path)
	}
	return m, err
}

// guess picks the dialect for the refusal of a request that fits no operation.
func guess(candidates []*service) *service {
	if len(candidates) > 0 && candidates[0].Service != nil {
		return candidates[0]
	}
	return &service{Service: &shape.Service{Protocol: shape.JSON, JSONVersion: "1.1"}, dialect: jsonDialect()}
}

func (r *Router) find(m *Match, req *http.Request, candidates []*service) (*operation, error) {
	if targets := req.Header.Values("X-Amz-Target"); len(targets) > 0 {
		m.service = firstOf(candidates, shape.JSON)
		if m.service == nil {
			m.service = guess(nil)
		}
		return findTarget(m, req, candidates, targets)
	}
	if isForm(req) || req.URL.Query().Has("Action") {
		m.service = firstOf(candidates, shape.Query, shape.EC2)
		if m.service != nil {
			return findAction(m, req, candidates)
		}
	}
	return r.findREST(m, req, candidates)
}

func firstOf(candidates []*service, protocols ...shape.Protocol) *service {
	for _, s := range candidates {
		for _, p := range protocols {
			if s.Protocol == p {
				return s
			}
		}
	}
	return nil
}

// shortTarget is the target prefix without the package that the older models put
// before it: the SDKs for Go and Rust leave it out.
func shortTarget(s *service) string {
	return s.TargetPrefix[strings.LastIndexByte(s.TargetPrefix, '.')+1:]
}

func findTarget(m *Match, req *http.Request, candidates []*service, targets []string) (*operation, error) {
	unknown := func() error { return m.service.dialect.unknownOperation(targets[0]) }
	if len(targets) != 1 || req.Method != http.MethodPost || req.URL.Path != "/" && req.URL.Path != "" || req.URL.RawQuery != "" {
		return nil, unknown()
	}
	media, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(media, "application/x-amz-json-1.") {
		return nil, unknown()
	}
	prefix, name := targets[0], ""
	if dot := strings.LastIndexByte(targets[0], '.'); dot >= 0 {
		prefix, name = targets[0][:dot], targets[0][dot+1:]
	}
	for _, s := range candidates {
		if s.Protocol == shape.JSON && (prefix == s.TargetPrefix || prefix == shortTarget(s)) {
			m.service = s
			if op := s.operations[name]; op != nil {
				return op, nil
			}
		}
	}
	return nil, unknown()
}

func isForm(req *http.Request) bool {
	media, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	return media == "application/x-www-form-urlencoded" && req.Method == http.MethodPost
}

func findAction(m *Match, req *http.Request, candidates []*service) (*operation, error) {
	if req.URL.Path != "/" && req.URL.Path != "" {
		return nil, nil
	}
	var body []byte
	if isForm(req) && req.Body != nil {
		read, err := io.ReadAll(io.LimitReader(req.Body, MaxForm+1))
		if err != nil {
			return nil, err
		}
		if len(read) > MaxForm {
			return nil, Errorf(CodeTooLarge, "The form is larger than %d bytes.", MaxForm).WithStatus(http.StatusRequestEntityTooLarge)
		}
		body = read
		req.Body = &replay{Reader: bytes.NewReader(read), under: req.Body}
	}
	form, err := parseForm(req.URL.RawQuery, body)
	if err != nil {
		return nil, m.service.dialect.malformed("%s", err)
	}
	action, version := form.text("Action"), form.text("Version")
	if action == "" {
		return nil, Errorf("MissingAction", "The request names no Action.").WithStatus(http.StatusBadRequest)
	}
	for _, s := range candidates {
		if s.Protocol != shape.Query && s.Protocol != shape.EC2 {
			continue
		}
		if version == "" && len(candidates) > 1 || version != "" && version != s.APIVersion {
			continue
		}
		m.service = s
		if op := s.operations[action]; op != nil {
			return op, nil
		}
	}
	return nil, m.service.dialect.unknownOperation(action)
}

// replay gives a body back that was read, and closes what it came from.
type replay struct {
	*bytes.Reader
	under io.Closer
}

func (r *replay) Close() error { return r.under.Close() }
