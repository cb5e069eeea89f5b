package lake

import (
	"crypto/sha256"
	"slices"
)

// A mark is the same for parts that always have the same value.
type mark [sha256.Size]byte

func marked(n node, parts []mark) mark {
	h := sha256.New()
	h.Write([]byte(n.named()))
	for _, p := range parts {
		h.Write(p[:])
	}
	return mark(h.Sum(nil))
}

// settle refuses what means nothing, aggregates where single events are meant and single
// events among aggregates, and has the shown parts of a grouped question look at what
// groups keep: first what they are grouped by, then their tallies.
func (s *Statement) settle() error {
	if s.where != nil && aggregates(s.where) {
		return invalid("WHERE is asked of each event: it counts nothing")
	}
	s.grouped = len(s.group) > 0 || s.having != nil ||
		slices.ContainsFunc(s.columns, func(c selected) bool { return aggregates(c.node) }) ||
		slices.ContainsFunc(s.order, func(o ordering) bool { return aggregates(o.node) })
	if !s.grouped {
		return nil
	}
	if s.all {
		return invalid("* cannot be grouped")
	}
	g := grouping{Statement: s, kept: map[mark]kept{}}
	for i, n := range s.group {
		if aggregates(n) {
			return invalid("GROUP BY is asked of each event: it counts nothing")
		}
		_, m, _ := g.look(n)
		if _, twice := g.kept[m]; !twice {
			g.kept[m] = kept(i)
		}
	}
	g.known = true
	var err error
	for i := range s.columns {
		if s.columns[i].node, err = g.shown(s.columns[i].node); err != nil {
			return err
		}
	}
	for i := range s.order {
		if s.order[i].node, err = g.shown(s.order[i].node); err != nil {
			return err
		}
	}
	if s.having != nil {
		s.having, err = g.shown(s.having)
	}
	return err
}

type grouping struct {
	*Statement
	kept  map[mark]kept
	known bool // what it is grouped by
}

func (g *grouping) shown(n node) (node, error) {
	out, _, open := g.look(n)
	if open != nil {
		return nil, invalid("%s is neither grouped by nor counted", token{quoted, open.steps[len(open.steps)-1]}.brief())
	}
	return out, nil
}

// look answers a node that looks at what its group keeps, and a part of it that has no
// one value in a group, if there is any.
func (g *grouping) look(n node) (out node, m mark, open *path) {
	old := n.parts()
	parts, marks := make([]node, len(old)), make([]mark, len(old))
	for i, p := range old {
		var inner *path
		if parts[i], marks[i], inner = g.look(p); inner != nil {
			open = inner
		}
	}
	m = marked(n, marks)
	if !g.known {
		return n, m, open
	}
	if k, ok := g.kept[m]; ok {
		return k, m, nil
	}
	switch n := n.(type) {
	case *path:
		return n, m, n
	case *tally: // which looks at events, not at the group
		g.kept[m] = kept(len(g.group) + len(g.tallies))
		g.tallies = append(g.tallies, n)
		return g.kept[m], m, nil
	}
	return n.with(parts), m, open
}
