package s3

import (
	"encoding/base64"
	"strconv"
	"strings"

	"bawn.dev/internal/shape/s3"
)

const maxWhole = 5 << 40 // bytes of an object in parts

// A partList is the list that completes an upload, held against the parts that are
// stored.
type partList struct {
	in        *s3.CompleteMultipartUploadInput
	arn       string
	key       []byte
	algorithm string // as a row says it
	least     int64  // bytes of each part but the last

	chosen []uploadPart
	sums   []string // of each
	size   int64
}

// choose finds the parts that are listed.
func (l *partList) choose(stored []uploadPart) error {
	last := int32(0)
	list := l.in.MultipartUpload.Parts
	for i := range list {
		want := &list[i]
		if want.PartNumber == nil {
			return fail(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
		}
		n := *want.PartNumber
		if err := checkPartNumber(n); err != nil {
			return err
		}
		if n <= last {
			e := fail(400, "InvalidPartOrder", "The list of parts was not in ascending order. The parts list must be specified in order by part number.")
			e.Fields = map[string]string{"UploadId": l.in.UploadId}
			return e
		}
		last = n
		for len(stored) > 0 && stored[0].number < n {
			stored = stored[1:]
		}
		if len(stored) == 0 || stored[0].number != n || strings.Trim(want.ETag, `"`) != stored[0].etag {
			return l.invalid(want)
		}
		part := stored[0]
		sum, stated, err := part.checksums(l.key, l.arn, l.in.UploadId)
		if err != nil {
			return err
		}
		if err := l.compare(want, sum, stated); err != nil {
			return err
		}
		l.chosen, l.sums, l.size = append(l.chosen, part), append(l.sums, sum), l.size+part.size
	}
	for _, part := range l.chosen[:max(0, len(l.chosen)-1)] {
		if part.size < l.least {
			e := fail(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
			e.Fields = map[string]string{"ProposedSize": strconv.FormatInt(part.size, 10), "MinSizeAllowed": strconv.FormatInt(l.least, 10),
				"PartNumber": strconv.Itoa(int(part.number)), "ETag": part.etag}
			return e
		}
	}
	return nil
}

func (l *partList) invalid(want *s3.CompletedPart) error {
	e := fail(400, "InvalidPart", "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
	e.Fields = map[string]string{"UploadId": l.in.UploadId, "PartNumber": strconv.Itoa(int(*want.PartNumber)), "ETag": strings.Trim(want.ETag, `"`)}
	return e
}

// compare holds what is listed of a part's checksum against what is stored of it. As
// with AWS a composite checksum needs each.
func (l *partList) compare(want *s3.CompletedPart, sum, other string) error {
	name, kind := checksumKind(l.algorithm)
	stated := false
	for i, text := range []string{want.ChecksumCRC64NVME, want.ChecksumCRC32, want.ChecksumCRC32C, want.ChecksumSHA1, want.ChecksumSHA256} {
		switch {
		case text == "":
		case (algorithms[i].name != name || text != sum) && string(algorithms[i].name)+" "+text != other:
			return l.invalid(want)
		default:
			stated = true
		}
	}
	if !stated && kind == s3.ChecksumTypeComposite {
		return badRequest("The upload was created using a " + strings.ToLower(string(name)) + " checksum. The complete request must include the checksum for each part. " +
			"It was missing for part " + strconv.Itoa(int(*want.PartNumber)) + " in the request.")
	}
	return nil
}

// whole is the checksum of the object that the parts make up. It must be what the
// request says of it.
func (l *partList) whole() (string, error) {
	if l.size > maxWhole {
		return "", tooLarge()
	}
	if stated := l.in.MpuObjectSize; stated != nil && *stated != l.size {
		return "", badRequest("The provided 'x-amz-mp-object-size' header value " + strconv.FormatInt(*stated, 10) + " does not match what was computed: " + strconv.FormatInt(l.size, 10))
	}
	name, kind := checksumKind(l.algorithm)
	if asked := l.in.ChecksumType; asked != "" && asked != kind {
		return "", badRequest("The upload was created using the " + string(kind) + " checksum mode. The complete request must use the same checksum mode.")
	}
	a, _ := byName(name)
	sum := ""
	if kind == s3.ChecksumTypeComposite {
		sum = ofSums(a, l.sums) + "-" + strconv.Itoa(len(l.sums))
	} else {
		sum = l.combined(name)
	}
	for i, stated := range []string{l.in.ChecksumCRC64NVME, l.in.ChecksumCRC32, l.in.ChecksumCRC32C, l.in.ChecksumSHA1, l.in.ChecksumSHA256} {
		switch {
		case stated == "":
		case algorithms[i].name != name:
			return "", badRequest("The upload was created using a " + strings.ToLower(string(name)) + " checksum. The complete request must use the same checksum.")
		case stated != sum && (kind != s3.ChecksumTypeComposite || stated+"-"+strconv.Itoa(len(l.sums)) != sum):
			return "", badDigest(a)
		}
	}
	return sum, nil
}

// ofSums is the checksum of checksums, one after the other.
func ofSums(a algorithm, sums []string) string {
	h := a.new()
	for _, sum := range sums {
		raw, _ := base64.StdEncoding.DecodeString(sum) // our own
		h.Write(raw)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// combined is the checksum of the parts' bytes, one after the other.
func (l *partList) combined(name s3.ChecksumAlgorithm) string {
	p, _ := polynomialOf(name)
	var crc uint64
	for i, sum := range l.sums {
		next, _ := p.crcNumber(sum) // our own
		crc = p.combine(crc, next, l.chosen[i].size)
	}
	return p.crcText(crc)
}
