package policy

// Parse reads a policy of the given kind and compiles it. It accepts exactly the
// language that AWS documents ("Grammar of the IAM JSON policy language") and
// refuses what other readers let pass: names that appear twice or in another
// case, unknown members and operators, null, empty lists, elements that the kind
// forbids. Every failure is an *Error.
//
// The limit on size is AWS's largest for the kind, counted as AWS counts it,
// without white space: 10,240 characters for identity policies, 32,768 for
// resource policies (a KMS key's), 8,192 for trust, 2,048 for session, 20,480 for
// endpoint, 10,240 for service control and 5,120 for resource control policies.
// Services apply their smaller ones.
func Parse(data []byte, kind Kind) (*Policy, error) {
	src := source(data)
	limit := maxSize(kind)
	switch {
	case limit == 0:
		return nil, src.fault(0, "the kind of policy was not said")
	case len(data) > maxRaw:
		return nil, src.fault(0, "the document is %d bytes long; the limit is %d", len(data), maxRaw)
	}
	if n := dense(data); n > limit {
		return nil, src.fault(0, "the document has %d characters without white space; a %s may have %d", n, kind, limit)
	}
	doc, err := newReader(src).document()
	if err != nil {
		return nil, err
	}
	c := compiler{src: src, kind: kind}
	return c.policy(doc)
}

// maxRaw bounds a document before anything looks at it, white space included.
const maxRaw = 128 << 10

func maxSize(kind Kind) int {
	switch kind {
	case Identity, SCP:
		return 10240
	case Resource:
		return 32768
	case Trust:
		return 8192
	case SessionPolicy:
		return 2048
	case Endpoint:
		return 20480
	case RCP:
		return 5120
	}
	return 0
}

// dense counts the bytes of a JSON text that are not white space between tokens.
func dense(data []byte) int {
	n, quoted := 0, false
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case quoted && c == '\\':
			i++
			n++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			continue
		}
		n++
	}
	return n
}
