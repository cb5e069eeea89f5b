package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"bawn.dev/internal/server"
)

// A drawing is laid out like a board: nodes are chips in rows; under each row is a
// gutter, and beside the rows are channels. What leaves a node is one wire, in a
// lane of its own in each gutter and channel that it runs through, and goes up into
// the pins of the nodes that it reaches. So no wire runs behind a node.

// Sizes, in pixels.
const (
	margin    = 24
	lane      = 9   // between wires
	pinStrip  = 22  // under a node, for the pins' labels
	charWidth = 6.1 // of text in a node
	pinChar   = 5.5 // of a label
	headWidth = 6.9 // of a VPC's title
	lineGap   = 14
	nodeGap   = 18
	rowLimit  = 940 // of a row of nodes, before another is begun
	perLine   = 30  // characters of a node's line
	shownTold = 8   // lines of names outside that a node shows
)

type drawing struct {
	m        *server.NetworkMap
	vpcs     []*district
	boxes    map[string]*box
	wires    []*wire // in the order of their sources
	relays   channel
	transits []*transitBox
	colours  map[string]int // of security groups
	inner    int            // width of the VPCs
	beyond   int            // x of what is outside, 0 for none
	width    int
	height   int
}

// A district is a VPC on the drawing.
type district struct {
	*server.NetworkVPC
	bands []*band
	local channel
	x, y  int
	w, h  int
}

// A band is a subnet, or holds what is in none.
type band struct {
	title string
	rows  []*row
	y, h  int
}

// A row of nodes has the gutter under it.
type row struct {
	boxes, far []*box // far are those outside of the VPC
	district   *district
	lanes      []*wire
	y, bottom  int // of the nodes
}

type box struct {
	node       *server.NetworkNode
	lines      []string
	colours    []int
	row        *row
	pins       []*pin
	out        *wire
	x, y, w, h int
}

// A pin is where a flow enters a node.
type pin struct {
	label string
	w, x  int
}

// A channel is where wires run up and down, each in a lane.
type channel struct {
	x     int
	wires []*wire
}

type transitBox struct {
	*server.NetworkTransit
	channel
	y, w, h int
}

// A wire is what leaves a node by one way: in its VPC, by a transit gateway, or as
// the server itself.
type wire struct {
	from   *box
	via    string
	relay  bool
	colour int
	runs   []run
}

type run struct {
	to  *box
	pin *pin
}

// inNoSubnet is the title of the band of gateway endpoints.
const inNoSubnet = "in no subnet: behind routes"

func layOut(m *server.NetworkMap) *drawing {
	d := &drawing{m: m, boxes: map[string]*box{}, colours: map[string]int{}}
	for i := range m.VPCs {
		d.district(&m.VPCs[i])
	}
	for i := range m.Transits {
		d.transits = append(d.transits, &transitBox{NetworkTransit: &m.Transits[i]})
	}
	d.route()
	d.place()
	return d
}

// district makes the boxes of a VPC.
func (d *drawing) district(v *server.NetworkVPC) {
	t := &district{NetworkVPC: v}
	d.vpcs = append(d.vpcs, t)
	for _, g := range v.Groups {
		d.colours[g.ID] = len(d.colours)
	}
	in := map[string]*band{}
	for _, s := range v.Subnets {
		title := named(s.ID, s.Name) + " · " + visible(s.CIDR) + " · " + visible(s.RouteTable) + routesText(s.Routes)
		if !s.Open {
			title += " · " + visible(s.ACL)
		}
		in[s.ID] = &band{title: title}
		t.bands = append(t.bands, in[s.ID])
	}
	in[""] = &band{title: inNoSubnet}
	t.bands = append(t.bands, in[""])
	where := map[string]*row{}
	var far []*box
	for i := range v.Nodes {
		n := &v.Nodes[i]
		b := d.box(n, groupNames(v))
		if n.Kind == server.NodeOutside || n.Kind == server.NodeSite {
			far = append(far, b)
			continue
		}
		home := ""
		if len(n.Subnets) > 0 {
			home = n.Subnets[0]
		}
		where[n.ID] = in[home].add(t, b)
	}
	t.bands = slices.DeleteFunc(t.bands, func(b *band) bool { return b == in[""] && len(b.rows) == 0 })
	for _, b := range far { // beside what leads there
		for _, f := range d.m.Flows {
			if r := where[f.From]; f.To == b.node.ID && r != nil {
				b.row = r
				r.far = append(r.far, b)
			}
		}
	}
}

func routesText(routes []server.NetworkRoute) string {
	var out []string
	for _, r := range routes {
		out = append(out, visible(r.To)+" to "+visible(cmp.Or(r.Target, "nowhere")))
	}
	if len(out) > 2 {
		out = append(out[:2], fmt.Sprintf("%d more", len(out)-2))
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, ", ") + ")"
}

func (b *band) add(t *district, x *box) *row {
	if n := len(b.rows); n > 0 {
		wide := x.w
		for _, o := range b.rows[n-1].boxes {
			wide += o.w + nodeGap
		}
		if wide <= rowLimit {
			x.row = b.rows[n-1]
			x.row.boxes = append(x.row.boxes, x)
			return x.row
		}
	}
	x.row = &row{boxes: []*box{x}, district: t}
	b.rows = append(b.rows, x.row)
	return x.row
}

// box makes a node's box: what it says, and how wide that and its pins are.
func (d *drawing) box(n *server.NetworkNode, names map[string]string) *box {
	b := &box{node: n}
	d.boxes[n.ID] = b
	for _, g := range n.Groups {
		b.colours = append(b.colours, d.colours[g])
	}
	b.lines = boxLines(n, names)
	for i := range d.m.Flows {
		if f := &d.m.Flows[i]; f.To == n.ID {
			p := &pin{label: pinLabel(f, i)}
			p.w = int(float64(len(p.label))*pinChar) + 10
			b.pins = append(b.pins, p)
		}
	}
	wide := 0
	for _, l := range b.lines {
		wide = max(wide, int(float64(textWidth(l))*charWidth)+20)
	}
	pins := 26
	for _, p := range b.pins {
		pins += p.w
	}
	b.w, b.h = max(110, wide, pins), len(b.lines)*lineGap+12
	return b
}

func boxLines(n *server.NetworkNode, names map[string]string) []string {
	lines := []string{boxTitle(n)}
	add := func(format string, a ...any) { lines = append(lines, fmt.Sprintf(format, a...)) }
	if n.Kind != server.NodeOutside && n.Kind != server.NodeSite {
		if lines[0] != visible(n.ID) {
			add("%s", visible(n.ID))
		}
		if len(n.Members) > 0 {
			add("%s", visible(n.Members[0].Address))
		}
	}
	if more := len(n.Members) - 1; more > 0 {
		lines[len(lines)-1] += fmt.Sprintf(" and %d more", more)
	}
	if len(n.Members) == 1 && n.Members[0].Person != "" {
		add("for %s", visible(n.Members[0].Person))
	}
	if len(n.Groups) > 0 {
		add("%s", strings.TrimSpace(groupsText(n.Groups, names)))
	}
	if n.Policy {
		add("endpoint policy besides")
	}
	told := n.Lines
	if len(told) > shownTold {
		told = append(slices.Clone(told[:shownTold]), fmt.Sprintf("and %d more", len(n.Lines)-shownTold))
	}
	for _, l := range told {
		add("%s", visible(l))
	}
	columns := perLine
	if n.Kind == server.NodeOutside {
		columns = 2 * perLine
	}
	for i := range lines {
		lines[i] = cut(lines[i], columns)
	}
	return lines
}

func boxTitle(n *server.NetworkNode) string {
	switch n.Kind {
	case server.NodeInterfaces:
		if len(n.Members) > 1 {
			return fmt.Sprintf("%d interfaces alike", len(n.Members))
		}
		owner := visible(ownerName(n.Members[0].Owner))
		return cmp.Or(visible(n.Name), owner[strings.LastIndexByte(owner, '/')+1:], "interface")
	case server.NodeEndpoint:
		return visible(cmp.Or(n.Name, shortService(n.Service)))
	case server.NodeNAT:
		return cmp.Or(visible(n.Name), "NAT gateway")
	case server.NodeDialer:
		return "from " + visible(shortService(n.Service))
	case server.NodeOutside:
		return "Internet: these names"
	}
	return nodeTitle(n)
}

// pinLabel is what passes, if that is short; else the number of the flow in the
// table.
func pinLabel(f *server.NetworkFlow, i int) string {
	ports := make([]string, len(f.Ports))
	for k, p := range f.Ports {
		ports[k] = strings.TrimPrefix(p, "tcp ")
	}
	text := strings.Join(ports, ", ")
	if f.Some {
		text += "*"
	}
	if len(text) > 14 {
		return fmt.Sprintf("#%d", i+1)
	}
	return text
}

// textWidth counts columns: letters of some scripts take two.
func textWidth(s string) int {
	n := 0
	for _, r := range s {
		if n++; r >= 0x1100 {
			n++
		}
	}
	return n
}

// cut shortens a text to so many columns.
func cut(s string, columns int) string {
	if textWidth(s) <= columns {
		return s
	}
	n := 0
	for i, r := range s {
		if n++; r >= 0x1100 {
			n++
		}
		if n >= columns {
			return s[:i] + "…"
		}
	}
	return s
}

// route makes the wires, and gives them lanes.
func (d *drawing) route() {
	taken := map[*box]int{}
	type way struct {
		from  *box
		via   string
		relay bool
	}
	have := map[way]*wire{}
	for _, f := range d.m.Flows {
		from, to := d.boxes[f.From], d.boxes[f.To]
		if from == nil || to == nil {
			continue
		}
		p := to.pins[taken[to]]
		taken[to]++
		k := way{from, f.Via, f.Kind == server.FlowRelay && from.row.district != to.row.district}
		w := have[k]
		if w == nil {
			w = &wire{from: from, via: f.Via, relay: f.Kind == server.FlowRelay, colour: -1}
			if len(from.colours) > 0 && !w.relay {
				w.colour = from.colours[0]
			}
			have[k] = w
			d.wires = append(d.wires, w)
		}
		w.runs = append(w.runs, run{to, p})
	}
	for _, w := range d.wires {
		w.from.out = w
		w.lanes(d)
	}
}

func (w *wire) lanes(d *drawing) {
	enter := func(r *row) {
		if !slices.Contains(r.lanes, w) {
			r.lanes = append(r.lanes, w)
		}
	}
	enter(w.from.row)
	for _, r := range w.runs {
		enter(r.to.row)
		if r.to.row == w.from.row {
			continue
		}
		if c := d.channelOf(w, r.to); !slices.Contains(c.wires, w) {
			c.wires = append(c.wires, w)
		}
	}
}

// channelOf is where a wire changes rows.
func (d *drawing) channelOf(w *wire, to *box) *channel {
	if w.from.row.district == to.row.district {
		return &w.from.row.district.local
	}
	for _, t := range d.transits {
		if t.ID == w.via {
			return &t.channel
		}
	}
	return &d.relays
}
