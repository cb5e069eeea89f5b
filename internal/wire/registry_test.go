package wire

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/shape"
)

// saying makes a request for an operation that says one thing more, at the place where that thing travels.
func saying(op *operation, at shape.Location, name string) *http.Request {
	s := op.service
	switch s.Protocol {
	case shape.JSON:
		return targeted(s.TargetPrefix+"."+op.Name, `{"`+name+`":"x"}`)
	case shape.Query, shape.EC2:
		return form("Action=" + op.Name + "&Version=" + s.APIVersion + "&" + name + "=x")
	}
	path := "/" + strings.Join(op.route.segments, "/")
	path = strings.NewReplacer("{Bucket}", "example-bucket", "{Key+}", "key").Replace(path)
	var args []string
	for k, v := range op.route.fixed {
		args = append(args, k+"="+v)
	}
	body := ""
	switch at {
	case shape.QueryString:
		args = append(args, name+"=x")
	case shape.Body:
		body = `{"` + name + `":"x"}`
		if root := op.Input.XMLName; root != "" {
			body = "<" + root + "><" + name + ">x</" + name + "></" + root + ">"
		}
	}
	for needed, required := range op.route.args {
		if required && s.Name == "s3" && needed != name {
			args = append(args, needed+"=1")
		}
	}
	r := request(op.Method, path+"?"+strings.Join(args, "&"), body)
	if op.route.headers[copySource] {
		r.Header.Set(copySource, "b/k")
	}
	if s.Name == s3Control {
		r.Header.Set("X-Amz-Account-Id", "123456789012")
	}
	if at == shape.Header {
		r.Header.Set(name, "x")
	}
	return r
}

// TestNoOperationIgnoresAnything goes over all operations: each refuses, by its name, every member that AWS has and that is not served,
// and one that nobody has.
func TestNoOperationIgnoresAnything(t *testing.T) {
	router := newRouter(t)
	tried := 0
	for _, s := range router.services {
		for _, op := range s.ordered {
			refused := append([]shape.Refused{}, op.Input.Refused...)
			places := []shape.Location{shape.Body}
			if s.Protocol == shape.RestXML {
				places = []shape.Location{shape.Header, shape.QueryString}
			} else if s.Protocol == shape.RestJSON {
				places = []shape.Location{shape.Body, shape.QueryString}
			}
			for _, place := range places {
				refused = append(refused, shape.Refused{Name: "X-Amz-Nonsense", Location: place, Wire: "X-Amz-Nonsense"})
			}
			bodiless := s.Protocol == shape.RestJSON && !slices.ContainsFunc(op.Input.Fields, func(f shape.Field) bool { return f.Location == shape.Body })
			for _, r := range refused {
				if bodiless && r.Location == shape.Body {
					r.Wire = "takes no body"
				}
				if slices.Contains(op.Advisory, r.Name) {
					continue // answered as disabled: TestAdvisoryMembersAreIgnored
				}
				tried++
				_, err := decode(t, router, saying(op, r.Location, r.Wire), s.SigningName)
				e := (*Error)(nil)
				if !errors.As(err, &e) || !strings.Contains(strings.ToLower(e.Message), strings.ToLower(r.Wire)) {
					t.Errorf("%s.%s with %s: got %v", s.Name, op.Name, r.Wire, err)
				}
			}
		}
	}
	if tried < 300 {
		t.Errorf("only %d members were tried", tried)
	}
}

// TestAdvisoryMembersAreIgnored, and only they.
func TestAdvisoryMembersAreIgnored(t *testing.T) {
	all := models()
	for _, s := range all {
		if op := s.Operation("CreateKey"); op != nil {
			op.Advisory = []string{"MultiRegion"}
		}
		if op := s.Operation("CreateSAMLProvider"); op != nil && s.Name == "iam" {
			op.Advisory = []string{"AddPrivateKey"}
		}
	}
	router, err := NewRouter(all...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode(t, router, kmsCall("CreateKey", `{"MultiRegion":true}`), "kms"); err != nil {
		t.Error(err)
	}
	if _, err := decode(t, router, iamForm("CreateSAMLProvider&Name=n&AddPrivateKey=k&SAMLMetadataDocument="+strings.Repeat("x", 1000)), "iam"); err != nil {
		t.Error(err)
	}
	for _, body := range []string{`{"XksKeyId":"x"}`, `{"Tags":[{"TagKey":"k","TagValue":"v","MultiRegion":true}]}`} {
		if _, err := decode(t, router, kmsCall("CreateKey", body), "kms"); err == nil {
			t.Errorf("%s was accepted", body)
		}
	}
}
