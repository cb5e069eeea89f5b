package main

import "slices"

// Heights of what is drawn besides nodes.
const (
	headHeight = 62 // of the drawing
	vpcHead    = 26
	bandHead   = 20
	tableLine  = 14
	maxTable   = 150 // flows in the table
	maxCell    = 52  // columns of its cells
	maxNote    = 180
)

// place gives everything its coordinates: first down, then across.
func (d *drawing) place() {
	y := headHeight
	for _, t := range d.vpcs {
		t.x, t.y = margin, y
		y += vpcHead
		for _, b := range t.bands {
			b.y = y
			y += bandHead
			for _, r := range b.rows {
				y = r.place(y)
			}
			if len(b.rows) == 0 {
				y += 8
			}
			b.h = y - b.y
			y += 8
		}
		t.h = y - t.y
		y += 22
	}
	for _, t := range d.vpcs {
		d.inner = max(d.inner, t.content())
	}
	x := margin + d.inner + 12
	for _, t := range d.vpcs {
		t.local.x = x
	}
	for _, t := range d.vpcs {
		x = max(x, t.local.x+len(t.local.wires)*lane+8)
	}
	for _, t := range d.vpcs {
		t.w = x - t.x
	}
	x += nodeGap
	if wide := d.farWidth(); wide > 0 {
		d.beyond = x
		d.placeFar()
		x += wide + nodeGap
	}
	if n := len(d.relays.wires); n > 0 {
		d.relays.x = x
		x += n*lane + nodeGap
	}
	for _, t := range d.transits {
		x = d.placeTransit(t, x+10)
	}
	d.width = max(x+margin, 900)
	d.height = y
}

// place stands a row's nodes at y and answers where its gutter ends.
func (r *row) place(y int) int {
	x, tall := margin+12, 0
	for _, b := range slices.Concat(r.boxes, r.far) {
		tall = max(tall, b.h)
	}
	r.y, r.bottom = y, y+tall
	for _, b := range r.boxes {
		b.x, b.y, b.h = x, y, tall
		x += b.w + nodeGap
		b.placePins()
	}
	return r.bottom + pinStrip + len(r.lanes)*lane + 8
}

func (b *box) placePins() {
	x := b.x + 20
	for _, p := range b.pins {
		p.x = x + p.w/2
		x += p.w
	}
}

// exit is where a node's own wires leave it.
func (b *box) exit() int { return b.x + 9 }

// laneY is the height of a wire in a row's gutter.
func (r *row) laneY(w *wire) int {
	return r.bottom + pinStrip + slices.Index(r.lanes, w)*lane + 4
}

func (c *channel) laneX(w *wire) int { return c.x + slices.Index(c.wires, w)*lane }

// content is how wide a VPC's nodes and titles are.
func (t *district) content() int {
	wide := int(float64(textWidth(t.title()+t.about()))*headWidth) + 30
	for _, b := range t.bands {
		wide = max(wide, int(float64(textWidth(b.title))*charWidth)+30)
		for _, r := range b.rows {
			if n := len(r.boxes); n > 0 {
				wide = max(wide, r.boxes[n-1].x+r.boxes[n-1].w-margin+12)
			}
		}
	}
	return wide
}

func (d *drawing) rows() []*row {
	var out []*row
	for _, t := range d.vpcs {
		for _, b := range t.bands {
			out = append(out, b.rows...)
		}
	}
	return out
}

func (d *drawing) farWidth() int {
	wide := 0
	for _, r := range d.rows() {
		row := 0
		for _, b := range r.far {
			row += b.w + nodeGap
		}
		wide = max(wide, row)
	}
	return wide
}

func (d *drawing) placeFar() {
	for _, r := range d.rows() {
		x := d.beyond
		for _, b := range r.far {
			b.x, b.y = x, r.bottom-b.h
			x += b.w + nodeGap
			b.placePins()
		}
	}
}

// placeTransit stands a gateway beside the VPCs that it joins, and answers where it
// ends.
func (d *drawing) placeTransit(t *transitBox, x int) int {
	top, bottom := -1, 0
	for _, v := range d.vpcs {
		for _, a := range v.Attachments {
			if a.Gateway == t.ID {
				if top < 0 {
					top = v.y
				}
				bottom = v.y + v.h
			}
		}
	}
	t.y, t.h = top, bottom-top
	t.w = max(34, len(t.wires)*lane+20)
	t.channel.x = x + 14 + 12
	t.w += 12
	return x + t.w
}

// x of a transit gateway's box.
func (t *transitBox) left() int { return t.channel.x - 26 }
