package wire

import (
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"hash/crc64"
	"net/http"
)

// checkSums compares a document with the checksums that its headers state. They find damage in transit and protect nothing against an
// attacker (the signature does): that is why MD5 and SHA-1, which S3's protocol fixes, may be used here outside the FIPS module's
// approved list.
//
// A header that is a member of the operation speaks of something else than the document. stated says whether any spoke of it.
func checkSums(members map[string]int, h http.Header, body []byte) (stated bool, err error) {
	for _, sum := range []struct {
		header string
		of     func([]byte) []byte
	}{
		{"Content-Md5", md5Sum},
		{"X-Amz-Checksum-Crc32", func(b []byte) []byte { return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }},
		{"X-Amz-Checksum-Crc32c", func(b []byte) []byte {
			return binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
		}},
		{"X-Amz-Checksum-Crc64nvme", func(b []byte) []byte {
			return binary.BigEndian.AppendUint64(nil, crc64.Checksum(b, crc64.MakeTable(0x9a6c9329ac4bc9b5)))
		}},
		{"X-Amz-Checksum-Sha1", sha1Sum},
		{"X-Amz-Checksum-Sha256", func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }},
	} {
		if _, member := members[sum.header]; member && sum.header != "Content-Md5" {
			continue
		}
		for _, text := range h.Values(sum.header) {
			stated = true
			want, err := base64.StdEncoding.DecodeString(text)
			got := sum.of(body)
			switch {
			case sum.header == "Content-Md5" && (err != nil || len(want) != md5.Size):
				return false, Errorf("InvalidDigest", "The Content-MD5 you specified is not valid.")
			case err != nil || len(want) != len(got):
				return false, Errorf("InvalidRequest", "Value for %s header is invalid.", http.CanonicalHeaderKey(sum.header))
			case string(want) != string(got):
				return false, Errorf("BadDigest", "The %s you specified did not match what we received.", sum.header)
			}
		}
	}
	return stated, nil
}

func md5Sum(b []byte) (sum []byte) {
	fips140.WithoutEnforcement(func() { s := md5.Sum(b); sum = s[:] })
	return sum
}

func sha1Sum(b []byte) (sum []byte) {
	fips140.WithoutEnforcement(func() { s := sha1.Sum(b); sum = s[:] })
	return sum
}
