package ec2

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// logFormat is AWS's default, version 2 ("Flow log records" in the VPC user guide).
const logFormat = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"

// A flowRecord is one flow as a log tells it.
type flowRecord struct {
	*Flow
	account, region, zone string
	version               int
	of                    *networkInterface
}

// A flowField is one field of a record. What is of the flow is not known when records
// were lost, and is a hyphen then.
type flowField struct {
	version int // of the format that has it first
	ofFlow  bool
	value   func(*flowRecord) string
}

// flowFields are those that mean something here. There is no instance, no outpost or
// local zone, and no way on which packets could leave.
func flowFields() map[string]flowField {
	fixed := func(version int, value func(*flowRecord) string) flowField { return flowField{version, false, value} }
	flow := func(version int, value func(*flowRecord) string) flowField { return flowField{version, true, value} }
	hyphen := func(*flowRecord) string { return "-" }
	source := func(r *flowRecord) string { return r.Src.Addr().String() }
	destination := func(r *flowRecord) string { return r.Dst.Addr().String() }
	return map[string]flowField{
		"version":      fixed(2, func(r *flowRecord) string { return strconv.Itoa(r.version) }),
		"account-id":   fixed(2, func(r *flowRecord) string { return r.account }),
		"interface-id": fixed(2, func(r *flowRecord) string { return r.of.ID }),
		"srcaddr":      flow(2, source),
		"dstaddr":      flow(2, destination),
		"srcport":      flow(2, func(r *flowRecord) string { return strconv.Itoa(int(r.Src.Port())) }),
		"dstport":      flow(2, func(r *flowRecord) string { return strconv.Itoa(int(r.Dst.Port())) }),
		"protocol":     flow(2, func(r *flowRecord) string { return strconv.Itoa(int(r.Protocol)) }),
		"packets":      flow(2, func(r *flowRecord) string { return strconv.FormatUint(r.Packets, 10) }),
		"bytes":        flow(2, func(r *flowRecord) string { return strconv.FormatUint(r.Bytes, 10) }),
		"start":        fixed(2, func(r *flowRecord) string { return strconv.FormatInt(r.Start.Unix(), 10) }),
		"end":          fixed(2, func(r *flowRecord) string { return strconv.FormatInt(r.End.Unix(), 10) }),
		"action":       flow(2, func(r *flowRecord) string { return r.Action }),
		"log-status":   fixed(2, (*flowRecord).status),

		"vpc-id":      fixed(3, func(r *flowRecord) string { return r.of.VPC }),
		"subnet-id":   fixed(3, func(r *flowRecord) string { return r.of.Subnet }),
		"instance-id": fixed(3, hyphen), // as AWS has it for an interface that a service made
		"type":        flow(3, func(*flowRecord) string { return "IPv4" }),
		"pkt-srcaddr": flow(3, source), // nothing translates addresses
		"pkt-dstaddr": flow(3, destination),

		"region": fixed(4, func(r *flowRecord) string { return r.region }),
		"az-id":  fixed(4, func(r *flowRecord) string { return r.zone }),

		"flow-direction": flow(5, (*flowRecord).direction),
	}
}

func (r *flowRecord) lost() bool { return r.Action == skipped }

func (r *flowRecord) status() string {
	if r.lost() {
		return skipped
	}
	return "OK"
}

// direction is as the interface sees it.
func (r *flowRecord) direction() string {
	switch r.of.Address {
	case netip.Addr{}:
	case r.Src.Addr():
		return "egress"
	case r.Dst.Addr():
		return "ingress"
	}
	return "-"
}

// parseFormat reads a LogFormat: fields in the order in which a record has them.
func parseFormat(text string) (fields []flowField, version int, err error) {
	all, seen := flowFields(), []string{}
	for _, f := range strings.Split(text, " ") {
		name, begun := strings.CutPrefix(f, "${")
		name, ended := strings.CutSuffix(name, "}")
		field, known := all[name]
		switch {
		case !begun || !ended:
			return nil, 0, fail("InvalidParameter", "LogFormat has %.64q where a field such as ${srcaddr} should be, between single spaces.", f)
		case !known:
			return nil, 0, fail("InvalidParameter", "LogFormat has the unknown field ${%.64s}, or one that means nothing here.", name)
		case slices.Contains(seen, name):
			return nil, 0, fail("InvalidParameter", "LogFormat has the field ${%s} twice.", name)
		}
		fields, seen, version = append(fields, field), append(seen, name), max(version, field.version)
	}
	return fields, version, nil
}

// A formatter writes records of one log.
type formatter struct {
	fields  []flowField
	version int
}

func (l *flowLog) formatter() (*formatter, error) {
	format := l.Format
	if format == "" {
		format = logFormat
	}
	fields, version, err := parseFormat(format)
	if err != nil {
		return nil, fmt.Errorf("ec2: the stored format of %s: %w", l.ID, err)
	}
	return &formatter{fields, version}, nil
}

func (f *formatter) line(r flowRecord) Line {
	r.version = f.version
	words := make([]string, len(f.fields))
	for i, field := range f.fields {
		words[i] = "-"
		if !field.ofFlow || !r.lost() {
			words[i] = field.value(&r)
		}
	}
	return Line{r.End, strings.Join(words, " ")}
}
