package wire

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"bawn.dev/internal/shape"
)

// maxViolations bounds how many broken constraints one answer lists.
const maxViolations = 10

// path is where a value stands in the input. It is linked and not joined, since it is wanted only when something is wrong.
type path struct {
	parent *path
	name   string
}

func (p *path) String() string {
	if p == nil {
		return ""
	}
	if p.parent == nil {
		return p.name
	}
	return p.parent.String() + "." + p.name
}

func (p *path) at(name string) *path { return &path{p, name} }

// item is the n-th element of a list, as AWS's messages write it: from one, and "member".
func (p *path) item(n int) *path { return &path{&path{p, strconv.Itoa(n)}, "member"} }

// checker collects the constraints that an input breaks.
type checker struct {
	service    *service
	op         string
	missing    string
	violations []string
}

func (c *checker) add(v *value, at *path, shown, rule string) {
	if len(c.violations) >= maxViolations {
		return
	}
	if v != nil && v.Sensitive {
		c.violations = append(c.violations, fmt.Sprintf("Value at '%s' failed to satisfy constraint: %s", at.String(), rule))
		return
	}
	c.violations = append(c.violations, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", shown, at.String(), rule))
}

func (c *checker) null(at *path) {
	if c.missing == "" {
		c.missing = at.String()
	}
	c.add(nil, at, "null", "Member must not be null")
}

// err makes one error of everything that was found.
func (c *checker) err() error {
	n := len(c.violations)
	switch {
	case n == 0:
		return nil
	case c.service.Protocol == shape.EC2 && c.missing != "":
		return Errorf("MissingParameter", "The request must contain the parameter %s", upperFirst(c.missing))
	case c.service.Protocol == shape.EC2:
		return Errorf(c.service.dialect.validation, "%s", c.violations[0])
	case n == 1:
		return Errorf(c.service.dialect.validation, "1 validation error detected: %s", c.violations[0])
	}
	return Errorf(c.service.dialect.validation, "%d validation errors detected: %s", n, strings.Join(c.violations, "; "))
}

func (c *checker) text(v *value, s string, at *path) {
	if v.Min != nil || v.Max != nil {
		if n := int64(utf8.RuneCountInString(s)); outside(v, n) {
			c.length(v, n, quoted(s), at)
			return // and spend nothing on the pattern of a text that is far too long
		}
	}
	if v.enum != nil && !v.enum[s] {
		c.add(v, at, quoted(s), "Member must satisfy enum value set: ["+strings.Join(v.Enum, ", ")+"]")
	}
	if v.pattern != nil && !v.pattern.MatchString(s) {
		c.add(v, at, quoted(s), "Member must satisfy regular expression pattern: "+javaPattern(v.Pattern))
	}
}

// outside tells whether a length breaks a bound, so that the message is made only then.
func outside(v *value, n int64) bool { return v.Min != nil && n < *v.Min || v.Max != nil && n > *v.Max }

func quoted(s string) string { return "'" + clip(s, 1024) + "'" }

func (c *checker) length(v *value, n int64, shown string, at *path) {
	if v.Min != nil && n < *v.Min {
		c.add(v, at, shown, fmt.Sprintf("Member must have length greater than or equal to %d", *v.Min))
	}
	if v.Max != nil && n > *v.Max {
		c.add(v, at, shown, fmt.Sprintf("Member must have length less than or equal to %d", *v.Max))
	}
}

func (c *checker) number(v *value, n float64, shown string, at *path) {
	if v.Min != nil && n < float64(*v.Min) {
		c.add(v, at, "'"+shown+"'", fmt.Sprintf("Member must have value greater than or equal to %d", *v.Min))
	}
	if v.Max != nil && n > float64(*v.Max) {
		c.add(v, at, "'"+shown+"'", fmt.Sprintf("Member must have value less than or equal to %d", *v.Max))
	}
}

// collection checks the count of a list or map.
func (c *checker) collection(v *value, n int, at *path) {
	if outside(v, int64(n)) {
		c.length(v, int64(n), fmt.Sprintf("'[%d elements]'", n), at)
	}
}

// end checks a structure after its members were read: what is required is there, and of a union exactly one is.
func (c *checker) end(st *structure, seen []bool, at *path) {
	set := 0
	for i := range st.fields {
		if seen[i] {
			set++
		} else if st.fields[i].Required {
			c.null(at.at(st.fields[i].path))
		}
	}
	if st.union && set != 1 {
		c.add(nil, at, fmt.Sprintf("'[%d members]'", set), "exactly one member of a union must be set")
	}
}

// javaPattern writes a pattern as the API's documentation does.
func javaPattern(p string) string {
	var b strings.Builder
	for {
		i := strings.Index(p, `\x{`)
		if i < 0 {
			return b.String() + p
		}
		j := strings.IndexByte(p[i:], '}')
		b.WriteString(p[:i] + `\u` + p[i+3:i+j])
		p = p[i+j+1:]
	}
}

// target is what a value is written into: a pointer's new element, or the field itself.
func target(dst reflect.Value) reflect.Value {
	if dst.Kind() == reflect.Pointer {
		n := reflect.New(dst.Type().Elem())
		dst.Set(n)
		return n.Elem()
	}
	return dst
}
