package wire

import (
	"encoding/base64"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"bawn.dev/internal/shape"
)

// s3Namespace is the namespace of S3's documents.
const s3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// xmlWriter makes an XML document.
type xmlWriter struct {
	service *service
	buf     []byte
}

func (x *xmlWriter) open(name, namespace string) {
	x.buf = append(x.buf, '<')
	x.buf = append(x.buf, name...)
	if namespace != "" {
		x.buf = append(x.buf, ` xmlns="`...)
		x.text(namespace)
		x.buf = append(x.buf, '"')
	}
	x.buf = append(x.buf, '>')
}

func (x *xmlWriter) close(name string) {
	x.buf = append(x.buf, '<', '/')
	x.buf = append(x.buf, name...)
	x.buf = append(x.buf, '>')
}

func (x *xmlWriter) leaf(name, text string) {
	x.open(name, "")
	x.text(text)
	x.close(name)
}

// text escapes. Characters that XML cannot carry become the replacement character.
func (x *xmlWriter) text(s string) {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '&':
			x.buf = append(x.buf, "&amp;"...)
		case r == '<':
			x.buf = append(x.buf, "&lt;"...)
		case r == '>':
			x.buf = append(x.buf, "&gt;"...)
		case r == '"':
			x.buf = append(x.buf, "&quot;"...)
		case r == '\r':
			x.buf = append(x.buf, "&#xD;"...)
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			x.buf = append(x.buf, "\uFFFD"...)
		default:
			x.buf = append(x.buf, s[i:i+size]...)
		}
		i += size
	}
}

// query writes the answer of a query or EC2 operation.
func (x *xmlWriter) query(op *operation, requestID string, src reflect.Value) error {
	x.buf = make([]byte, 0, 1024)
	root := op.Name + "Response"
	if x.service.Protocol == shape.EC2 {
		x.buf = append(x.buf, xmlHeader...)
		x.open(root, x.service.XMLNamespace+"/")
		x.leaf("requestId", requestID)
		if len(op.out.fields) == 0 {
			x.leaf("return", "true") // as EC2 answers what has nothing to say
		}
		if err := x.members(op.out, src, op); err != nil {
			return err
		}
		x.close(root)
		return nil
	}
	x.open(root, x.service.XMLNamespace)
	if op.ResultWrapper != "" {
		x.open(op.ResultWrapper, "")
		if err := x.members(op.out, src, op); err != nil {
			return err
		}
		x.close(op.ResultWrapper)
	}
	x.open("ResponseMetadata", "")
	x.leaf("RequestId", requestID)
	x.close("ResponseMetadata")
	x.close(root)
	return nil
}

// rest writes the document of a REST answer, or nothing if it has none.
func (x *xmlWriter) rest(op *operation, src reflect.Value) error {
	if op.Name == "GetBucketLocation" { // the one document of S3 whose root holds the text
		x.buf = append(x.buf, xmlHeader...)
		x.open("LocationConstraint", s3Namespace)
		x.text(src.FieldByName("LocationConstraint").String())
		x.close("LocationConstraint")
		return nil
	}
	if p := op.out.payload; p != nil {
		v := src.Field(p.index)
		if absent(p, v) {
			return nil
		}
		x.buf = append(x.buf, xmlHeader...)
		x.open(p.Wire, x.service.namespace())
		if err := x.members(p.value.fields, v.Elem(), nil); err != nil {
			return err
		}
		x.close(p.Wire)
		return nil
	}
	root := s3Root(op)
	if len(op.out.body) == 0 && !strings.HasPrefix(op.Name, "GetBucket") { // what reads have nothing to say of is an empty document
		return nil
	}
	x.buf = append(x.buf, xmlHeader...)
	x.open(root, x.service.namespace())
	if err := x.members(op.out, src, op); err != nil {
		return err
	}
	x.close(root)
	return nil
}

// typeAttribute is the one attribute that S3's documents have.
const typeAttribute = "xsi:type"

// typed adds it to the element that was opened last.
func (x *xmlWriter) typed(name string) {
	x.buf = append(x.buf[:len(x.buf)-1], ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="`...)
	x.text(name)
	x.buf = append(x.buf, `">`...)
}

// s3Root names the root element of an answer whose model does not.
func s3Root(op *operation) string {
	switch op.Name {
	case "ListBuckets":
		return "ListAllMyBucketsResult"
	case "ListObjects", "ListObjectsV2":
		return "ListBucketResult"
	case "ListObjectVersions":
		return "ListVersionsResult"
	case "GetBucketVersioning":
		return "VersioningConfiguration"
	case "GetBucketAcl", "GetObjectAcl":
		return "AccessControlPolicy"
	case "GetBucketTagging", "GetObjectTagging":
		return "Tagging"
	case "GetBucketCors":
		return "CORSConfiguration"
	case "GetBucketLifecycleConfiguration":
		return "LifecycleConfiguration"
	case "GetBucketRequestPayment":
		return "RequestPaymentConfiguration"
	case "GetBucketAccelerateConfiguration":
		return "AccelerateConfiguration"
	case "GetBucketLogging":
		return "BucketLoggingStatus"
	case "GetBucketNotificationConfiguration":
		return "NotificationConfiguration"
	case "GetObjectAttributes":
		return "GetObjectAttributesResponse"
	case "DeleteObjects":
		return "DeleteResult"
	case "CreateMultipartUpload":
		return "InitiateMultipartUploadResult"
	}
	return orElse(op.out.XMLName, op.Name+"Result")
}

func (x *xmlWriter) members(st *structure, src reflect.Value, op *operation) error {
	for i := range st.fields {
		f := &st.fields[i]
		v := src.Field(i)
		if f.Location != shape.Body || f.Attribute || absent(f, v) && !(op != nil && op.pageList(f)) {
			continue
		}
		if f.value.Kind == shape.List && (f.Flattened || f.value.Flattened) {
			for n := range v.Len() {
				if err := x.element(orElse(f.value.ElemWire, f.Wire), f.value.elem, v.Index(n), f.TimeFormat); err != nil {
					return err
				}
			}
			continue
		}
		if err := x.element(f.Wire, f.value, v, f.TimeFormat); err != nil {
			return err
		}
	}
	return nil
}

func (x *xmlWriter) element(name string, v *value, src reflect.Value, format shape.TimeFormat) error {
	x.open(name, "")
	if v.Kind == shape.Structure && v.fields.typed != nil {
		x.typed(reflect.Indirect(src).Field(v.fields.typed.index).String())
	}
	if err := x.value(v, src, format); err != nil {
		return err
	}
	x.close(name)
	return nil
}

func (x *xmlWriter) value(v *value, src reflect.Value, format shape.TimeFormat) error {
	if src.Kind() == reflect.Pointer {
		src = src.Elem()
	}
	switch v.Kind {
	case shape.Structure:
		return x.members(v.fields, src, nil)
	case shape.List:
		for n := range src.Len() {
			if err := x.element(orElse(v.ElemWire, "member"), v.elem, src.Index(n), shape.DefaultTime); err != nil {
				return err
			}
		}
	case shape.Map:
		for _, key := range sortedKeys(src) {
			x.open("entry", "")
			x.leaf(orElse(v.KeyWire, "key"), key.String())
			if err := x.element(orElse(v.ElemWire, "value"), v.elem, src.MapIndex(key), shape.DefaultTime); err != nil {
				return err
			}
			x.close("entry")
		}
	default:
		if v.Kind == shape.Timestamp && format == shape.DefaultTime && x.service.Protocol != shape.Query {
			x.text(formatTime(src.Interface().(time.Time), shape.ISO8601, true))
			return nil
		}
		x.text(scalarText(v, src, orFormat(format, shape.ISO8601)))
	}
	return nil
}

// scalarText writes a scalar for XML and headers.
func scalarText(v *value, src reflect.Value, format shape.TimeFormat) string {
	if src.Kind() == reflect.Pointer {
		src = src.Elem()
	}
	switch v.Kind {
	case shape.String:
		return src.String()
	case shape.Boolean:
		return strconv.FormatBool(src.Bool())
	case shape.Integer, shape.Long:
		return strconv.FormatInt(src.Int(), 10)
	case shape.Float, shape.Double:
		return strconv.FormatFloat(src.Float(), 'g', -1, 64)
	case shape.Blob:
		return base64.StdEncoding.EncodeToString(src.Bytes())
	case shape.Timestamp:
		return formatTime(src.Interface().(time.Time), format, false)
	}
	return ""
}
