package ec2

import (
	"context"
	"errors"
	"fmt"
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
	Action         string // ACCEPT, REJECT, or SKIPDATA: records were lost until End
}

// logFormat is AWS's default, version 2 ("Flow log records" in the VPC user guide).
const logFormat = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"

func (f *Flow) line(account, interfaceID string) Line {
	if f.Action == "SKIPDATA" {
		return Line{f.End, fmt.Sprintf("2 %s %s - - - - - - - %d %d - SKIPDATA", account, interfaceID, f.Start.Unix(), f.End.Unix())}
	}
	return Line{f.End, fmt.Sprintf("2 %s %s %s %s %d %d %d %d %d %d %d %s OK", account, interfaceID,
		f.Src.Addr(), f.Dst.Addr(), f.Src.Port(), f.Dst.Port(), int(f.Protocol), f.Packets, f.Bytes, f.Start.Unix(), f.End.Unix(), f.Action)}
}

// Deliver hands flows of a VPC to the logs that somebody wants them in. What a log
// could not take is lost, as with AWS, and DescribeFlowLogs says so; the error is
// for the operator.
func (s *Service) Deliver(ctx context.Context, st *store.Store, vpcID string, flows []Flow) error {
	if s.Logs == nil {
		return errors.New("ec2: there is no log to deliver flows to")
	}
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return err
	}
	n, err := s.network(sn, vpcID)
	sn.Close()
	if err != nil || n == nil {
		return err
	}
	var failures []error
	for _, l := range n.flowLogs {
		for _, to := range n.lines(l, flows) {
			err := s.Logs.Put(ctx, to.LogDestination, to.lines)
			s.delivered(l.ID, err)
			if err != nil {
				failures = append(failures, fmt.Errorf("ec2: flow log %s: %w", l.ID, err))
			}
		}
	}
	return errors.Join(failures...)
}

type delivery struct {
	LogDestination
	lines []Line
}

// lines are the flows that a log wants, a stream for each interface.
func (n *network) lines(l *flowLog, flows []Flow) []*delivery {
	var out []*delivery
	for _, f := range flows {
		if f.Action != "SKIPDATA" && l.Traffic != "ALL" && f.Action != l.Traffic {
			continue
		}
		for _, i := range n.interfaces {
			// What an endpoint refused is its interface's with that address.
			mine := i.ID == f.Interface || i.Endpoint != "" && i.Endpoint == f.Interface && (i.Address == f.Dst.Addr() || i.Address == f.Src.Addr())
			lost := f.Action == "SKIPDATA" && f.Interface == ""
			if !mine && !lost || l.Resource != n.vpc.ID && l.Resource != i.Subnet && l.Resource != i.ID {
				continue
			}
			stream := i.ID + "-" + strings.ToLower(l.Traffic)
			at := slices.IndexFunc(out, func(d *delivery) bool { return d.Stream == stream })
			if at < 0 {
				at = len(out)
				out = append(out, &delivery{LogDestination: LogDestination{
					Account: l.Account, Role: l.Role, RoleID: l.RoleID, Group: l.Group, Stream: stream,
				}})
			}
			out[at].lines = append(out[at].lines, f.line(l.Account, i.ID))
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
