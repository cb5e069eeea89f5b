package wire

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"bawn.dev/internal/shape"
)

// setText reads a scalar from the text of a form, an XML element, a header or a label, and checks its constraints. format is how a
// timestamp is written at that place.
func (c *checker) setText(v *value, dst reflect.Value, s string, format shape.TimeFormat, at *path) error {
	dst = target(dst)
	switch v.Kind {
	case shape.String:
		if !utf8.ValidString(s) {
			return fmt.Errorf("the value of %s is not valid UTF-8", at.String())
		}
		dst.SetString(s)
		c.text(v, s, at)
	case shape.Boolean:
		switch strings.ToLower(s) {
		case "true":
			dst.SetBool(true)
		case "false":
			dst.SetBool(false)
		default:
			return fmt.Errorf("the value of %s is neither true nor false", at.String())
		}
	case shape.Integer, shape.Long:
		n, err := strconv.ParseInt(s, 10, dst.Type().Bits())
		if err != nil {
			return fmt.Errorf("the value of %s is not an integer of %d bits", at.String(), dst.Type().Bits())
		}
		dst.SetInt(n)
		c.number(v, float64(n), s, at)
	case shape.Float, shape.Double:
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
			return fmt.Errorf("the value of %s is not a number", at.String())
		}
		dst.SetFloat(n)
		c.number(v, n, s, at)
	case shape.Blob:
		b, err := base64.StdEncoding.Strict().DecodeString(s)
		if err != nil {
			return fmt.Errorf("the value of %s is not base64", at.String())
		}
		dst.SetBytes(b)
		c.length(v, int64(len(b)), "'[bytes]'", at)
	case shape.Timestamp:
		t, err := parseTime(s, format)
		if err != nil {
			return fmt.Errorf("the value of %s is not a timestamp", at.String())
		}
		dst.Set(reflect.ValueOf(t))
	default:
		return fmt.Errorf("%s takes no text", at.String())
	}
	return nil
}

func parseTime(s string, format shape.TimeFormat) (time.Time, error) {
	switch format {
	case shape.RFC822:
		t, err := http.ParseTime(s)
		return t.UTC(), err
	case shape.UnixTime:
		return parseUnix(s)
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", s)
	}
	t = t.UTC() // which may be in another year
	if err == nil && (t.Year() < 1 || t.Year() > 9999) {
		err = strconv.ErrRange
	}
	return t, err
}

// parseUnix reads seconds since 1970 with at most nanoseconds behind the point, exactly where they are written without an exponent.
func parseUnix(s string) (time.Time, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err == nil && len(fraction) <= 9 {
		nanos, err := strconv.ParseUint((fraction + "000000000")[:9], 10, 32)
		if err == nil {
			if strings.HasPrefix(whole, "-") {
				return unixTime(sec, -int64(nanos))
			}
			return unixTime(sec, int64(nanos))
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.Abs(f) > 1e12 {
		return time.Time{}, strconv.ErrRange
	}
	in, frac := math.Modf(f)
	return unixTime(int64(in), int64(math.Round(frac*1e6)*1e3))
}

func unixTime(sec, nanos int64) (time.Time, error) {
	const first, last = -62135596800 + 1, 253402300799 // years 1 to 9999; the zero time means "absent"
	if sec < first || sec > last {
		return time.Time{}, strconv.ErrRange
	}
	return time.Unix(sec, nanos).UTC(), nil
}

// formatTime writes a timestamp for XML, headers and query strings.
func formatTime(t time.Time, format shape.TimeFormat, millis bool) string {
	t = t.UTC()
	switch format {
	case shape.RFC822:
		return t.Format(http.TimeFormat)
	case shape.UnixTime:
		return string(appendUnix(nil, t))
	}
	if millis {
		return t.Format("2006-01-02T15:04:05.000Z")
	}
	return t.Format("2006-01-02T15:04:05Z")
}

// appendUnix writes seconds with milliseconds where there are any.
func appendUnix(b []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return strconv.AppendInt(b, ms/1000, 10)
	}
	if ms < 0 {
		b = append(b, '-')
		ms = -ms
	}
	b = strconv.AppendInt(b, ms/1000, 10)
	b = append(b, '.', byte('0'+ms%1000/100), byte('0'+ms%100/10), byte('0'+ms%10))
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}
