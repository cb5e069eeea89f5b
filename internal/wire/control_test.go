package wire

import (
	"errors"
	"net/http"
	"testing"

	"bawn.dev/internal/shape/s3control"
)

// A bucket may be named as S3 control's paths begin: what is asked of one is never asked of the other.
func TestControlAndBuckets(t *testing.T) {
	router := newRouter(t)
	with := func(r *http.Request) *http.Request {
		r.Header.Set("X-Amz-Account-Id", "123456789012")
		return r
	}
	m, err := router.Match(request("GET", "/v20180820/accessgrantsinstance", ""), "s3")
	if err != nil || m.Service.Name != "s3" || m.Operation.Name != "GetObject" {
		t.Errorf("an object: %v, %+v", err, m.Operation)
	}
	m, err = router.Match(with(request("GET", "/v20180820/accessgrantsinstance", "")), "s3")
	if err != nil || m.Service.Name != "s3control" || m.Operation.Name != "GetAccessGrantsInstance" {
		t.Errorf("an instance: %v, %+v", err, m.Operation)
	}
	m, err = router.Match(with(request("PUT", "/v20180820/nothing", "x")), "s3")
	if err == nil || m.Service.Name != "s3control" {
		t.Errorf("what S3 control does not know is taken for an object: %+v", m.Operation)
	}
	if _, err := decode(t, router, with(request("GET", "/bucket/key", "")), "s3"); err == nil {
		t.Error("an object of an account")
	}
}

func TestListsInQueries(t *testing.T) {
	router := newRouter(t)
	untag := func(query string) (any, error) {
		r := request("DELETE", "/v20180820/tags/arn%3Aaws%3As3%3Aus-east-1%3A123456789012%3Aaccess-grants/default?"+query, "")
		r.Header.Set("X-Amz-Account-Id", "123456789012")
		return decode(t, router, r, "s3")
	}
	in, err := untag("tagKeys=a&tagKeys=b")
	if err != nil {
		t.Fatal(err)
	}
	got := in.(*s3control.UntagResourceInput)
	if len(got.TagKeys) != 2 || got.TagKeys[1] != "b" || got.ResourceArn != "arn:aws:s3:us-east-1:123456789012:access-grants/default" {
		t.Errorf("%+v", got)
	}
	for _, query := range []string{"", "tagKeys=", "tagKeys=%26", "tagKeys=a&nonsense=b"} {
		var e *Error
		if in, err := untag(query); !errors.As(err, &e) {
			t.Errorf("%s: %+v, %v", query, in, err)
		}
	}
}
