package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"bawn.dev/internal/server"
)

// A denial is what was denied for one cause.
type denial struct {
	Error  string    `json:"error"`
	Cause  string    `json:"cause"`
	Action string    `json:"action"`
	Who    string    `json:"who"` // the person, or the principal where there is none
	Count  int       `json:"count"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	Event  string    `json:"eventId"` // of the last
}

// count shows denials by cause, the most frequent first.
func (c *auditCmd) count(ctx context.Context, req server.AuditRequest) error {
	causes := map[denial]*denial{}
	err := c.pages(ctx, req, func(lines []server.AuditLine) error { return counted(causes, lines) })
	if err != nil {
		return err
	}
	var all []*denial
	for _, d := range causes {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *denial) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), b.Last.Compare(a.Last), strings.Compare(a.Event, b.Event))
	})
	return showDenials(os.Stdout, c.Output, all)
}

// counted adds lines, the newest first, to what was counted.
func counted(causes map[denial]*denial, lines []server.AuditLine) error {
	for _, l := range lines {
		var e event
		if err := json.Unmarshal(l.Event, &e); err != nil {
			return err
		}
		codes := []string{e.ErrorCode}
		if e.ErrorCode == "" {
			codes = slices.DeleteFunc(e.failed(), func(code string) bool { return !server.Denied(code) })
		}
		for _, code := range codes {
			key := denial{Error: code, Cause: cause(e.ErrorMessage), Action: action(e), Who: who(l, e)}
			d := causes[key]
			if d == nil {
				told := key
				told.Last, told.Event = e.EventTime, e.EventID
				d = &told
				causes[key] = d
			}
			d.Count++
			d.First = e.EventTime
		}
	}
	return nil
}

// who is the person or, where none stands behind the call, the principal. Whose
// credential was tried in vain may not have tried it.
func who(l server.AuditLine, e event) string {
	switch {
	case l.Person == "":
		return principal(e)
	case e.UserIdentity.Type == "Unknown":
		return "Unknown, with a credential of " + l.Person
	}
	return l.Person
}

// cause is the end of a refusal: which kind of policy it was. What comes before names
// who and what.
func cause(message string) string {
	at := max(strings.LastIndex(message, " because "), strings.LastIndex(message, " with an explicit deny in "))
	return strings.TrimPrefix(message[at+1:], "because ")
}

func showDenials(to io.Writer, format string, all []*denial) error {
	switch format {
	case "json":
		for _, d := range all {
			text, err := json.Marshal(d)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(to, ascii(text)); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		lines := csvLine("count", "error", "cause", "action", "who", "first", "last", "eventId")
		for _, d := range all {
			lines += csvLine(fmt.Sprint(d.Count), d.Error, d.Cause, d.Action, d.Who, d.First.UTC().Format(time.RFC3339), d.Last.UTC().Format(time.RFC3339), d.Event)
		}
		_, err := io.WriteString(to, lines)
		return err
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "COUNT\tERROR\tACTION\tWHO\tLAST\tCAUSE\tEVENT")
	for _, d := range all {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", d.Count, visible(d.Error), visible(d.Action), visible(d.Who),
			d.Last.Local().Format(time.DateTime), visible(d.Cause), visible(d.Event))
	}
	if len(all) > 0 {
		fmt.Fprintln(w, "\nbawn explain --request EVENT says which policy and statement.")
	}
	return w.Flush()
}
