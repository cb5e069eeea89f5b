package cloudtrail

import (
	"context"
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
)

// A signer signs the digests that end while it is valid.
type signer struct {
	fingerprint     string
	public, private []byte // PKCS #1 DER; private is sealed
	since, until    int64
}

const (
	keyBits  = 2048
	validity = 365 * 24 * time.Hour
)

const signerColumns = "fingerprint, public, private, since, until"

func signers(q store.Querier, where string, args ...any) ([]*signer, error) {
	return store.Collect(q, func(r *store.Rows) (*signer, error) {
		k := &signer{}
		return k, r.Scan(&k.fingerprint, &k.public, &k.private, &k.since, &k.until)
	}, "SELECT "+signerColumns+" FROM cloudtrail_keys WHERE "+where, args...)
}

const sealing seal.Purpose = "cloudtrail signing key"

// signer answers the key for a time, and makes it if there is none.
func (s *Service) signer(ctx context.Context, at int64) (*signer, error) {
	st := s.Door().Store
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	k, err := one(signers(sn, "since <= ? AND until > ? ORDER BY since, fingerprint LIMIT 1", at, at))
	sn.Close()
	if err != nil || k != nil {
		return k, err
	}
	made, err := s.newSigner(at)
	if err != nil {
		return nil, err
	}
	return made, st.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("INSERT INTO cloudtrail_keys ("+signerColumns+") VALUES (?, ?, ?, ?, ?)",
			made.fingerprint, made.public, made.private, made.since, made.until)
		return err
	})
}

func (s *Service) newSigner(at int64) (*signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	public := x509.MarshalPKCS1PublicKey(&key.PublicKey)
	print := md5.Sum(public)
	k := &signer{
		fingerprint: hex.EncodeToString(print[:]), public: public,
		since: at, until: time.UnixMicro(at).Add(validity).UnixMicro(),
	}
	private := x509.MarshalPKCS1PrivateKey(key)
	defer clear(private)
	k.private, err = sealing.Seal(s.Key[:], private, k.bound())
	return k, err
}

// bound is what a private key is sealed with: which public key it is of, and for when.
func (k *signer) bound() []byte { return fmt.Appendf(nil, "%x %d %d", k.public, k.since, k.until) }

// sign answers the signature in hex.
func (s *Service) sign(k *signer, message string) (string, error) {
	private, err := sealing.Open(s.Key[:], k.private, k.bound())
	if err != nil {
		return "", fmt.Errorf("cloudtrail: signing key %s: %w", k.fingerprint, err)
	}
	defer clear(private)
	key, err := x509.ParsePKCS1PrivateKey(private)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(message))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	return hex.EncodeToString(signature), err
}

// A span is the time that public keys are asked for.
type span struct{ start, end int64 }

func (s *Service) wantedKeys(_ context.Context, c *api.Call, in *shape.ListPublicKeysInput) (span, []api.Demand, error) {
	w := span{c.Now.UnixMicro(), c.Now.UnixMicro()}
	if !in.StartTime.IsZero() {
		w.start = in.StartTime.UnixMicro()
	}
	if !in.EndTime.IsZero() {
		w.end = in.EndTime.UnixMicro()
	}
	switch {
	case in.NextToken != "":
		return w, nil, fail("InvalidTokenException", "The token is not one that was given.")
	case w.end < w.start:
		return w, nil, fail("InvalidTimeRangeException", "The end time is before the start time.")
	}
	return w, api.On("cloudtrail:ListPublicKeys", api.Any), nil
}

// listPublicKeys answers all at once: there is one a year.
func (s *Service) listPublicKeys(_ context.Context, c *api.Call, _ *shape.ListPublicKeysInput, w span) (*shape.ListPublicKeysOutput, error) {
	keys, err := signers(c.Snapshot, "since <= ? AND until >= ? ORDER BY since, fingerprint", w.end, w.start)
	if err != nil {
		return nil, err
	}
	out := &shape.ListPublicKeysOutput{PublicKeyList: []shape.PublicKey{}}
	for _, k := range keys {
		out.PublicKeyList = append(out.PublicKeyList, shape.PublicKey{
			Fingerprint: k.fingerprint, Value: k.public, ValidityStartTime: moment(k.since), ValidityEndTime: moment(k.until),
		})
	}
	return out, nil
}
