package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"bawn.dev/internal/server"
)

// event is what the table and csv show of a record.
type event struct {
	EventTime    time.Time `json:"eventTime"`
	EventName    string    `json:"eventName"`
	EventSource  string    `json:"eventSource"`
	EventID      string    `json:"eventID"`
	RequestID    string    `json:"requestID"`
	ErrorCode    string    `json:"errorCode"`
	ErrorMessage string    `json:"errorMessage"`
	SourceIP     string    `json:"sourceIPAddress"`
	Endpoint     string    `json:"vpcEndpointId"`
	Account      string    `json:"recipientAccountId"`
	ReadOnly     bool      `json:"readOnly"`
	UserIdentity struct {
		Type        string `json:"type"`
		ARN         string `json:"arn"`
		UserName    string `json:"userName"`
		InvokedBy   string `json:"invokedBy"`
		AccessKeyID string `json:"accessKeyId"`
		OnBehalfOf  struct {
			UserID string `json:"userId"`
		} `json:"onBehalfOf"`
		InScopeOf struct {
			SourceARN           string `json:"sourceArn"`
			CredentialsIssuedTo string `json:"credentialsIssuedTo"`
		} `json:"inScopeOf"`
	} `json:"userIdentity"`
	Resources []struct {
		ARN string `json:"ARN"`
	} `json:"resources"`
	Additional struct {
		Items []struct {
			ErrorCode string `json:"errorCode"`
		} `json:"items"`
	} `json:"additionalEventData"`
}

// failed are the error codes of the things that a call was about, each once.
func (e event) failed() (codes []string) {
	for _, item := range e.Additional.Items {
		if item.ErrorCode != "" && !slices.Contains(codes, item.ErrorCode) {
			codes = append(codes, item.ErrorCode)
		}
	}
	return codes
}

// An auditWriter shows records in one of the formats.
type auditWriter struct {
	to    io.Writer
	table *tabwriter.Writer // nil for the others, and for who follows
	show  func(server.AuditLine, event) string
}

const auditHead = "TIME\tPERSON\tPRINCIPAL\tACTION\tRESOURCE\tRESULT\n"

func newAuditWriter(to io.Writer, format string) (*auditWriter, error) {
	w := &auditWriter{to: to}
	switch format {
	case "json":
		w.show = func(l server.AuditLine, _ event) string { return ascii(l.Event) + "\n" }
		return w, nil
	case "csv":
		w.show = auditCSV
		_, err := io.WriteString(to, csvLine(auditColumns...))
		return w, err
	}
	w.table = tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	w.show = auditRow
	_, err := io.WriteString(w.table, auditHead)
	return w, err
}

func (w *auditWriter) write(lines ...server.AuditLine) error {
	to := w.to
	if w.table != nil {
		to = w.table
	}
	for _, l := range lines {
		var e event
		if err := json.Unmarshal(l.Event, &e); err != nil {
			return err
		}
		if _, err := io.WriteString(to, w.show(l, e)); err != nil {
			return err
		}
	}
	return nil
}

func (w *auditWriter) end() error {
	if w.table == nil {
		return nil
	}
	return w.table.Flush()
}

func auditRow(l server.AuditLine, e event) string {
	resource := "-"
	if len(e.Resources) > 0 {
		resource = e.Resources[0].ARN
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\n", e.EventTime.Local().Format(time.DateTime), visible(cmp.Or(l.Person, "-")), visible(principal(e)),
		visible(action(e)), visible(resource), visible(cmp.Or(e.ErrorCode, strings.Join(e.failed(), " "), "ok")))
}

func action(e event) string {
	return strings.TrimSuffix(e.EventSource, ".amazonaws.com") + ":" + e.EventName
}

func principal(e event) string {
	who := cmp.Or(e.UserIdentity.ARN, cmp.Or(e.UserIdentity.UserName, e.UserIdentity.Type))
	if i := strings.LastIndex(who, ":"); i >= 0 {
		who = who[i+1:]
	}
	if of := cmp.Or(e.UserIdentity.InScopeOf.CredentialsIssuedTo, e.UserIdentity.InScopeOf.SourceARN); of != "" {
		who += " of " + of[strings.LastIndex(of, ":")+1:]
	}
	if via := strings.TrimSuffix(e.UserIdentity.InvokedBy, ".amazonaws.com"); via != "" {
		who += " via " + via
	}
	return who
}

var auditColumns = []string{
	"time", "account", "person", "personId", "principal", "accessKeyId", "of", "invokedBy", "action", "readOnly", "resources",
	"errorCode", "errorMessage", "sourceIPAddress", "vpcEndpointId", "requestId", "eventId",
}

func auditCSV(l server.AuditLine, e event) string {
	var resources []string
	for _, r := range e.Resources {
		resources = append(resources, r.ARN)
	}
	u := e.UserIdentity
	return csvLine(e.EventTime.UTC().Format(time.RFC3339), e.Account, l.Person, u.OnBehalfOf.UserID, cmp.Or(u.ARN, u.UserName, u.Type), u.AccessKeyID,
		cmp.Or(u.InScopeOf.CredentialsIssuedTo, u.InScopeOf.SourceARN), u.InvokedBy, action(e), fmt.Sprint(e.ReadOnly), strings.Join(resources, " "),
		cmp.Or(e.ErrorCode, strings.Join(e.failed(), " ")), e.ErrorMessage, e.SourceIP, e.Endpoint, e.RequestID, e.EventID)
}

// csvLine quotes every cell, whatever a spreadsheet takes for the separator, and
// leaves none that it would take for a formula.
func csvLine(cells ...string) string {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteByte(',')
		}
		c = visible(c)
		if start := strings.TrimLeft(c, " \u00a0\u3000"); start != "" && strings.ContainsAny(start[:min(len(start), 3)], "=+-@＝＋－＠") &&
			strings.IndexAny(start, "=+-@＝＋－＠") == 0 {
			c = "'" + c
		}
		b.WriteString(`"` + strings.ReplaceAll(c, `"`, `""`) + `"`)
	}
	return b.String() + "\r\n"
}
