package main

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"

	"bawn.dev/internal/server"
)

// palette are colours that colour-blind people can tell apart, dark enough to print.
var palette = []string{"#0072b2", "#d55e00", "#00805f", "#a8508a", "#8a6d00", "#3a3aa8", "#8b2020", "#2f7d9a"}

const ink = "#1a1a1a"

func colour(i int) string {
	if i < 0 {
		return "#444444"
	}
	return palette[i%len(palette)]
}

// drawSVG draws the networks. It holds no script, no link and nothing of others'
// making but text.
func drawSVG(to io.Writer, m *server.NetworkMap) error {
	d := layOut(m)
	s := &sketch{}
	body := d.draw(s)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" `+
		`font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="10" fill="%[3]s">`+"\n", d.width, body, ink)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", d.width, body)
	b.WriteString(s.String())
	b.WriteString("</svg>\n")
	_, err := io.WriteString(to, b.String())
	return err
}

// A sketch collects shapes.
type sketch struct{ strings.Builder }

func (s *sketch) rect(x, y, w, h int, style string) {
	fmt.Fprintf(s, `<rect x="%d" y="%d" width="%d" height="%d" %s/>`+"\n", x, y, w, h, style)
}

// text writes what may be anybody's: it is escaped here, and nowhere else.
func (s *sketch) text(x, y int, style, text string) {
	fmt.Fprintf(s, `<text x="%d" y="%d" %s>%s</text>`+"\n", x, y, style, html.EscapeString(text))
}

func (s *sketch) path(style string, points ...int) {
	s.WriteString(`<path d="M`)
	for i := 0; i < len(points); i += 2 {
		if i > 0 {
			s.WriteString(" L")
		}
		fmt.Fprintf(s, "%d %d", points[i], points[i+1])
	}
	fmt.Fprintf(s, `" fill="none" %s/>`+"\n", style)
}

func (s *sketch) dot(x, y int, fill string) {
	fmt.Fprintf(s, `<circle cx="%d" cy="%d" r="2.6" fill="%s"/>`+"\n", x, y, fill)
}

// draw draws everything and answers how high it came to be.
func (d *drawing) draw(s *sketch) int {
	sans := `font-family="DejaVu Sans, Verdana, sans-serif"`
	s.text(margin, 28, sans+` font-size="17" font-weight="bold"`, "Networks as they are enforced")
	s.text(margin, 46, sans+` font-size="11"`, d.m.Time.Format("2006-01-02 15:04:05 MST")+
		". The wires are all that passes. Not drawn: every interface reaches the name server and the credentials of its own VPC.")
	for _, t := range d.vpcs {
		d.drawVPC(s, t)
	}
	for _, t := range d.transits {
		d.drawTransit(s, t)
	}
	for _, w := range d.wires {
		d.drawWire(s, w)
	}
	for _, r := range d.rows() {
		for _, b := range slices.Concat(r.boxes, r.far) {
			b.draw(s)
		}
	}
	y := d.drawLegend(s, d.height)
	return d.drawTable(s, y+16) + margin
}

func (d *drawing) drawVPC(s *sketch, t *district) {
	s.rect(t.x, t.y, t.w, t.h, `rx="6" fill="#f4f6f8" stroke="#1a1a1a" stroke-width="1.4"`)
	s.text(t.x+12, t.y+18, `font-size="12" font-weight="bold"`, t.title())
	s.text(t.x+t.w-12, t.y+18, `text-anchor="end"`, t.about())
	for _, b := range t.bands {
		style := `rx="3" fill="#ffffff" stroke="#8a929a"`
		if b.title == inNoSubnet {
			style = `rx="3" fill="none" stroke="#8a929a" stroke-dasharray="4 3"`
		}
		s.rect(t.x+6, b.y, d.inner, b.h, style)
		s.text(t.x+12, b.y+14, `fill="#4a4f55"`, b.title)
	}
}

func (t *district) title() string {
	return named(t.ID, t.Name) + " · " + visible(strings.Join(t.CIDRs, ", "))
}

// about is what there is to say of a VPC besides.
func (t *district) about() string {
	about := "account " + visible(t.Account)
	if t.Internet != "" {
		about += ", " + visible(t.Internet)
	}
	if t.FlowLogs {
		about += ", flow logs"
	}
	for _, a := range t.Attachments {
		about += ", " + visible(a.ID)
	}
	return about
}

func (d *drawing) drawTransit(s *sketch, t *transitBox) {
	for _, v := range d.vpcs {
		for _, a := range v.Attachments {
			if a.Gateway == t.ID {
				s.path(`stroke="#d3d8dd" stroke-width="8"`, v.x+v.w, v.y+13, t.left(), v.y+13)
			}
		}
	}
	s.rect(t.left(), t.y, t.w, t.h, `rx="6" fill="#fbf7ec" stroke="#1a1a1a" stroke-width="1.4"`)
	fmt.Fprintf(s, `<text transform="translate(%d %d) rotate(90)" font-size="11" font-weight="bold">%s</text>`+"\n",
		t.left()+8, t.y+12, html.EscapeString("transit gateway "+visible(t.ID)))
}

// drawWire draws a wire with its branches: first the lanes that it lies in, then
// from where it comes and where it goes.
func (d *drawing) drawWire(s *sketch, w *wire) {
	fill := colour(w.colour)
	style := `stroke="` + fill + `" stroke-width="1.5"`
	if w.relay {
		style += ` stroke-dasharray="5 3"`
	}
	lanes := map[*row][]int{w.from.row: {w.from.exit()}}
	order := []*row{w.from.row}
	channels := map[*channel][]int{}
	var used []*channel
	for _, r := range w.runs {
		if lanes[r.to.row] == nil {
			order = append(order, r.to.row)
		}
		lanes[r.to.row] = append(lanes[r.to.row], r.pin.x)
		if r.to.row == w.from.row {
			continue
		}
		c := d.channelOf(w, r.to)
		if channels[c] == nil {
			used = append(used, c)
			channels[c] = []int{w.from.row.laneY(w)}
			lanes[w.from.row] = append(lanes[w.from.row], c.laneX(w))
		}
		if y := r.to.row.laneY(w); !slices.Contains(channels[c], y) {
			channels[c] = append(channels[c], y)
			lanes[r.to.row] = append(lanes[r.to.row], c.laneX(w))
		}
	}
	for _, r := range order {
		y := r.laneY(w)
		s.path(style, slices.Min(lanes[r]), y, slices.Max(lanes[r]), y)
		for _, x := range joints(lanes[r]) {
			s.dot(x, y, fill)
		}
	}
	for _, c := range used {
		x := c.laneX(w)
		s.path(style, x, slices.Min(channels[c]), x, slices.Max(channels[c]))
		for _, y := range joints(channels[c]) {
			s.dot(x, y, fill)
		}
	}
	s.path(style, w.from.exit(), w.from.row.bottom, w.from.exit(), w.from.row.laneY(w))
	for _, r := range w.runs {
		foot := r.to.y + r.to.h
		s.path(style, r.pin.x, r.to.row.laneY(w), r.pin.x, foot+4)
		fmt.Fprintf(s, `<path d="M%d %d l-3.5 6 h7 z" fill="%s"/>`+"\n", r.pin.x, foot+1, fill)
		if r.pin.label != "" {
			s.text(r.pin.x, foot+15, `font-size="9" text-anchor="middle" stroke="#ffffff" stroke-width="3" paint-order="stroke"`, r.pin.label)
		}
	}
}

// joints are where a wire branches: all points on a lane but its ends.
func joints(at []int) []int {
	low, high := slices.Min(at), slices.Max(at)
	return slices.DeleteFunc(slices.Clone(at), func(x int) bool { return x == low || x == high })
}

func (b *box) draw(s *sketch) {
	style := `rx="4" fill="#ffffff" stroke="#1a1a1a"`
	switch b.node.Kind {
	case server.NodeEndpoint, server.NodeDialer:
		style = `rx="12" fill="#ffffff" stroke="#1a1a1a" stroke-width="1.6"`
	case server.NodeNAT:
		style = `rx="4" fill="#eeeeee" stroke="#1a1a1a" stroke-width="1.6"`
	case server.NodeOutside, server.NodeSite:
		style = `rx="4" fill="#ffffff" stroke="#1a1a1a" stroke-dasharray="6 3"`
	}
	s.rect(b.x, b.y, b.w, b.h, style)
	for i, c := range b.colours {
		s.rect(b.x+4+i*5, b.y+6, 3, b.h-12, `fill="`+colour(c)+`"`)
	}
	x := b.x + 10 + max(0, len(b.colours)-1)*5
	for i, l := range b.lines {
		weight := ""
		if i == 0 {
			weight = ` font-weight="bold"`
		}
		s.text(x, b.y+15+i*lineGap, `font-size="10"`+weight, l)
	}
}

// drawLegend says what the shapes and colours mean.
func (d *drawing) drawLegend(s *sketch, y int) int {
	x := margin
	item := func(wide int, mark func(x, y int), text string) {
		w := wide + int(float64(textWidth(text))*charWidth) + 22
		if x+w > d.width-margin && x > margin {
			x, y = margin, y+18
		}
		mark(x, y)
		s.text(x+wide+5, y+9, "", text)
		x += w
	}
	shape := func(style string) func(int, int) {
		return func(x, y int) { s.rect(x, y, 20, 12, style) }
	}
	y += 14
	item(20, shape(`rx="2" fill="#ffffff" stroke="#1a1a1a"`), "interface of a workload")
	item(20, shape(`rx="6" fill="#ffffff" stroke="#1a1a1a" stroke-width="1.6"`), "endpoint")
	item(20, shape(`rx="2" fill="#eeeeee" stroke="#1a1a1a" stroke-width="1.6"`), "NAT gateway")
	item(20, shape(`rx="2" fill="#ffffff" stroke="#1a1a1a" stroke-dasharray="6 3"`), "outside")
	item(26, func(x, y int) {
		s.path(`stroke="#444444" stroke-width="1.5"`, x, y+6, x+26, y+6)
		s.dot(x+13, y+6, "#444444")
	}, "may connect to; a dot is a branch, a crossing is none; labels are ports (TCP unless they say)")
	item(26, func(x, y int) {
		s.path(`stroke="#444444" stroke-width="1.5" stroke-dasharray="5 3"`, x, y+6, x+26, y+6)
	}, "the server itself connects on")
	x, y = margin, y+20
	for _, t := range d.vpcs {
		for _, g := range t.Groups {
			if !d.wears(t, g.ID) {
				continue
			}
			item(8, func(x, y int) { s.rect(x, y, 6, 12, `fill="`+colour(d.colours[g.ID])+`"`) }, cut(named(g.ID, g.Name), 60))
		}
	}
	return y + 18
}

// wears says whether anything of a VPC is in a group.
func (d *drawing) wears(t *district, group string) bool {
	return slices.ContainsFunc(t.Nodes, func(n server.NetworkNode) bool { return slices.Contains(n.Groups, group) })
}

// drawTable lists the flows and what a picture does not show, and answers where it
// ends.
func (d *drawing) drawTable(s *sketch, y int) int {
	titles := flowTitles(d.m)
	cells := [][]string{{"#", "from", "to", "what passes", "by"}}
	for i, f := range d.m.Flows[:min(len(d.m.Flows), maxTable)] {
		ports := visible(cmp.Or(strings.Join(f.Ports, ", "), "names outside"))
		if f.Some {
			ports += " *"
		}
		cells = append(cells, []string{fmt.Sprint(i + 1), titles[f.From], flowTarget(&f, titles), ports, visible(f.Via)})
	}
	x, rows := margin, y+10
	for column := range cells[0] {
		wide := 0
		for i, row := range cells {
			style := ""
			if i == 0 {
				style = `font-weight="bold"`
			}
			text := cut(row[column], maxCell)
			wide = max(wide, textWidth(text))
			s.text(x, rows+i*tableLine, style, text)
		}
		x += int(float64(wide)*charWidth) + 20
	}
	y = rows + len(cells)*tableLine
	for _, l := range d.notes() {
		s.text(margin, y, "", cut(l, maxNote))
		y += tableLine
	}
	return y
}

// notes are what a picture does not show.
func (d *drawing) notes() []string {
	var out []string
	if more := len(d.m.Flows) - maxTable; more > 0 {
		out = append(out, fmt.Sprintf("and %d more: see bawn network", more))
	}
	if d.m.LeftOut > 0 {
		out = append(out, fmt.Sprintf("%d pairs were left out", d.m.LeftOut))
	}
	if slices.ContainsFunc(d.m.Flows, func(f server.NetworkFlow) bool { return f.Some }) {
		out = append(out, "* from some source ports only: a network ACL refuses replies to others")
	}
	for _, t := range d.m.Transits {
		for _, table := range t.Tables {
			var routes []string
			for _, r := range table.Routes {
				routes = append(routes, visible(r.To)+" to "+visible(cmp.Or(r.Target, "nowhere")))
			}
			out = append(out, visible(table.ID)+", for "+visible(cmp.Or(strings.Join(table.Associated, ", "), "nobody"))+": "+strings.Join(routes, ", "))
		}
	}
	for _, v := range d.m.VPCs {
		for _, i := range v.Idle {
			out = append(out, visible(i.ID)+" is without effect: "+visible(i.Why))
		}
	}
	return out
}
