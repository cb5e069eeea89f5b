package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"bawn.dev/internal/arn"
	"bawn.dev/internal/server"
)

// drawText writes the networks as a tree, and the flows as a table. Names are text
// that others chose.
func drawText(to io.Writer, m *server.NetworkMap) error {
	var b strings.Builder
	if len(m.VPCs) == 0 {
		b.WriteString("There is no VPC.\n")
	}
	for i := range m.VPCs {
		if i > 0 {
			b.WriteString("\n")
		}
		treeOf(&b, &m.VPCs[i])
	}
	for _, g := range m.Transits {
		fmt.Fprintf(&b, "\n%s, transit gateway of %s\n", visible(g.ID), visible(g.Account))
		for _, t := range g.Tables {
			fmt.Fprintf(&b, "  %s, for what comes from %s\n", visible(t.ID), visible(cmp.Or(strings.Join(t.Associated, ", "), "nowhere")))
			for _, r := range t.Routes {
				fmt.Fprintf(&b, "    %s to %s\n", visible(r.To), visible(cmp.Or(r.Target, "nowhere (black hole)")))
			}
		}
	}
	if len(m.VPCs) > 0 {
		fmt.Fprintf(&b, "\nWhat passes, at %s. Nothing else does, but for the name server and the credentials of the VPC itself.\n", m.Time.Format(time.RFC3339))
		flowTable(&b, m)
	}
	_, err := io.WriteString(to, b.String())
	return err
}

func named(id, name string) string {
	if name == "" {
		return visible(id)
	}
	return visible(id) + " (" + visible(name) + ")"
}

func treeOf(b *strings.Builder, v *server.NetworkVPC) {
	fmt.Fprintf(b, "%s of %s: %s", named(v.ID, v.Name), visible(v.Account), visible(strings.Join(v.CIDRs, ", ")))
	if v.Internet != "" {
		fmt.Fprintf(b, ", %s attached", visible(v.Internet))
	}
	if v.FlowLogs {
		b.WriteString(", flow logs")
	}
	b.WriteString("\n")
	names := groupNames(v)
	for _, s := range v.Subnets {
		open := ""
		if s.Open {
			open = " (lets everything pass)"
		}
		fmt.Fprintf(b, "  %s %s, %s, %s%s\n", named(s.ID, s.Name), visible(s.CIDR), visible(s.RouteTable), visible(s.ACL), open)
		for _, r := range s.Routes {
			fmt.Fprintf(b, "    route %s to %s\n", visible(r.To), visible(cmp.Or(r.Target, "nowhere")))
		}
		for _, n := range v.Nodes {
			if len(n.Subnets) > 0 && n.Subnets[0] == s.ID {
				nodeText(b, &n, names)
			}
		}
	}
	for _, n := range v.Nodes {
		if len(n.Subnets) == 0 {
			nodeText(b, &n, names)
		}
	}
	for _, g := range v.Groups {
		fmt.Fprintf(b, "  %s\n", named(g.ID, g.Name))
		for _, r := range g.Rules {
			fmt.Fprintf(b, "    %s\n", visible(r))
		}
		for _, o := range g.Outside {
			fmt.Fprintf(b, "    outside: %s\n", visible(o))
		}
	}
	for _, a := range v.Attachments {
		fmt.Fprintf(b, "  %s joins it to %s\n", visible(a.ID), visible(a.Gateway))
	}
	for _, i := range v.Idle {
		fmt.Fprintf(b, "  %s is without effect: %s\n", visible(i.ID), visible(i.Why))
	}
}

// groupNames are what people call groups, by id.
func groupNames(v *server.NetworkVPC) map[string]string {
	names := map[string]string{}
	for _, g := range v.Groups {
		names[g.ID] = cmp.Or(g.Name, g.ID)
	}
	return names
}

func groupsText(groups []string, names map[string]string) string {
	if len(groups) == 0 {
		return ""
	}
	shown := make([]string, len(groups))
	for i, g := range groups {
		shown[i] = visible(cmp.Or(names[g], g))
	}
	return " [" + strings.Join(shown, ", ") + "]"
}

func nodeText(b *strings.Builder, n *server.NetworkNode, names map[string]string) {
	fmt.Fprintf(b, "    %s%s", nodeTitle(n), groupsText(n.Groups, names))
	if n.Service != "" {
		fmt.Fprintf(b, " %s", visible(n.Service))
	}
	if n.Policy {
		b.WriteString(", with a policy")
	}
	b.WriteString("\n")
	for _, m := range n.Members {
		fmt.Fprintf(b, "      %s\n", strings.TrimSpace(visible(m.ID)+" "+visible(m.Address)+ownerText(m)))
	}
	for _, l := range n.Lines {
		fmt.Fprintf(b, "      %s\n", visible(l))
	}
}

// nodeTitle is what a node is, in words.
func nodeTitle(n *server.NetworkNode) string {
	switch n.Kind {
	case server.NodeInterfaces:
		if len(n.Members) == 1 {
			return "interface"
		}
		return fmt.Sprintf("%d interfaces alike", len(n.Members))
	case server.NodeEndpoint:
		return "endpoint " + named(n.ID, n.Name)
	case server.NodeNAT:
		return "NAT gateway " + named(n.ID, n.Name)
	case server.NodeDialer:
		return "address from which connects"
	case server.NodeOutside:
		return "names outside"
	case server.NodeSite:
		return "site " + visible(n.Name)
	}
	return visible(n.Kind)
}

func ownerText(m server.NetworkMember) string {
	out := ""
	if m.Owner != "" {
		out = " " + visible(ownerName(m.Owner))
	}
	if m.Person != "" {
		out += " for " + visible(m.Person)
	}
	return out
}

// ownerName is the part of an ARN that says what it is.
func ownerName(owner string) string {
	if a, err := arn.Parse(owner); err == nil {
		return a.Resource
	}
	return owner
}

func flowTable(b *strings.Builder, m *server.NetworkMap) {
	titles := flowTitles(m)
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "#\tFROM\tTO\tPORTS\tBY")
	for i, f := range m.Flows {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", i+1, titles[f.From], flowTarget(&f, titles), visible(flowPorts(&f)), cmp.Or(visible(f.Via), "-"))
	}
	w.Flush()
	if m.LeftOut > 0 {
		fmt.Fprintf(b, "and %d more pairs that are not shown: ask for fewer VPCs with --vpc\n", m.LeftOut)
	}
}

func flowTarget(f *server.NetworkFlow, titles map[string]string) string {
	if f.Among {
		return "each other"
	}
	return titles[f.To]
}

// flowPorts are the ports of a flow, with what must be known about them.
func flowPorts(f *server.NetworkFlow) string {
	text := cmp.Or(strings.Join(f.Ports, ", "), "-")
	if f.Kind == server.FlowRelay {
		text += " (the server connects)"
	}
	if f.Some {
		text += " (from some source ports only: an ACL refuses replies to others)"
	}
	return text
}

// flowTitles name nodes in a table: by id, with the groups or the service.
func flowTitles(m *server.NetworkMap) map[string]string {
	titles := map[string]string{}
	for i := range m.VPCs {
		v := &m.VPCs[i]
		names := groupNames(v)
		for _, n := range v.Nodes {
			title := visible(n.ID)
			switch {
			case n.Kind == server.NodeOutside:
				title = "names outside"
			case n.Kind == server.NodeSite:
				title = nodeTitle(&n)
			case len(n.Members) > 1 && n.Kind == server.NodeInterfaces:
				title += fmt.Sprintf(" and %d more", len(n.Members)-1)
			case n.Service != "":
				title += " " + visible(shortService(n.Service))
			}
			if n.Kind == server.NodeInterfaces {
				title += groupsText(n.Groups, names)
			}
			titles[n.ID] = title
		}
	}
	return titles
}

// shortService is a service's name without what all names of services begin with.
func shortService(name string) string {
	if i := strings.Index(name, ".vpce-svc-"); i >= 0 {
		return name[i+1:]
	}
	parts := strings.SplitN(name, ".", 4) // com.amazonaws.REGION.SERVICE
	return parts[len(parts)-1]
}
