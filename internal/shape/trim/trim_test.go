package main

import (
	"encoding/json"
	"strings"
	"testing"
)

const source = `{
 "metadata": {"protocol": "json", "serviceFullName": "prose"},
 "operations": {"Do": {"name": "Do", "http": {"method": "POST", "requestUri": "/"}, "documentation": "prose",
   "input": {"shape": "DoRequest"}, "output": {"shape": "DoResult"}, "errors": [{"shape": "Broken"}]}},
 "shapes": {
  "DoRequest": {"type": "structure", "required": ["A", "B"], "members": {
    "A": {"shape": "Text", "documentation": "prose"}, "B": {"shape": "Nested"}, "C": {"shape": "Text", "locationName": "sea"}}},
  "DoResult": {"type": "structure", "members": {"A": {"shape": "Text"}}},
  "Nested": {"type": "structure", "members": {"X": {"shape": "Text"}, "Y": {"shape": "Unwanted"}}},
  "Broken": {"type": "structure", "exception": true, "members": {"message": {"shape": "Text"}}},
  "Text": {"type": "string", "max": 3, "documentation": "prose"}, "Unwanted": {"type": "string"}}}`

func trimmed(t *testing.T, selection string) (string, error) {
	t.Helper()
	var full object
	if err := json.Unmarshal([]byte(source), &full); err != nil {
		t.Fatal(err)
	}
	sel, err := parseSelection(selection)
	if err != nil {
		return "", err
	}
	small, err := trim(full, sel)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(small)
	return string(text), err
}

func TestTrimKeepsTheSelection(t *testing.T) {
	got, err := trimmed(t, "op Do A B # why\nshape Nested X\nsensitive Text\nadvisory Do C\ngiven Do A")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"refused":[{"locationName":"sea","name":"C"}]`, `"Broken"`, `"max":3`, `"required":["A","B"]`,
		`"sensitive":true`, `"advisory":["C"]`, `"given":true`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	for _, not := range []string{"prose", "Unwanted"} {
		if strings.Contains(got, not) {
			t.Errorf("%s is left in %s", not, got)
		}
	}
}

func TestSelectionsThatSayNothingAreRefused(t *testing.T) {
	for _, bad := range []string{
		"op Undo", "op Do Z", "op Do A -B", "op Do\nop Do", "out Undo A", "shape Unwanted Q\nop Do", "serve Do", "op",
		"op Do\nsensitive Nothing", "op Do\ngiven Do Z", "op Do\ngiven Undo A", "op Do\nadvisory Undo A", "field Nested Z", "op Do\nfield Nested Z Nothing",
	} {
		if got, err := trimmed(t, bad); err == nil {
			t.Errorf("%q gave %s", bad, got)
		}
	}
}
