package logs

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/shape/kms"
)

const sealing seal.Purpose = "log events"

// An event is one log event, as a sealed batch holds it.
type event struct {
	Time    int64  `json:"t"` // milliseconds
	Message string `json:"m"`
}

// A batch is what one PutLogEvents brought.
type batch struct {
	id                    string
	first, last, ingested int64
	stored                int64
	sealed                []byte
}

func associated(stream, batch string) []byte {
	return []byte("batch " + batch + " of stream " + stream)
}

func sealEvents(key *seal.Key, stream, batch string, events []event) ([]byte, error) {
	plain, err := json.Marshal(events)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return sealing.Seal(key[:], plain, associated(stream, batch))
}

func openEvents(key *seal.Key, stream, batch string, sealed []byte) ([]event, error) {
	plain, err := sealing.Open(key[:], sealed, associated(stream, batch))
	if err != nil {
		return nil, fmt.Errorf("logs: batch %s of stream %s: %w", batch, stream, err)
	}
	defer clear(plain)
	var events []event
	return events, json.Unmarshal(plain, &events)
}

// asks is the call as which the group's key is used: the caller's own, forwarded,
// for the AWS-managed key, whose policy lets in who comes through the service; the
// service's for a customer's key, whose policy names the service.
func (s *Service) asks(ctx context.Context, c *api.Call, g *group) (*api.Call, string, error) {
	if g.kmsKey == "" {
		return c, "arn:aws:kms:" + s.Region + ":" + g.account + ":alias/aws/logs", nil
	}
	own, err := s.Begin(ctx, api.Claim{
		Kind: api.KindService, Account: g.account, ID: s.principal(), SourceARN: g.arn, SourceAccount: g.account, Person: c.Person(),
	}, s.principal())
	return own, g.kmsKey, err
}

func binding(g *group) map[string]string { return map[string]string{"aws:logs:arn": g.arn} }

// newKey makes a data key under the group's KMS key.
func (s *Service) newKey(ctx context.Context, c *api.Call, g *group) (seal.Key, []byte, error) {
	caller, id, err := s.asks(ctx, c, g)
	if err != nil {
		return seal.Key{}, nil, err
	}
	out, err := api.Invoke[kms.GenerateDataKeyOutput](ctx, caller, "kms:GenerateDataKey", &kms.GenerateDataKeyInput{
		KeyId: id, KeySpec: kms.DataKeySpecAes256, EncryptionContext: binding(g),
	})
	if err != nil {
		return seal.Key{}, nil, fromKMS(err, g)
	}
	defer clear(out.Plaintext)
	return seal.Key(out.Plaintext), out.CiphertextBlob, nil
}

// openKey has the key service open a stream's data key. Nothing remembers it:
// whether the key may be used is asked each time.
func (s *Service) openKey(ctx context.Context, c *api.Call, g *group, st *stream) (seal.Key, error) {
	caller, id, err := s.asks(ctx, c, g)
	if err != nil {
		return seal.Key{}, err
	}
	out, err := api.Invoke[kms.DecryptOutput](ctx, caller, "kms:Decrypt", &kms.DecryptInput{
		KeyId: id, CiphertextBlob: st.dataKey, EncryptionContext: binding(g),
	})
	if err != nil {
		return seal.Key{}, fromKMS(err, g)
	}
	defer clear(out.Plaintext)
	if len(out.Plaintext) != seal.KeySize {
		return seal.Key{}, errors.New("logs: a data key has the wrong length")
	}
	return seal.Key(out.Plaintext), nil
}

// fromKMS puts a refusal of the key service into this one's words, as AWS does.
func fromKMS(err error, g *group) error {
	e, told := errors.AsType[*api.Error](err)
	if !told || e.Server {
		return err
	}
	key := g.kmsKey
	if key == "" {
		key = "alias/aws/logs"
	}
	return fail("InvalidParameterException", "The specified KMS Key Id could not be used (%s): %s", key, e.Error())
}
