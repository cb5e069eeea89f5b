package sts

import (
	"context"
	"encoding/base64"
	"fmt"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/sts"
)

const (
	messages seal.Purpose = "sts authorization message"
	// MaxMessage bounds, in bytes, the message that SealMessage takes, so that
	// DecodeAuthorizationMessage takes what it answers. It is not compressed: its
	// length would tell what the caller may not read.
	MaxMessage = 7000
)

// SealMessage makes the text that a denied caller is given in place of why. It
// opens for who may DecodeAuthorizationMessage in the account.
func (s *Service) SealMessage(account string, plain []byte) (string, error) {
	if account == "" || len(plain) > MaxMessage {
		return "", fmt.Errorf("sts: a message of %d bytes for account %q", len(plain), account)
	}
	sealed, err := messages.Seal(s.cfg.Key[:], plain, []byte(account))
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

func (s *Service) decodedMessage(context.Context, *api.Call, *shape.DecodeAuthorizationMessageInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("sts:DecodeAuthorizationMessage", api.Any), nil
}

// decodeAuthorizationMessage opens the messages of the caller's own account.
func (s *Service) decodeAuthorizationMessage(_ context.Context, c *api.Call, in *shape.DecodeAuthorizationMessageInput, _ struct{}) (*shape.DecodeAuthorizationMessageOutput, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(in.EncodedMessage)
	if err == nil {
		sealed, err = messages.Open(s.cfg.Key[:], sealed, []byte(c.Account))
	}
	if err != nil {
		return nil, fail("InvalidAuthorizationMessageException", "Message is not valid.")
	}
	return &shape.DecodeAuthorizationMessageOutput{DecodedMessage: string(sealed)}, nil
}
