package ec2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// A LogSink takes the lines of flow logs. It may be called concurrently.
type LogSink interface {
	Put(ctx context.Context, to LogDestination, lines []Line) error
}

// A LogDestination is a stream of a log group, and the role in which to write to
// it.
type LogDestination struct {
	Account       string
	Role, RoleID  string // ARN; unique id, which is what counts
	Group, Stream string
}

// A Line is one event of a log.
type Line struct {
	Time time.Time
	Text string
}

// A Flow is what the fabric reports of one direction of a flow, as one interface
// saw it in an interval.
type Flow struct {
	Start, End     time.Time
	Interface      string // id of an interface, or of an endpoint whose groups refused
	Src, Dst       netip.AddrPort
	Protocol       netmodel.Protocol
	Packets, Bytes uint64
	Action         string // ACCEPT, REJECT, or SKIPDATA: records were lost from Start until End
}

// skipped is the Action of a Flow that stands for those that were lost.
const skipped = "SKIPDATA"

// Deliver hands flows of a VPC to the logs that somebody wants them in. What a log
// could not take is lost, as with AWS, and DescribeFlowLogs says so; the error is
// for the operator.
func (s *Service) Deliver(ctx context.Context, st *store.Store, vpcID string, flows []Flow) error {
	if s.Logs == nil {
		return errors.New("ec2: there is no log to deliver flows to")
	}
	n, err := s.networkNow(ctx, st, vpcID)
	if err != nil || n == nil {
		return err
	}
	var failures []error
	for _, l := range n.flowLogs {
		lines, err := s.lines(n, l, flows)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		for _, to := range lines {
			failures = append(failures, s.hand(ctx, l, to))
		}
	}
	return errors.Join(failures...)
}

type delivery struct {
	LogDestination
	lines []Line
}

// hand gives lines to the log that they are for, and remembers how that ended.
func (s *Service) hand(ctx context.Context, l *flowLog, d *delivery) error {
	err := s.Logs.Put(ctx, d.LogDestination, d.lines)
	s.delivered(l.ID, err)
	if err != nil {
		return fmt.Errorf("ec2: flow log %s: %w", l.ID, err)
	}
	return nil
}

// destination is a stream of a flow log's group.
func (l *flowLog) destination(stream string) LogDestination {
	return LogDestination{Account: l.Account, Role: l.Role, RoleID: l.RoleID, Group: l.Group, Stream: stream}
}

// lines are the flows that a log wants, a stream for each interface.
func (s *Service) lines(n *network, l *flowLog, flows []Flow) ([]*delivery, error) {
	format, err := l.formatter()
	if err != nil {
		return nil, err
	}
	var out []*delivery
	streams := map[string]*delivery{}
	all, named := n.logged(l, s.leavers(n))
	for i := range flows {
		f := &flows[i]
		if f.Action != skipped && l.Traffic != "ALL" && f.Action != l.Traffic {
			continue
		}
		of := named[f.Interface]
		if f.Action == skipped && f.Interface == "" {
			of = all
		}
		for _, i := range of {
			// What an endpoint refused is its interface's with that address.
			if i.ID != f.Interface && f.Interface != "" && i.Address != f.Dst.Addr() && i.Address != f.Src.Addr() {
				continue
			}
			stream := i.ID + "-" + strings.ToLower(l.Traffic)
			d := streams[stream]
			if d == nil {
				d = &delivery{LogDestination: l.destination(stream)}
				streams[stream], out = d, append(out, d)
			}
			d.lines = append(d.lines, format.line(flowRecord{Flow: f, account: l.Account, region: s.Region, zone: s.zoneID(), of: i}))
		}
	}
	return out, nil
}

// logged are the interfaces of which a log tells, also by the names that a Flow may
// have for them: their own, and those of the endpoint or gateway that they are of.
// Those that left have a name only.
func (n *network) logged(l *flowLog, left []*networkInterface) (all []*networkInterface, named map[string][]*networkInterface) {
	named = map[string][]*networkInterface{}
	for at, i := range slices.Concat(n.interfaces, left) {
		if l.Resource != n.vpc.ID && l.Resource != i.Subnet && l.Resource != i.ID {
			continue
		}
		if at < len(n.interfaces) {
			all = append(all, i)
		}
		for _, name := range []string{i.ID, i.Endpoint, i.NAT} {
			if name != "" {
				named[name] = append(named[name], i)
			}
		}
	}
	return all, named
}

// A leaver is a workload's interface that is gone. What flowed at its end is told
// after that.
type leaver struct {
	*networkInterface
	at time.Time
}

// leaverTime is how long flows of a leaver may still come: several intervals in which
// the machine tells them.
const leaverTime = 2 * time.Minute

// leaves remembers an interface in the change that deletes it, which may yet fail.
func (s *Service) leaves(i *networkInterface) {
	now := s.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.left, func(_ string, l leaver) bool { return now.Sub(l.at) > leaverTime })
	s.left[i.ID] = leaver{i, now}
}

// leavers are the interfaces that a network no longer has.
func (s *Service) leavers(n *network) []*networkInterface {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*networkInterface
	for id, l := range s.left {
		if l.VPC == n.vpc.ID && byID(n.interfaces, id) == nil {
			out = append(out, l.networkInterface)
		}
	}
	return out
}

// delivered remembers how the last delivery of a log ended.
func (s *Service) delivered(id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.failed, id)
		return
	}
	s.failed[id] = "Access error: the log group did not take the records."
}

func (s *Service) failure(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed[id]
}
