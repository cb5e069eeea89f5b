package netmodel

import (
	"errors"

	"github.com/go-json-experiment/json"
)

// MaxSize bounds the encoded form of a VPC, in bytes. One within all limits of package ec2 has less: what the machine
// would not take could not be changed any more, neither for the better.
const MaxSize = 32 << 20

// Parse decodes and validates one VPC. Unknown members, duplicate names, names in another case, trailing data and input
// over [MaxSize] are errors.
func Parse(b []byte) (*VPC, error) {
	if len(b) > MaxSize {
		return nil, errors.New("netmodel: description of a VPC is too large")
	}
	v := new(VPC)
	if err := json.Unmarshal(b, v, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if err := v.Validate(); err != nil {
		return nil, err
	}
	return v, nil
}

// Encode is the inverse of [Parse]; it refuses a VPC that Parse would refuse.
func (v *VPC) Encode() ([]byte, error) {
	if err := v.Validate(); err != nil {
		return nil, err
	}
	return json.Marshal(v, json.Deterministic(true))
}
