package wire

import (
	"reflect"
	"strings"
	"testing"

	"bawn.dev/internal/shape"
)

// Check takes what satisfies the constraints of every operation, and of each member refuses what Decode would.
func TestCheckHoldsEveryInputToItsConstraints(t *testing.T) {
	router := newRouter(t)
	broken := 0
	for _, s := range router.services {
		for _, op := range s.ordered {
			m := router.Inside(s.Service, op.Name)
			sample := func() reflect.Value {
				in := reflect.New(op.inType.Elem())
				sampler{service: s.Name}.structure(op.in, in.Elem(), 0)
				return in
			}
			if err := m.Check(sample().Interface()); err != nil {
				t.Errorf("%s.%s: a good input is refused: %v", s.Name, op.Name, err)
			}
			for i := range op.in.fields {
				f := &op.in.fields[i]
				in := sample()
				switch {
				case f.Required && !op.in.union:
					in.Elem().Field(i).SetZero()
				case f.value.Kind == shape.String && f.value.Max != nil && in.Elem().Field(i).Kind() == reflect.String:
					in.Elem().Field(i).SetString(strings.Repeat("x", int(*f.value.Max)+1))
				default:
					continue
				}
				broken++
				if err := m.Check(in.Interface()); err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(f.path)) {
					t.Errorf("%s.%s with a bad %s: %v", s.Name, op.Name, f.path, err)
				}
			}
		}
	}
	if broken < 300 {
		t.Errorf("only %d members were broken", broken)
	}
}
