package wire

import (
	"net/http"
	"strings"

	"bawn.dev/internal/shape"
)

// s3Control is the API that manages S3 and signs under S3's name. Its paths begin with its version, and its clients name an account
// in a header that S3 itself refuses: no request can be meant for both.
const (
	s3Control        = "s3control"
	controlNamespace = "http://awss3control.amazonaws.com/doc/2018-08-20/"
)

func isControl(req *http.Request) bool {
	return strings.HasPrefix(req.URL.EscapedPath(), "/v20180820/") && len(req.Header.Values("X-Amz-Account-Id")) > 0
}

// namespace is that of a REST service's documents.
func (s *service) namespace() string {
	if s.Name == s3Control {
		return controlNamespace
	}
	return s3Namespace
}

// routed says whether the service's operations are found by path alone.
func (s *service) routed(control bool) bool {
	return s.Protocol == shape.RestJSON || control && s.Name == s3Control
}
