package spec

import (
	"fmt"

	"github.com/go-json-experiment/json"
)

// maxJSON bounds an encoded workload, in bytes: the largest valid one in its
// widest JSON escapes.
const maxJSON = 8 << 20

// Encode returns w as JSON after [Workload.Validate] has passed.
func Encode(w Workload) ([]byte, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(w, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("spec: encoding: %w", err)
	}
	return data, nil
}

// Decode reads one workload and validates it. It refuses unknown, doubled and
// case-folded members, bytes that are not UTF-8, and anything after the
// object.
func Decode(data []byte) (Workload, error) {
	if len(data) > maxJSON {
		return Workload{}, fmt.Errorf("spec: more than %d bytes", maxJSON)
	}
	var w Workload
	if err := json.Unmarshal(data, &w, json.RejectUnknownMembers(true)); err != nil {
		return Workload{}, fmt.Errorf("spec: decoding: %w", err)
	}
	if err := w.Validate(); err != nil {
		return Workload{}, err
	}
	return w, nil
}
