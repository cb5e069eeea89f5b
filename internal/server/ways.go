package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/ec2"
	"bawn.dev/internal/egress"
	"bawn.dev/internal/fetch"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// ways are what lies behind the doors that lead out of a VPC: the proxies of NAT
// gateways, and the relays of endpoints that lead to endpoint services. Every
// connection is decided on a fresh snapshot, and recorded with the workload and the
// person before its first byte.
type ways struct {
	server *Server
	out    func(ctx context.Context, name string, port uint16) (net.Conn, netip.Addr, error)

	mu      sync.Mutex
	budgets map[string]*budget // by rule
}

// A budget is what connections of a rule share. What they moved is written down
// when one ends, and every so often while they last.
type budget struct {
	*egress.Budget
	written int64 // what was left when it was last written down
}

// spendEvery is how much of a budget a crash can forget: what moves in this time.
const spendEvery = 10 * time.Second

func newWays(s *Server, allow []string) *ways {
	rooted := make([]string, len(allow)) // names are asked for with the dot at their end
	for i, a := range allow {
		if host, port, err := net.SplitHostPort(a); err == nil {
			rooted[i] = net.JoinHostPort(strings.ToLower(strings.TrimSuffix(host, "."))+".", port)
		}
	}
	return &ways{server: s, out: egress.Through(fetch.New(rooted, nil).Dial), budgets: map[string]*budget{}}
}

// A traveller is who wants out, as records name him.
type traveller struct {
	claim    api.Claim
	ifc      string
	workload string // ARN of what it is
	rule     string
	way      *ec2.Route // through an endpoint service
}

// nat is the proxy of a NAT gateway.
func (w *ways) nat(at *place, gateway string) (*egress.Proxy, error) {
	return egress.New(egress.Config{
		Allow: func(ctx context.Context, source netip.Addr, name string, port uint16) (egress.Grant, error) {
			return w.allow(ctx, at, source, name, port)
		},
		Dial:    w.out,
		Opened:  func(ctx context.Context, c egress.Connection) error { return w.opened(ctx, at, gateway, c) },
		Closed:  func(c egress.Connection) { w.closed(at, gateway, c) },
		Refused: func(c egress.Connection, why error) { w.refused(at, gateway, c, why) },
		Log:     w.server.log,
	})
}

// allow asks the networks as they are now.
func (w *ways) allow(ctx context.Context, at *place, source netip.Addr, name string, port uint16) (egress.Grant, error) {
	sn, err := w.server.store.Snapshot(ctx)
	if err != nil {
		return egress.Grant{}, err
	}
	defer sn.Close()
	g, err := w.server.ec2.Outside(sn, at.model.Load().ID, source, name, port)
	var refused *ec2.Refused
	if errors.As(err, &refused) {
		denied := &egress.Denied{Why: refused.Why}
		if i := at.model.Load().InterfaceAt(source); i != nil && refused.Gate == netmodel.GateOutside {
			denied.Groups = i.Groups
		}
		return egress.Grant{}, denied
	}
	if err != nil {
		return egress.Grant{}, err
	}
	who := w.traveller(sn, g.Account, g.Interface, g.Workload, g.Owner)
	who.rule = g.Rule
	grant := egress.Grant{Cookie: who}
	if g.Remaining >= 0 {
		grant.Budget = w.budget(g.Rule, g.Remaining)
	}
	return grant, nil
}

// traveller is the workload of an interface. One that is gone, as it can be for a
// moment, has no person: its account stands for it.
func (w *ways) traveller(q store.Querier, account, ifc, workload, owner string) *traveller {
	who := &traveller{claim: api.Claim{Kind: api.KindService, Account: account}, ifc: ifc, workload: owner}
	if claim, name, err := w.server.sagemaker.Behind(q, workload); err == nil {
		who.claim, who.workload = claim, name
	}
	return who
}

func (w *ways) budget(rule string, left int64) *egress.Budget {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.budgets[rule]
	if b == nil {
		b = &budget{egress.NewBudget(left), max(left, 0)}
		w.budgets[rule] = b
	}
	return b.Budget
}

// spend writes down what was taken of a rule's budget, in a change, and answers what
// forgets it again should the change fail.
func (w *ways) spend(tx *store.Tx, rule string) (undo func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.budgets[rule]
	if b == nil {
		return func() {}, nil
	}
	before, left := b.written, b.Left()
	if before == left {
		return func() {}, nil
	}
	b.written = left
	undo = func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		b.written += before - left
	}
	return undo, w.server.ec2.Spend(tx, rule, before-left)
}

// settling is a change that writes down what a rule's connections moved, and what to
// call should it not be made. It may run more than once.
func (w *ways) settling(rule string) (change func(*store.Tx) error, failed func()) {
	undo := func() {}
	return func(tx *store.Tx) (err error) {
		undo()
		undo, err = w.spend(tx, rule)
		return err
	}, func() { undo() }
}

// spending writes budgets down while connections last.
func (w *ways) spending(ctx context.Context) error {
	tick := time.NewTicker(spendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		w.mu.Lock()
		var rules []string
		for rule, b := range w.budgets {
			if b.written != b.Left() {
				rules = append(rules, rule)
			}
		}
		w.mu.Unlock()
		for _, rule := range rules {
			change, failed := w.settling(rule)
			if err := w.server.store.Update(ctx, change); err != nil {
				failed()
				if ctx.Err() == nil {
					w.server.log.Warn("what was moved outside is written down later", "rule", rule, "err", err)
				}
			}
		}
	}
}

// event is what every record of a connection says. A connection without a grant has
// nobody behind it but its source.
func (w *ways) event(at *place, door, name string, c egress.Connection) (api.Event, *traveller) {
	v := at.model.Load()
	who, ok := c.Cookie.(*traveller)
	if !ok {
		who = w.whoIs(v, c.Source.Addr())
	}
	arn := func(account, kind, id string) string {
		return "arn:aws:ec2:" + w.server.cfg.Region + ":" + account + ":" + kind + "/" + id
	}
	e := api.Event{
		Service: "ec2", Name: name, Claim: who.claim, Traffic: true, SourceIP: c.Source.Addr().String(),
		Resources: []api.Resource{{ARN: arn(v.Account, "vpc", v.ID), Account: v.Account, Type: "AWS::EC2::VPC"}},
		Details:   map[string]any{"vpcId": v.ID, "sourcePort": c.Source.Port(), "protocol": string(c.Kind), "name": c.Name, "port": c.Port},
	}
	set := func(key, value string) {
		if value != "" {
			e.Details[key] = value
		}
	}
	set("networkInterfaceId", who.ifc)
	set("workload", who.workload)
	set("rule", who.rule)
	switch {
	case c.Kind != egress.Relay:
		set("natGatewayId", door)
		if c.Address.IsValid() {
			set("address", c.Address.String())
		}
	case who.way != nil:
		set("serviceId", who.way.Service)
		fallthrough
	default:
		e.EndpointID = door
	}
	return e, who
}

// beyond is what the provider's account has on record of a connection through its
// endpoint service. Who is on the other side neither of the two learns.
func (w *ways) beyond(e api.Event, c egress.Connection, way *ec2.Route) []api.Event {
	if way == nil {
		return nil
	}
	arn := "arn:aws:ec2:" + w.server.cfg.Region + ":" + way.Account + ":vpc-endpoint-service/" + way.Service
	there := api.Event{
		Service: "ec2", Name: e.Name, Claim: api.Claim{Kind: api.KindService, Account: way.Account}, Traffic: true, EndpointID: e.EndpointID,
		Resources: []api.Resource{{ARN: arn, Account: way.Account, Type: "AWS::EC2::VPCEndpointService"}},
		Details:   map[string]any{"serviceId": way.Service, "consumerAccountId": way.Consumer, "port": c.Port},
	}
	if way.Site != "" {
		there.Details["site"] = way.Site
	} else {
		there.Details["vpcId"], there.Details["workload"] = way.VPC, way.Owner
	}
	if c.Address.IsValid() {
		there.Details["address"] = c.Address.String()
	}
	for _, key := range []string{"bytesSent", "bytesReceived", "seconds", "cut"} {
		if v, ok := e.Details[key]; ok {
			there.Details[key] = v
		}
	}
	return []api.Event{there}
}

// whoIs names who is refused.
func (w *ways) whoIs(v *netmodel.VPC, source netip.Addr) *traveller {
	none := &traveller{claim: api.Claim{Kind: api.KindService, Account: v.Account}}
	i := v.InterfaceAt(source)
	if i == nil {
		return none
	}
	sn, err := w.server.store.Snapshot(context.Background())
	if err != nil {
		return none
	}
	defer sn.Close()
	return w.traveller(sn, v.Account, i.ID, i.Workload, i.Owner)
}

func (w *ways) opened(ctx context.Context, at *place, door string, c egress.Connection) error {
	e, who := w.event(at, door, "ConnectionOpened", c)
	return w.server.door.HappenedTo(ctx, func(*store.Tx) error { return nil }, append(w.beyond(e, c, who.way), e)...)
}

func (w *ways) closed(at *place, door string, c egress.Connection) {
	e, who := w.event(at, door, "ConnectionClosed", c)
	e.Details["bytesSent"], e.Details["bytesReceived"] = c.Sent, c.Received
	e.Details["seconds"] = int64(w.server.now().Sub(c.Opened).Seconds())
	if c.Why != nil {
		e.Details["cut"] = c.Why.Error()
	}
	change, failed := w.settling(who.rule)
	w.tell(e, change, failed, w.beyond(e, c, who.way)...)
}

func (w *ways) refused(at *place, door string, c egress.Connection, why error) {
	e, _ := w.event(at, door, "ConnectionRefused", c)
	e.ErrorCode, e.ErrorMessage = "AccessDenied", w.reason(c, why)
	if c.Unrecorded > 0 {
		e.Details["unrecorded"] = c.Unrecorded
	}
	w.tell(e, func(*store.Tx) error { return nil }, func() {})
}

// reason is what the account of a workload hears of a refusal. What lies behind an
// endpoint service is another's: that it did not answer, and how, is for the operator.
func (w *ways) reason(c egress.Connection, why error) string {
	if c.Kind == egress.Relay && errors.Is(why, egress.ErrDial) {
		w.server.log.Warn("what an endpoint service offers cannot be reached", "endpoint", c.Name, "port", c.Port, "err", why)
		return egress.ErrDial.Error()
	}
	return why.Error()
}

// recordTime bounds how long the end of a connection waits for its record.
const recordTime = time.Minute

// tell records what is over already: it cannot be refused any more, and is said in
// the log if it cannot be recorded.
func (w *ways) tell(e api.Event, change func(*store.Tx) error, failed func(), also ...api.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), recordTime)
	defer cancel()
	if err := w.server.door.HappenedTo(ctx, change, append(also, e)...); err != nil {
		failed()
		w.server.log.Error("a connection's end is not in the record", "event", e.Name, "details", slog.AnyValue(e.Details), "err", err)
	}
}

// A crossing is where an endpoint's port leads now.
func (w *ways) crossing(ctx context.Context, endpoint string, port uint16) (ec2.Route, error) {
	sn, err := w.server.store.Snapshot(ctx)
	if err != nil {
		return ec2.Route{}, err
	}
	defer sn.Close()
	return w.server.ec2.Relay(sn, endpoint, port)
}

// relay is the relay of one endpoint that leads to an endpoint service.
func (w *ways) relay(at *place, endpoint string) (*egress.Proxy, error) {
	return egress.New(egress.Config{
		Allow: func(ctx context.Context, source netip.Addr, _ string, port uint16) (egress.Grant, error) {
			way, err := w.crossing(ctx, endpoint, port)
			if err != nil {
				return egress.Grant{}, err
			}
			who := w.whoIs(at.model.Load(), source)
			who.way = &way
			return egress.Grant{Cookie: who}, nil
		},
		Dial: func(ctx context.Context, _ string, port uint16) (net.Conn, netip.Addr, error) {
			way, err := w.crossing(ctx, endpoint, port)
			if err != nil {
				return nil, netip.Addr{}, err
			}
			return w.cross(ctx, way)
		},
		Opened:  func(ctx context.Context, c egress.Connection) error { return w.opened(ctx, at, endpoint, c) },
		Closed:  func(c egress.Connection) { w.closed(at, endpoint, c) },
		Refused: func(c egress.Connection, why error) { w.refused(at, endpoint, c, why) },
		Log:     w.server.log,
	})
}

// routes says in words where the ports of an endpoint lead now: when that changes,
// what is open leads to where it should not any more.
func (w *ways) routes(ctx context.Context, e *netmodel.Endpoint) string {
	var all strings.Builder
	for _, port := range e.Ports {
		way, err := w.crossing(ctx, e.ID, port)
		fmt.Fprintf(&all, "%d %+v %t\n", port, way, err == nil)
	}
	return all.String()
}

// cross connects to the other side: from an address in the provider's VPC, or to a
// site that the operator approved, on whatever machine but this one.
func (w *ways) cross(ctx context.Context, way ec2.Route) (net.Conn, netip.Addr, error) {
	if way.VPC != "" {
		c, err := w.server.places.host.Dial(ctx, way.VPC, way.From, way.To)
		if err != nil {
			return nil, netip.Addr{}, err
		}
		if tcp, ok := c.(*net.TCPConn); ok {
			// Rules of the provider's that shut say nothing to whoever is connected: what
			// gets no answer any more is to end, and be on record, soon.
			if err := tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}); err != nil {
				c.Close()
				return nil, netip.Addr{}, err
			}
		}
		return egress.Reached(c)
	}
	c, err := fetch.Elsewhere(ctx, net.JoinHostPort(way.Host, strconv.Itoa(int(way.Port))))
	if err != nil {
		return nil, netip.Addr{}, err
	}
	return egress.Reached(c)
}
