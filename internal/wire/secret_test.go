package wire

import (
	"regexp"
	"testing"

	"bawn.dev/internal/shape"
)

// TestSecretsAreMarked reads the names of all members: what sounds like a secret must be marked as one, or records would carry it.
func TestSecretsAreMarked(t *testing.T) {
	secret := regexp.MustCompile(`(?i)(secret|password|assertion|plaintext$|identitycontext|granttoken|codeverifier|` +
		`(access|refresh|id|session|subject)token$|^code$|^environment$|^hyperparameters$)`)
	found := 0
	for _, s := range models() {
		structs := []*shape.Struct{}
		for _, typ := range s.Types {
			if typ.Struct != nil {
				structs = append(structs, typ.Struct)
			}
		}
		for _, op := range s.Operations {
			structs = append(structs, op.Input, op.Output)
		}
		for _, st := range structs {
			for _, f := range st.Fields {
				if !secret.MatchString(f.Name) || f.Type.Kind == shape.Structure || f.Type.Kind == shape.Timestamp || f.Type.Kind == shape.Boolean || f.Type.Kind == shape.Long || s.Name == "ec2" && (st.Name == "UnsuccessfulItemError" || st.Name == "IcmpTypeCode") || s.Name == "s3" && st.Name == "Error" {
					continue
				}
				found++
				leaf := f.Type
				for leaf.Elem != nil {
					leaf = leaf.Elem
				}
				if !leaf.Sensitive {
					t.Errorf("%s: %s.%s (%s) is not marked as sensitive", s.Name, st.Name, f.Name, leaf.Name)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d members look like secrets: the test has lost its sight", found)
	}
}
