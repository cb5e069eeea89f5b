package kms

import (
	"context"
	"crypto/rand"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
)

// randomSize is how many random bytes are asked for.
func randomSize(number *int32) (int, error) {
	if number == nil {
		return 0, invalid("1 validation error detected: Value null at 'numberOfBytes' failed to satisfy constraint: Member must not be null")
	}
	if *number < 1 || *number > 1024 {
		return 0, invalid("1 validation error detected: Value '%d' at 'numberOfBytes' failed to satisfy constraint: Member must have value between 1 and 1024, inclusive", *number)
	}
	return int(*number), nil
}

func (s *Service) drawing(_ context.Context, _ *api.Call, in *kms.GenerateRandomInput) (int, []api.Demand, error) {
	size, err := randomSize(in.NumberOfBytes)
	return size, api.On("kms:GenerateRandom", api.Any), err
}

// generateRandom answers bytes of the FIPS module's random bit generator.
func (s *Service) generateRandom(_ context.Context, _ *api.Call, _ *kms.GenerateRandomInput, size int) (*kms.GenerateRandomOutput, error) {
	out := &kms.GenerateRandomOutput{Plaintext: make([]byte, size)}
	rand.Read(out.Plaintext)
	return out, nil
}
