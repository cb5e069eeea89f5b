package shape

import "testing"

func TestLinkResolvesRecursiveTypes(t *testing.T) {
	s := Link(&Service{
		Operations: []*Operation{{Name: "Do", Input: &Struct{Fields: []Field{{Name: "Tree", TypeName: "Tree"}}}, Output: &Struct{}}},
	}, &Type{Name: "Tree", Kind: Structure, Struct: &Struct{Fields: []Field{{Name: "Kids", TypeName: "Trees"}}}},
		&Type{Name: "Trees", Kind: List, ElemName: "Tree"})
	tree := s.Operation("Do").Input.Fields[0].Type
	if tree.Struct.Fields[0].Type.Elem != tree {
		t.Error("the list's element is not the tree")
	}
	if s.Operation("Undo") != nil {
		t.Error("found an operation that is not there")
	}
}

func TestLinkRefusesUnknownTypes(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a descriptor that names no type was linked")
		}
	}()
	Link(&Service{Operations: []*Operation{{Input: &Struct{Fields: []Field{{TypeName: "Nothing"}}}, Output: &Struct{}}}})
}
