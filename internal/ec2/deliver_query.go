package ec2

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/store"
)

// A Query is a question that a VPC's name server was asked, and what it said.
type Query struct {
	Time      time.Time
	Interface string // whose address Source is
	Source    netip.AddrPort
	Name      string // as it was asked: whoever asks chooses it
	Type      string // "A"
	Rcode     string // "NOERROR"
	Answers   []netip.Addr
	Transport string // "UDP" or "TCP"
	// Lost is how many queries nobody took down; there is nothing else then but Time.
	Lost uint64
}

// A queryRecord is a line of the log, in the format of Route 53 Resolver's query logs.
// Two members are our own: the interface, as there is no instance, and what was lost.
type queryRecord struct {
	Version   string        `json:"version"`
	Account   string        `json:"account_id"`
	Region    string        `json:"region"`
	VPC       string        `json:"vpc_id"`
	Time      string        `json:"query_timestamp"`
	Name      string        `json:"query_name,omitzero"`
	Type      string        `json:"query_type,omitzero"`
	Class     string        `json:"query_class,omitzero"`
	Rcode     string        `json:"rcode,omitzero"`
	Answers   []queryAnswer `json:"answers,omitempty"`
	Address   string        `json:"srcaddr,omitzero"`
	Port      string        `json:"srcport,omitzero"`
	Transport string        `json:"transport,omitzero"`
	Source    *querySource  `json:"srcids,omitzero"`
	Lost      uint64        `json:"lost_queries,omitzero"`
}

type queryAnswer struct {
	Data  string `json:"Rdata"`
	Type  string `json:"Type"`
	Class string `json:"Class"`
}

type querySource struct {
	Interface string `json:"network_interface"`
}

const (
	queryVersion = "1.100000"
	queryStream  = "-dns-queries" // after the VPC's id
)

// DeliverQueries hands queries of a VPC to its flow logs: to those of the whole VPC,
// into a stream of their own, whatever traffic the log is of. Several logs to one
// group in one role get them once. Failures are as in Deliver.
func (s *Service) DeliverQueries(ctx context.Context, st *store.Store, vpcID string, queries []Query) error {
	if s.Logs == nil {
		return errors.New("ec2: there is no log to deliver queries to")
	}
	if len(queries) == 0 {
		return nil
	}
	n, err := s.networkNow(ctx, st, vpcID)
	if err != nil || n == nil {
		return err
	}
	done := map[LogDestination]bool{}
	var failures []error
	for _, l := range n.flowLogsOf(vpcID) {
		d := &delivery{LogDestination: l.destination(vpcID + queryStream)}
		if done[d.LogDestination] {
			continue
		}
		done[d.LogDestination] = true
		for _, q := range queries {
			text, err := json.Marshal(s.queryRecord(n.vpc, q))
			if err != nil {
				return err
			}
			d.lines = append(d.lines, Line{q.Time, string(text)})
		}
		failures = append(failures, s.hand(ctx, l, d))
	}
	return errors.Join(failures...)
}

func (s *Service) queryRecord(v *vpc, q Query) queryRecord {
	r := queryRecord{
		Version: queryVersion, Account: v.Account, Region: s.Region, VPC: v.ID, Time: q.Time.UTC().Format(time.RFC3339), Lost: q.Lost,
	}
	if q.Lost > 0 {
		return r
	}
	r.Name, r.Type, r.Class, r.Rcode, r.Transport = strings.ToValidUTF8(q.Name, "\uFFFD"), q.Type, "IN", q.Rcode, q.Transport
	r.Address, r.Port = q.Source.Addr().String(), strconv.Itoa(int(q.Source.Port()))
	if q.Interface != "" {
		r.Source = &querySource{q.Interface}
	}
	for _, a := range q.Answers {
		r.Answers = append(r.Answers, queryAnswer{a.String(), "A", "IN"})
	}
	return r
}
