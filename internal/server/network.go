package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/ec2"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// NetworkRequest asks for the networks as they are now.
type NetworkRequest struct {
	Operator string   `json:"operator"`
	VPCs     []string `json:"vpcs,omitempty"`    // none: all
	Account  string   `json:"account,omitempty"` // empty: all
}

// NetworkMap is every network that was asked for, and the flows that they let pass.
type NetworkMap struct {
	Time     time.Time        `json:"time"`
	VPCs     []NetworkVPC     `json:"vpcs"`
	Transits []NetworkTransit `json:"transitGateways,omitempty"`
	Flows    []NetworkFlow    `json:"flows,omitempty"`
	LeftOut  int              `json:"pairsLeftOut,omitzero"` // pairs that were not looked at, or not shown
}

// NetworkVPC is one VPC.
type NetworkVPC struct {
	ID          string              `json:"id"`
	Name        string              `json:"name,omitempty"`
	Account     string              `json:"account"`
	CIDRs       []string            `json:"cidrs"`
	Internet    string              `json:"internetGateway,omitempty"`
	FlowLogs    bool                `json:"flowLogs,omitzero"`
	Subnets     []NetworkSubnet     `json:"subnets"`
	Groups      []NetworkGroup      `json:"securityGroups"`
	Nodes       []NetworkNode       `json:"nodes,omitempty"`
	Attachments []NetworkAttachment `json:"attachments,omitempty"`
	Idle        []NetworkIdle       `json:"withoutEffect,omitempty"`
}

// NetworkSubnet is a subnet and what governs it.
type NetworkSubnet struct {
	ID         string         `json:"id"`
	Name       string         `json:"name,omitempty"`
	CIDR       string         `json:"cidr"`
	ACL        string         `json:"networkAcl"`
	Open       bool           `json:"networkAclOpen,omitzero"` // the ACL lets everything pass
	RouteTable string         `json:"routeTable"`
	Routes     []NetworkRoute `json:"routes,omitempty"` // but for the local one
}

// NetworkRoute is one line of a route table. A target that is not there is a dead end.
type NetworkRoute struct {
	To     string `json:"destination"`
	Target string `json:"target"`
}

// NetworkGroup is a security group, with its rules in words.
type NetworkGroup struct {
	ID      string   `json:"id"`
	Name    string   `json:"name,omitempty"`
	Rules   []string `json:"rules,omitempty"`
	Outside []string `json:"outside,omitempty"` // what the operator opened
}

// What a node is.
const (
	NodeInterfaces = "interfaces" // of workloads, which no rule tells apart
	NodeEndpoint   = "endpoint"
	NodeNAT        = "nat"
	NodeDialer     = "dialer"  // from which an endpoint service connects
	NodeOutside    = "outside" // names in the internet, behind a NAT gateway
	NodeSite       = "site"    // that the operator approved, behind an endpoint service
)

// NetworkNode is where flows begin and end.
type NetworkNode struct {
	ID      string          `json:"id"`
	Kind    string          `json:"kind"`
	Name    string          `json:"name,omitempty"`
	Subnets []string        `json:"subnets,omitempty"` // none: in no subnet
	Service string          `json:"service,omitempty"`
	Policy  bool            `json:"policy,omitzero"` // an endpoint policy besides
	Groups  []string        `json:"groups,omitempty"`
	Members []NetworkMember `json:"members,omitempty"`
	Lines   []string        `json:"lines,omitempty"` // names outside, with the groups that reach them
}

// NetworkMember is one interface or address of a node.
type NetworkMember struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	Owner   string `json:"owner,omitempty"`
	Person  string `json:"person,omitempty"`
}

// NetworkAttachment joins a VPC to a transit gateway.
type NetworkAttachment struct {
	ID      string `json:"id"`
	Gateway string `json:"transitGateway"`
}

// NetworkIdle is what somebody made and what has no effect now.
type NetworkIdle struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

// NetworkTransit is a transit gateway.
type NetworkTransit struct {
	ID      string                `json:"id"`
	Account string                `json:"account"`
	Tables  []NetworkTransitTable `json:"routeTables,omitempty"`
}

// NetworkTransitTable is a route table of a gateway, and who is routed by it.
type NetworkTransitTable struct {
	ID         string         `json:"id"`
	Associated []string       `json:"associated,omitempty"` // VPCs
	Routes     []NetworkRoute `json:"routes,omitempty"`     // to VPCs; an empty target is a black hole
}

// What a flow is made of.
const (
	FlowPackets = "packets" // connections that the network lets pass, replies included
	FlowRelay   = "relay"   // the server itself connects on, for who came through
)

// NetworkFlow is what may go from one node to another.
type NetworkFlow struct {
	From  string   `json:"from"`
	To    string   `json:"to"`
	Kind  string   `json:"kind"`
	Ports []string `json:"ports,omitempty"`
	Via   string   `json:"via,omitempty"`    // transit gateway
	Some  bool     `json:"partial,omitzero"` // only from some source ports: a network ACL refuses replies to others
	Among bool     `json:"among,omitzero"`   // the node's members, each other
}

// Network describes networks: what there is, and what may flow.
func (s *Server) Network(ctx context.Context, in NetworkRequest) (*NetworkMap, error) {
	if err := s.administered(ctx, "Network", in.Operator, in); err != nil {
		return nil, err
	}
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	all, err := s.surveyed(sn)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, id := range in.VPCs {
		if all.vpcs[id] == nil {
			return nil, fmt.Errorf("network: there is no VPC %q", id)
		}
		wanted[id] = true
	}
	m := &NetworkMap{Time: s.now().UTC().Truncate(time.Second), VPCs: []NetworkVPC{}}
	drawn := &atlas{cloud: all.cloud, vpcs: map[string]*ec2.Survey{}}
	for _, id := range all.order {
		v := all.vpcs[id]
		if len(wanted) > 0 && !wanted[id] || in.Account != "" && v.Model.Account != in.Account {
			continue
		}
		drawn.order, drawn.vpcs[id] = append(drawn.order, id), v
	}
	who, err := s.people(sn, drawn)
	if err != nil {
		return nil, err
	}
	f := &flows{atlas: drawn, left: maxPairs}
	for _, id := range drawn.order {
		m.VPCs = append(m.VPCs, mapVPC(drawn.vpcs[id], f.nodes(drawn.vpcs[id], who)))
	}
	f.find()
	for i := range m.VPCs {
		m.VPCs[i].Nodes = append(m.VPCs[i].Nodes, f.outside[m.VPCs[i].ID]...)
	}
	m.Flows, m.LeftOut = f.found, f.leftOut
	m.Transits = mapTransits(drawn)
	return m, nil
}

// An atlas is some of the networks, of one moment. The cloud is always all of them,
// for a path may lead through others.
type atlas struct {
	cloud netmodel.Cloud
	order []string // ids of VPCs
	vpcs  map[string]*ec2.Survey
}

// surveyed reads every network.
func (s *Server) surveyed(sn *store.Snapshot) (*atlas, error) {
	a := &atlas{vpcs: map[string]*ec2.Survey{}}
	list, err := s.ec2.VPCs(sn)
	if err != nil {
		return nil, err
	}
	for _, v := range list {
		survey, err := s.ec2.Survey(sn, v.ID)
		if errors.Is(err, ec2.ErrNoVPC) {
			continue
		}
		if err != nil {
			return nil, err
		}
		a.order, a.vpcs[v.ID] = append(a.order, v.ID), survey
		a.cloud.VPCs = append(a.cloud.VPCs, survey.Model)
	}
	gateways, err := s.ec2.Transits(sn)
	if err != nil {
		return nil, err
	}
	for _, g := range gateways {
		m, err := s.ec2.TransitModel(sn, g.ID)
		if errors.Is(err, ec2.ErrNoTransitGateway) {
			continue
		}
		if err != nil {
			return nil, err
		}
		a.cloud.Gateways = append(a.cloud.Gateways, m)
	}
	return a, nil
}

// people are the user names of those on whose behalf workloads run, by workload.
func (s *Server) people(sn *store.Snapshot, a *atlas) (map[string]string, error) {
	names := map[string]string{}
	for _, v := range a.vpcs {
		for _, i := range v.Model.Interfaces {
			name, err := s.behind(sn, i.Workload)
			if err != nil {
				return nil, err
			}
			if name != "" {
				names[i.Workload] = name
			}
		}
	}
	return names, nil
}

func mapVPC(v *ec2.Survey, nodes []NetworkNode) NetworkVPC {
	m := v.Model
	out := NetworkVPC{
		ID: m.ID, Name: v.Names[m.ID], Account: m.Account, CIDRs: texts(m.CIDRs), Internet: v.Internet, FlowLogs: m.FlowLogs, Nodes: nodes,
	}
	for _, o := range m.Subnets {
		sub := NetworkSubnet{
			ID: o.ID, Name: v.Names[o.ID], CIDR: o.CIDR.String(), ACL: v.ACLs[o.ID], Open: o.NetworkACL == "", RouteTable: o.RouteTable,
		}
		for _, t := range m.RouteTables {
			if t.ID == o.RouteTable {
				for _, r := range t.Routes {
					sub.Routes = append(sub.Routes, NetworkRoute{r.CIDR.String(), r.Target})
				}
			}
		}
		for _, e := range m.Endpoints {
			if slices.Contains(e.RouteTables, o.RouteTable) {
				sub.Routes = append(sub.Routes, NetworkRoute{e.PrefixList, e.ID})
			}
		}
		out.Subnets = append(out.Subnets, sub)
	}
	slices.SortFunc(out.Subnets, func(a, b NetworkSubnet) int {
		return netip.MustParsePrefix(a.CIDR).Addr().Compare(netip.MustParsePrefix(b.CIDR).Addr())
	})
	for _, g := range m.SecurityGroups {
		group := NetworkGroup{ID: g.ID, Name: v.Names[g.ID]}
		for _, r := range v.Rules {
			if r.Group == g.ID {
				group.Rules = append(group.Rules, ruleText(v, r))
			}
		}
		for _, o := range g.Outside {
			group.Outside = append(group.Outside, outsideText(o))
		}
		out.Groups = append(out.Groups, group)
	}
	for _, a := range m.Attachments {
		out.Attachments = append(out.Attachments, NetworkAttachment{a.ID, a.Gateway})
	}
	for id, why := range v.Idle {
		out.Idle = append(out.Idle, NetworkIdle{id, why})
	}
	slices.SortFunc(out.Idle, func(a, b NetworkIdle) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func texts[T fmt.Stringer](list []T) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = x.String()
	}
	return out
}

// ruleText is a rule in words: "sgr-… in: tcp 443 from sg-… (work)".
func ruleText(v *ec2.Survey, r ec2.SurveyedRule) string {
	way, from := "in", "from"
	if r.Egress {
		way, from = "out", "to"
	}
	peer := cmp.Or(r.Rule.Group, r.Rule.PrefixList)
	if peer == "" {
		peer = r.Rule.CIDR.String()
	} else if name := v.Names[peer]; name != "" {
		peer += " (" + name + ")"
	}
	text := fmt.Sprintf("%s %s: %s %s %s", r.ID, way, portsOf(&r.Rule), from, peer)
	if r.Description != "" {
		text += ": " + r.Description
	}
	return text
}

func outsideText(o netmodel.OutsideRule) string {
	ports := make([]string, len(o.Ports))
	for i, p := range o.Ports {
		ports[i] = fmt.Sprint(p)
	}
	return o.Name + ":" + strings.Join(ports, ",")
}

// mapTransits are the gateways to which a VPC of the map is attached.
func mapTransits(a *atlas) []NetworkTransit {
	var out []NetworkTransit
	for _, g := range a.cloud.Gateways {
		vpcs := map[string]string{} // by attachment
		shown := false
		for _, t := range g.Attachments {
			vpcs[t.ID] = t.VPC
			shown = shown || a.vpcs[t.VPC] != nil
		}
		if !shown {
			continue
		}
		gateway := NetworkTransit{ID: g.ID, Account: g.Account}
		for _, t := range g.RouteTables {
			table := NetworkTransitTable{ID: t.ID}
			for _, at := range g.Attachments {
				if at.RouteTable == t.ID {
					table.Associated = append(table.Associated, at.VPC)
				}
			}
			for _, r := range t.Routes {
				table.Routes = append(table.Routes, NetworkRoute{r.CIDR.String(), vpcs[r.Attachment]})
			}
			gateway.Tables = append(gateway.Tables, table)
		}
		out = append(out, gateway)
	}
	return out
}
