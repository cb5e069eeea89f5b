package s3

import (
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
)

// An algorithm is one of S3's checksums. They find damage in transit; what
// protects bytes is the signature and the seal.
type algorithm struct {
	name   s3.ChecksumAlgorithm
	header string
	make   func() hash.Hash
	weak   bool // outside the FIPS module's approved list
}

var algorithms = [...]algorithm{
	{s3.ChecksumAlgorithmCrc64nvme, "x-amz-checksum-crc64nvme", newCRC64, false},
	{s3.ChecksumAlgorithmCrc32, "x-amz-checksum-crc32", func() hash.Hash { return crc32.NewIEEE() }, false},
	{s3.ChecksumAlgorithmCrc32c, "x-amz-checksum-crc32c", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }, false},
	{s3.ChecksumAlgorithmSha1, "x-amz-checksum-sha1", sha1.New, true},
	{s3.ChecksumAlgorithmSha256, "x-amz-checksum-sha256", sha256.New, false},
}

// A check compares a body with the checksums that came with it. Feed it the whole
// body, then ask done.
type check struct {
	algorithm algorithm
	hash      hash.Hash
	stated    string // empty: in the trailer, or not at all
	md5       hash.Hash
	statedMD5 []byte
	also      hash.Hash // of the bytes too, and compared with nothing; nil: nothing
}

// newCheck reads which checksums an upload states, or announces as a trailing
// header. Not every SDK names the algorithm beside the announcement.
func newCheck(in *sums, announced func(header string) bool) (*check, error) {
	c := &check{algorithm: algorithms[0]}
	stated := in.stated
	found := 0
	for i, a := range algorithms {
		if found == 0 && announced(strings.ToLower(a.header)) {
			c.algorithm = a
		}
		if stated[i] == "" {
			continue
		}
		c.algorithm, c.stated = a, stated[i]
		found++
	}
	if found > 1 {
		return nil, badRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	}
	if in.algorithm != "" {
		a, ok := byName(in.algorithm)
		switch {
		case !ok:
			return nil, notServed("The checksum algorithm " + string(in.algorithm))
		case found == 1 && a.name != c.algorithm.name:
			return nil, badRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
		}
		c.algorithm = a
	}
	c.hash = c.algorithm.new()
	if c.stated != "" {
		if sum, err := base64.StdEncoding.DecodeString(c.stated); err != nil || len(sum) != c.hash.Size() {
			return nil, badRequest("Value for " + c.algorithm.header + " header is invalid.")
		}
	}
	if in.md5 != "" {
		sum, err := base64.StdEncoding.DecodeString(in.md5)
		if err != nil || len(sum) != md5.Size {
			return nil, fail(400, "InvalidDigest", "The Content-MD5 you specified is not valid.")
		}
		c.statedMD5, c.md5 = sum, unenforced{md5.New}.open()
	}
	return c, nil
}

// sums are the checksums that a request states.
type sums struct {
	algorithm s3.ChecksumAlgorithm
	stated    [len(algorithms)]string // in the order of algorithms
	md5       string
}

func sumsOf(in *s3.PutObjectInput) *sums {
	return &sums{
		in.ChecksumAlgorithm,
		[...]string{in.ChecksumCRC64NVME, in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumSHA1, in.ChecksumSHA256},
		in.ContentMD5,
	}
}

func byName(name s3.ChecksumAlgorithm) (algorithm, bool) {
	for _, a := range algorithms {
		if a.name == name {
			return a, true
		}
	}
	return algorithm{}, false
}

// composite is how a row's algorithm ends if the checksum is not of an object's bytes
// but of the checksums of its parts.
const composite = " " + string(s3.ChecksumTypeComposite)

// checksumKind reads a row's algorithm.
func checksumKind(text string) (s3.ChecksumAlgorithm, s3.ChecksumType) {
	if name, ok := strings.CutSuffix(text, composite); ok {
		return s3.ChecksumAlgorithm(name), s3.ChecksumTypeComposite
	}
	return s3.ChecksumAlgorithm(text), s3.ChecksumTypeFullObject
}

// uploadKind is what CreateMultipartUpload asks for, as a row says it. Of the parts'
// checksums only a CRC gives that of the whole.
func uploadKind(name s3.ChecksumAlgorithm, kind s3.ChecksumType) (string, error) {
	if name == "" {
		if kind != "" {
			return "", badRequest("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		name = s3.ChecksumAlgorithmCrc64nvme
	}
	if _, ok := byName(name); !ok {
		return "", notServed("The checksum algorithm " + string(name))
	}
	_, crc := polynomialOf(name)
	switch {
	case kind == "" && name == s3.ChecksumAlgorithmCrc64nvme:
		kind = s3.ChecksumTypeFullObject
	case kind == "":
		kind = s3.ChecksumTypeComposite
	}
	if kind == s3.ChecksumTypeFullObject && !crc || kind == s3.ChecksumTypeComposite && name == s3.ChecksumAlgorithmCrc64nvme {
		return "", badRequest("The " + string(kind) + " checksum type cannot be used with the " + strings.ToLower(string(name)) + " checksum algorithm.")
	}
	if kind == s3.ChecksumTypeComposite {
		return string(name) + composite, nil
	}
	return string(name), nil
}

// newPartCheck is newCheck for a part of an upload with a checksum of its own kind. If
// that was nobody's choice, the parts may come with any other beside it.
func newPartCheck(in *sums, kind string, chosen bool, announced func(header string) bool) (*check, error) {
	name, _ := checksumKind(kind)
	if in.silent(announced) {
		in.algorithm = name
	}
	c, err := newCheck(in, announced)
	if err == nil && c.algorithm.name != name && !chosen {
		a, _ := byName(name)
		c.also = a.new()
		return c, nil
	}
	if err == nil && c.algorithm.name != name {
		return nil, badRequest("Checksum Type mismatch occurred, expected checksum Type: " + strings.ToLower(string(name)) +
			", actual checksum Type: " + strings.ToLower(string(c.algorithm.name)))
	}
	return c, err
}

// silent says whether a request states and announces no checksum.
func (in *sums) silent(announced func(header string) bool) bool {
	for i, a := range algorithms {
		if in.stated[i] != "" || announced(a.header) {
			return false
		}
	}
	return in.algorithm == ""
}

// sumMember picks the member that a checksum belongs in, of those in the order of
// algorithms. text is a row's algorithm.
func sumMember(text string, members ...*string) *string {
	name, _ := checksumKind(text)
	for i, a := range algorithms {
		if a.name == name {
			return members[i]
		}
	}
	return new(string)
}

func (c *check) Write(p []byte) (int, error) {
	c.hash.Write(p)
	if c.md5 != nil {
		c.md5.Write(p)
	}
	if c.also != nil {
		c.also.Write(p)
	}
	return len(p), nil
}

// done compares, once the body was read to its end, and answers the checksum in
// base64. trailer finds trailing headers.
func (c *check) done(trailer func(string) string) (string, error) {
	if c.md5 != nil && subtle.ConstantTimeCompare(c.md5.Sum(nil), c.statedMD5) != 1 {
		return "", fail(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
	}
	sum := base64.StdEncoding.EncodeToString(c.hash.Sum(nil))
	stated := c.stated
	for _, a := range algorithms {
		switch t := trailer(a.header); {
		case t == "":
		case a.name != c.algorithm.name || stated != "":
			return "", badRequest("The trailing checksum is not of the algorithm that x-amz-sdk-checksum-algorithm names.")
		default:
			stated = t
		}
	}
	if stated != "" && stated != sum {
		return "", badDigest(c.algorithm)
	}
	return sum, nil
}

func badDigest(a algorithm) *api.Error {
	return fail(400, "BadDigest", "The "+string(a.name)+" you specified did not match the calculated checksum.")
}

func (a algorithm) new() hash.Hash {
	if a.weak {
		return unenforced{a.make}.open()
	}
	return a.make()
}

// unenforced lets a hash that S3's protocol fixes be computed where the FIPS
// module is enforced: it protects nothing.
type unenforced struct{ make func() hash.Hash }

func (u unenforced) open() hash.Hash {
	var h hash.Hash
	fips140.WithoutEnforcement(func() { h = u.make() })
	return weakHash{h}
}

type weakHash struct{ hash.Hash }

func (w weakHash) Write(p []byte) (n int, err error) {
	fips140.WithoutEnforcement(func() { n, err = w.Hash.Write(p) })
	return n, err
}

func (w weakHash) Sum(b []byte) (sum []byte) {
	fips140.WithoutEnforcement(func() { sum = w.Hash.Sum(b) })
	return sum
}
