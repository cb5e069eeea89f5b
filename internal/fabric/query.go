package fabric

import (
	"context"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"bawn.dev/internal/netmodel"
)

// Query is a question to a VPC's name server and its answer. Name is what the workload chose to ask for.
type Query struct {
	Time      time.Time
	VPC       string
	Interface string // whose address Source is
	Source    netip.AddrPort
	Name      string
	Type      string       // "A"
	Rcode     string       // "NOERROR"
	Answers   []netip.Addr `json:",omitempty"`
	Transport string       // "UDP" or "TCP"
	// Lost is how many queries went by unreported; a value with it has nothing else but Time and VPC.
	Lost uint64 `json:",omitzero"`
}

// queryBuffer is how many queries wait for a reader.
const queryBuffer = 1024

// Queries calls emit, from one goroutine, with each question that a VPC's name server answers, until ctx ends, emit fails or
// the VPC is removed (nil in the last case). A VPC has one reader at a time; a second one fails.
func (f *Fabric) Queries(ctx context.Context, vpcID string, emit func(Query) error) error {
	if err := f.ready(ctx); err != nil {
		return err
	}
	n, _, err := f.applied(vpcID)
	if err != nil {
		return err
	}
	return n.queries.follow(ctx, n.gone, func(lost uint64) Query { return Query{Time: time.Now(), VPC: vpcID, Lost: lost} }, emit)
}

func queryOf(v *netmodel.VPC, from netip.AddrPort, a *dns.Msg, udp bool) Query {
	q := Query{Time: time.Now(), VPC: v.ID, Source: from, Rcode: dns.RcodeToString[a.Rcode], Transport: "TCP"}
	if udp {
		q.Transport = "UDP"
	}
	if i := v.InterfaceAt(from.Addr()); i != nil {
		q.Interface = i.ID
	}
	if len(a.Question) > 0 {
		q.Name, q.Type = a.Question[0].Name, dns.Type(a.Question[0].Qtype).String()
	}
	for _, rr := range a.Answer {
		if r, ok := rr.(*dns.A); ok {
			if ip, ok := netip.AddrFromSlice(r.A.To4()); ok {
				q.Answers = append(q.Answers, ip)
			}
		}
	}
	return q
}
