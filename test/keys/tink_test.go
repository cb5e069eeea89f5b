package keys

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/tink-crypto/tink-go-awskms/v3/integration/awskms"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/core/registry"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Tink's client: messages under the KMS key itself, and envelopes.
func TestTink(t *testing.T) {
	b := start(t)
	admin := b.admin()
	cfg := admin.config()
	client := kms.NewFromConfig(cfg)
	arn := *call(t, client.CreateKey, kms.CreateKeyInput{}).KeyMetadata.Arn
	other := *call(t, client.CreateKey, kms.CreateKeyInput{}).KeyMetadata.Arn
	for _, pair := range admin.env { // Tink finds the server as the SDK does
		name, value, _ := bytes.Cut([]byte(pair), []byte("="))
		t.Setenv(string(name), string(value))
	}
	direct := func(arn string, name awskms.EncryptionContextName) tink.AEAD {
		t.Helper()
		found := must[registry.KMSClient](t)(awskms.NewClientWithOptions(t.Context(), "aws-kms://"+arn, awskms.WithEncryptionContextName(name)))
		return must[tink.AEAD](t)(found.GetAEAD("aws-kms://" + arn))
	}
	remote := direct(arn, awskms.AssociatedData)
	message, about := []byte("blood pressure 120/80"), []byte("patient 4711")
	refused := func(what string, a tink.AEAD, sealed, about []byte) {
		t.Helper()
		if got, err := a.Decrypt(sealed, about); err == nil {
			t.Errorf("%s: decrypts to %q", what, got)
		}
	}
	check := func(a, elsewhere tink.AEAD) {
		t.Helper()
		sealed := must[[]byte](t)(a.Encrypt(message, about))
		if got := must[[]byte](t)(a.Decrypt(sealed, about)); !bytes.Equal(got, message) {
			t.Errorf("decrypts to %q", got)
		}
		refused("about somebody else", a, sealed, []byte("patient 4712"))
		refused("about nobody", a, sealed, nil)
		refused("under another key", elsewhere, sealed, about)
		for _, at := range []int{0, len(sealed) / 2, len(sealed) - 1} {
			changed := bytes.Clone(sealed)
			changed[at] ^= 1
			refused("changed", a, changed, about)
		}
		refused("cut", a, sealed[:len(sealed)-1], about)
	}
	check(remote, direct(other, awskms.AssociatedData))
	envelope := func(remote tink.AEAD) tink.AEAD { return aead.NewKMSEnvelopeAEAD2(aead.AES256GCMKeyTemplate(), remote) }
	check(envelope(remote), envelope(direct(other, awskms.AssociatedData)))

	sealed := must[[]byte](t)(remote.Encrypt(message, about))
	refused("with the context's older name", direct(arn, awskms.LegacyAdditionalData), sealed, about)
	last := b.record(cfg, "Encrypt")[0]
	if !last.about(arn) || last.context("associatedData") != hex.EncodeToString(about) {
		t.Errorf("of Tink's call the record has:\n%s", last.raw)
	}
	older := direct(arn, awskms.LegacyAdditionalData)
	check(older, direct(other, awskms.LegacyAdditionalData))

	call(t, client.DisableKey, kms.DisableKeyInput{KeyId: &arn})
	refused("disabled", remote, sealed, about)
	b.silent(cfg, string(message))
}
