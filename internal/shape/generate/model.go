package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// model is a trimmed API model.
type model struct {
	name     string
	Metadata struct {
		APIVersion, EndpointPrefix, JSONVersion, Protocol, ServiceID, SigningName, TargetPrefix, XMLNamespace string
	}
	Operations map[string]*operation
	Shapes     map[string]*shapeDef
}

type operation struct {
	Name string
	HTTP struct {
		Method, RequestURI string
		ResponseCode       int
	}
	Input, Output *ref
	Errors        []string
	Advisory      []string
}

type xmlNamespace struct{ URI, Prefix string }

// UnmarshalJSON accepts the two forms that models use: an object and a bare address.
func (x *xmlNamespace) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &x.URI)
	}
	type plain xmlNamespace
	return json.Unmarshal(b, (*plain)(x))
}

type ref struct {
	Shape, Name, Location, LocationName, QueryName, ResultWrapper, TimestampFormat string
	XMLNamespace                                                                   *xmlNamespace
	XMLAttribute, Flattened, Streaming, IdempotencyToken, JSONValue, Given         bool
}

type shapeDef struct {
	Type, Pattern, Payload, TimestampFormat, LocationName string
	Required, Enum                                        []string
	Min, Max                                              json.Number
	Sensitive, Flattened, Document, Union                 bool
	Exception, Fault, Streaming                           bool
	Error                                                 *struct {
		Code           string
		HTTPStatusCode int
		SenderFault    *bool
	}
	Members            map[string]*ref
	Refused            []*ref
	Member, Key, Value *ref
}

func readModel(file string) (*model, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m := &model{name: strings.TrimSuffix(filepath.Base(file), ".json")}
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

// Generate makes every file, by its name below internal/shape.
func Generate(models string) (map[string][]byte, error) {
	inputs, err := filepath.Glob(filepath.Join(models, "*.json"))
	if err != nil || len(inputs) == 0 {
		return nil, fmt.Errorf("no model in %s", models)
	}
	sort.Strings(inputs)
	files := map[string][]byte{}
	for _, input := range inputs {
		m, err := readModel(input)
		if err != nil {
			return nil, err
		}
		g := &generator{model: m, pkg: strings.ReplaceAll(m.name, "-", "")}
		if err := g.all(files); err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return files, nil
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
