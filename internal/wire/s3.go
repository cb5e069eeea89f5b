package wire

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// s3Subresources are S3's query keys that change what a request means. One that no served operation has is refused by name.
func s3Subresources() []string {
	return []string{
		"abac", "accelerate", "acl", "analytics", "annotation", "attributes", "cors", "delete", "encryption", "intelligent-tiering",
		"inventory", "legal-hold", "lifecycle", "location", "logging", "metadataConfiguration", "metadataTable", "metrics",
		"notification", "object-lock", "ownershipControls", "partNumber", "policy", "policyStatus", "publicAccessBlock",
		"renameObject", "replication", "requestPayment", "restore", "retention", "select", "session", "tagging", "torrent",
		"uploadId", "uploads", "versioning", "versions", "website",
	}
}

// s3Summed are the operations whose documents must come with a checksum, as S3 has it: what a damaged one does cannot be undone.
func s3Summed() []string {
	return []string{"DeleteObjects", "PutObjectLegalHold", "PutObjectLockConfiguration", "PutObjectRetention"}
}

// s3Address finds bucket and key in host and path.
func (r *Router) s3Address(req *http.Request) (bucket, key string, err error) {
	path := strings.TrimPrefix(req.URL.EscapedPath(), "/")
	bucket, virtual := r.hostBucket(req.Host)
	rest := path
	if !virtual {
		bucket, rest, _ = strings.Cut(path, "/")
		if bucket, err = url.PathUnescape(bucket); err != nil {
			return "", "", invalidURI()
		}
	}
	if key, err = url.PathUnescape(rest); err != nil || !utf8.ValidString(key) || !utf8.ValidString(bucket) {
		return "", "", invalidURI()
	}
	if bucket == "" && (virtual || path != "") || strings.Contains(bucket, "/") {
		return "", "", Errorf("InvalidBucketName", "The specified bucket is not valid.")
	}
	if virtual && strings.Contains(bucket, ".") {
		return "", "", Errorf("InvalidBucketName", "A bucket whose name holds a dot is addressed by path.")
	}
	return bucket, key, nil
}

func invalidURI() *Error { return Errorf("InvalidURI", "Couldn't parse the specified URI.") }

// hostBucket takes the bucket from a virtual-host address: <bucket>.s3.amazonaws.com and its regional, dual-stack and FIPS forms, and
// <bucket>.<host> for the configured hosts.
func (r *Router) hostBucket(host string) (string, bool) {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, base := range r.hosts {
		if bucket, ok := strings.CutSuffix(host, "."+base); ok && bucket != "s3" {
			return strings.TrimSuffix(bucket, ".s3"), true
		}
	}
	name, ok := strings.CutSuffix(host, ".amazonaws.com")
	if !ok {
		return "", false
	}
	labels := strings.Split(name, ".")
	for i := len(labels) - 1; i >= 0 && i >= len(labels)-3; i-- {
		if (labels[i] == "s3" || labels[i] == "s3-fips") && plainS3(labels[i+1:]) {
			return strings.Join(labels[:i], "."), i > 0
		}
	}
	return "", false
}

// plainS3 tells whether what follows the label s3 is a region, perhaps after "dualstack".
func plainS3(labels []string) bool {
	if len(labels) > 0 && labels[0] == "dualstack" {
		labels = labels[1:]
		return len(labels) == 1
	}
	return len(labels) <= 1
}

// findS3 matches an S3 request. A sub-resource decides before the method does, so that one that is not served never falls through to
// the object or bucket itself.
func (r *Router) findS3(m *Match, req *http.Request, s *service, query url.Values) (*operation, error) {
	bucket, key, err := r.s3Address(req)
	if err != nil {
		return nil, err
	}
	if versions, given := query["versionId"]; given && slices.Contains(versions, "") {
		// It would be taken for none, and so for the newest version.
		return nil, Errorf("InvalidArgument", "Version id cannot be the empty string").With("ArgumentName", "versionId").With("ArgumentValue", "")
	}
	m.labels = map[string]string{}
	level := 0
	if bucket != "" {
		level, m.labels["Bucket"] = 1, bucket
	}
	if key != "" {
		level, m.labels["Key"] = 2, key
	}
	var subresources []string
	for _, name := range s3Subresources() {
		if query.Has(name) {
			subresources = append(subresources, name)
		}
	}
	if query.Has("list-type") {
		subresources = append(subresources, "list-type")
	}
	asked := strings.Join(subresources, " together with ")
	for _, op := range s.ordered {
		if op.Method == req.Method && len(op.route.segments) == level && op.route.fixedIn(query) &&
			op.route.meant(subresources, query) && op.route.headers[copySource] == (req.Header.Get(copySource) != "") {
			return op, nil
		}
	}
	if _, one := query["id"]; one && req.Method == http.MethodGet && level == 1 && slices.Contains(s3Collections(), asked) {
		return nil, Errorf("NoSuchConfiguration", "The specified configuration does not exist.").WithStatus(http.StatusNotFound).With("BucketName", bucket)
	}
	if asked != "" {
		return nil, s.notImplemented(asked)
	}
	return nil, Errorf("MethodNotAllowed", "The specified method is not allowed against this resource.").
		WithStatus(http.StatusMethodNotAllowed).With("Method", req.Method)
}

// copySource is the header that makes a PUT a copy.
const copySource = "x-amz-copy-source"

// s3Collections are subresources with configurations that have ids. There are none of
// them here.
func s3Collections() []string {
	return []string{"analytics", "intelligent-tiering", "inventory", "metrics"}
}

// meant says whether an operation is for the subresources that a request has: it
// takes each of them, and all that it needs are there.
func (rt route) meant(subresources []string, query url.Values) bool {
	for _, name := range subresources {
		_, fixed := rt.fixed[name]
		if _, arg := rt.args[name]; !fixed && !arg {
			return false
		}
		if _, id := query["id"]; id && slices.Contains(s3Collections(), name) {
			return false
		}
	}
	for name, required := range rt.args {
		if required && !query.Has(name) {
			return false
		}
	}
	return true
}

// distinction tells operations of one method and path apart.
func (rt route) distinction() string {
	var parts []string
	for name, required := range rt.args {
		if required {
			parts = append(parts, name)
		}
	}
	if rt.headers[copySource] {
		parts = append(parts, copySource)
	}
	slices.Sort(parts)
	return " " + strings.Join(parts, " ")
}

func (s *service) notImplemented(what string) *Error {
	return Errorf("NotImplemented", "%s is not implemented.", what).WithStatus(http.StatusNotImplemented)
}
