package policy

import (
	"fmt"
	"strings"
)

// String tells the derivation in lines for a reader: the verdict, the note, then each
// policy with its statements, and under a statement its conditions.
func (x Explanation) String() string {
	var b strings.Builder
	b.WriteString(x.Decision.String() + "\n")
	if x.Note != "" {
		b.WriteString(x.Note + "\n")
	}
	for _, p := range x.Policies {
		b.WriteString(p.Gate.String())
		if p.Gate == GateSCP || p.Gate == GateRCP {
			fmt.Fprintf(&b, ", level %d", p.Level)
		}
		fmt.Fprintf(&b, ": %q\n", p.Doc)
		if p.Unreadable {
			b.WriteString("  could not be read, and so refuses\n")
		}
		for _, s := range p.Statements {
			s.write(&b)
		}
	}
	return b.String()
}

func (s *StatementTrace) write(b *strings.Builder) {
	fmt.Fprintf(b, "  statement %d", s.Index)
	if s.Sid != "" {
		fmt.Fprintf(b, " %q", s.Sid)
	}
	if s.Matched {
		fmt.Fprintf(b, ": %s matches: it %s\n", s.Effect, s.Why)
	} else {
		fmt.Fprintf(b, ": %s does not match: %s: %s\n", s.Effect, s.Element, s.Why)
	}
	for _, c := range s.Conditions {
		fmt.Fprintf(b, "    %s %s %q: %s: %s\n", c.Operator, c.Key, c.Want, either(c.Met, "met", "not met"), c.Why)
	}
}

// String is the verdict in one line, with the statement that decided.
func (d Decision) String() string {
	var b strings.Builder
	switch {
	case d.Allowed:
		b.WriteString("allowed by " + d.Gate.String())
	case d.Explicit:
		b.WriteString("denied by " + d.Gate.String())
	default:
		b.WriteString("not allowed by " + d.Gate.String())
	}
	if d.Doc != "" {
		fmt.Fprintf(&b, " %q", d.Doc)
		if (d.Allowed || d.Explicit) && d.Gate != GateGrant {
			fmt.Fprintf(&b, ", statement %d", d.Index)
		}
	}
	if d.Sid != "" {
		fmt.Fprintf(&b, " %q", d.Sid)
	}
	return b.String()
}
