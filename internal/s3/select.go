package s3

import (
	"strconv"

	"bawn.dev/internal/shape/s3"
)

// A selection is what a read asks for of an object.
type selection struct {
	object *object
	part   *part       // nil: all of it
	piece  *uploadPart // it was asked for by number; nil: not, or the object is no upload's
	count  *int32      // how many of those there are, if one was asked for
}

// choose reads Range and PartNumber. As with AWS the parts of an object are counted
// from 1, whatever numbers they were uploaded under. An object that came in one is part 1
// of itself.
func (o *object) choose(q querier, header string, number *int32) (*selection, error) {
	l := &selection{object: o}
	var err error
	if number == nil {
		l.part, err = parseRange(header, o.size)
		return l, err
	}
	n := *number
	if header != "" {
		return nil, badRequest("Cannot specify both Range header and partNumber query parameter")
	}
	if err := checkPartNumber(n); err != nil {
		return nil, err
	}
	if o.upload == "" {
		if n > 1 {
			return nil, invalidPartNumber(n, 1)
		}
		l.part = &part{0, o.size}
		return l, nil
	}
	parts, err := partsOf(q, o)
	if err != nil {
		return nil, err
	}
	if int(n) > len(parts) {
		return nil, invalidPartNumber(n, len(parts))
	}
	start := int64(0)
	for _, p := range parts[:n-1] {
		start += p.size
	}
	count := int32(len(parts))
	l.part, l.piece, l.count = &part{start, parts[n-1].size}, &parts[n-1], &count
	return l, nil
}

func invalidPartNumber(n int32, count int) error {
	e := fail(416, "InvalidPartNumber", "The requested partnumber is not satisfiable")
	e.Fields = map[string]string{"ActualPartCount": strconv.Itoa(count), "PartNumberRequested": strconv.Itoa(int(n))}
	return e
}

// checksum is that of exactly the selected bytes, or of the whole object if they are all
// of it; of others there is none. It holds what the store says of the object against
// what was uploaded in any case.
func (l *selection) checksum(key []byte, arn string) (string, error) {
	o := l.object
	sum, err := o.checksum(key, arn)
	if err != nil {
		return "", err
	}
	if l.piece != nil {
		if _, kind := checksumKind(o.algorithm); kind == s3.ChecksumTypeComposite {
			return l.piece.checksum(key, arn, o.upload)
		}
		return "", nil
	}
	if l.part != nil && (l.part.start > 0 || l.part.length < o.size || l.count != nil) {
		return "", nil
	}
	return sum, nil
}
