package signin

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
)

// A signing key is published a while before it signs, so that applications that keep
// the list for that long know it, and a while after its successor took over, so that
// what it signed can be verified.
const (
	keyLife    = 90 * 24 * time.Hour
	keyLead    = time.Hour
	keyOverlap = 24 * time.Hour

	keysKey = "signin:keys"
)

const keySealing seal.Purpose = "signin application signing key"

var signingAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256}

// A signingKey signs what applications are told of people.
type signingKey struct {
	id        string
	algorithm jose.SignatureAlgorithm
	created   time.Time
	public    []byte // JWK
	sealed    []byte
}

// newSigningKeys makes a key of each algorithm. For RSA that takes a while.
func (s *Service) newSigningKeys(now time.Time) ([]*signingKey, error) {
	var all []*signingKey
	for _, alg := range signingAlgorithms {
		var private crypto.Signer
		var err error
		if alg == jose.RS256 {
			private, err = rsa.GenerateKey(rand.Reader, 3072)
		} else {
			private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		}
		if err != nil {
			return nil, err
		}
		k := &signingKey{id: rand.Text(), algorithm: alg, created: now}
		if k.public, err = json.Marshal(&jose.JSONWebKey{Key: private.Public(), KeyID: k.id, Algorithm: string(alg), Use: "sig"}); err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return nil, err
		}
		if k.sealed, err = keySealing.Seal(s.Key[:], der, k.sealedAs()); err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}

func (k *signingKey) sealedAs() []byte { return []byte(k.id + "\x00" + string(k.algorithm)) }

func insertSigningKeys(tx *store.Tx, keys []*signingKey) error {
	for _, k := range keys {
		if _, err := tx.Exec(`INSERT INTO signin_keys (id, algorithm, created, public, sealed) VALUES (?, ?, ?, ?, ?)`,
			k.id, string(k.algorithm), k.created.UnixMicro(), k.public, k.sealed); err != nil {
			return err
		}
	}
	return tx.Touch(keysKey)
}

// signingKeys are all there are, the oldest first.
func signingKeys(sn *store.Snapshot) ([]*signingKey, error) {
	if _, err := sn.Version(keysKey); err != nil {
		return nil, err
	}
	return store.Collect(sn, func(r *store.Rows) (*signingKey, error) {
		k := &signingKey{}
		var created int64
		err := r.Scan(&k.id, &k.algorithm, &created, &k.public, &k.sealed)
		k.created = time.UnixMicro(created).UTC()
		return k, err
	}, `SELECT id, algorithm, created, public, sealed FROM signin_keys ORDER BY created, id`)
}

func ofAlgorithm(all []*signingKey, alg jose.SignatureAlgorithm) []*signingKey {
	return slices.DeleteFunc(slices.Clone(all), func(k *signingKey) bool { return k.algorithm != alg })
}

// signs is the place of the key, of one algorithm's, that signs now; -1 where there is
// none.
func signs(keys []*signingKey, now time.Time) int {
	at := min(0, len(keys)-1)
	for i, k := range keys {
		if !now.Before(k.created.Add(keyLead)) {
			at = i
		}
	}
	return at
}

// published are the keys that applications are to know now.
func published(all []*signingKey, now time.Time) (out []*signingKey) {
	for _, alg := range signingAlgorithms {
		keys := ofAlgorithm(all, alg)
		at := signs(keys, now)
		for i, k := range keys {
			if i >= at || now.Before(keys[i+1].created.Add(keyLead+keyOverlap)) {
				out = append(out, k)
			}
		}
	}
	return out
}

// due says whether new keys are to be made.
func due(all []*signingKey, now time.Time) bool {
	return slices.ContainsFunc(signingAlgorithms, func(alg jose.SignatureAlgorithm) bool {
		keys := ofAlgorithm(all, alg)
		return len(keys) == 0 || now.Sub(keys[len(keys)-1].created) > keyLife
	})
}

// freshKeys are the keys, and the change that makes new ones if they are due.
func (s *Service) freshKeys(sn *store.Snapshot, now time.Time) ([]*signingKey, func(*store.Tx) error, error) {
	all, err := signingKeys(sn)
	if err != nil || !due(all, now) {
		return all, func(*store.Tx) error { return nil }, err
	}
	made, err := s.newSigningKeys(now)
	if err != nil {
		return nil, nil, err
	}
	old := forgotten(all, now)
	return append(all, made...), func(tx *store.Tx) error { return errors.Join(deleteSigningKeys(tx, old), insertSigningKeys(tx, made)) }, nil
}

// forgotten are the keys that nobody needs to know any more.
func forgotten(all []*signingKey, now time.Time) []*signingKey {
	keep := published(all, now)
	return slices.DeleteFunc(slices.Clone(all), func(k *signingKey) bool { return slices.Contains(keep, k) })
}

func deleteSigningKeys(tx *store.Tx, keys []*signingKey) error {
	for _, k := range keys {
		if _, err := tx.Exec(`DELETE FROM signin_keys WHERE id = ?`, k.id); err != nil {
			return err
		}
	}
	return tx.Touch(keysKey)
}

// RotateKeys makes new keys that sign from an hour on. With revoke the old ones end at
// once, and with them what they signed.
func (s *Service) RotateKeys(sn *store.Snapshot, revoke bool, now time.Time) (func(*store.Tx) error, error) {
	all, err := signingKeys(sn)
	if err != nil {
		return nil, err
	}
	made, err := s.newSigningKeys(now)
	if err != nil {
		return nil, err
	}
	old := forgotten(all, now)
	if revoke {
		old = all
	}
	return func(tx *store.Tx) error { return errors.Join(deleteSigningKeys(tx, old), insertSigningKeys(tx, made)) }, nil
}

// signed makes a token of claims, with the key that signs now.
func (s *Service) signed(all []*signingKey, alg jose.SignatureAlgorithm, claims any, now time.Time) (string, error) {
	keys := ofAlgorithm(all, alg)
	at := signs(keys, now)
	if at < 0 {
		return "", errors.New("signin: there is no key that signs")
	}
	k := keys[at]
	der, err := keySealing.Open(s.Key[:], k.sealed, k.sealedAs())
	if err != nil {
		return "", err
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: private, KeyID: k.id}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims, json.Deterministic(true))
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// ours are the claims of a token that one of the published keys signed, however old it
// is.
func ours(all []*signingKey, raw string, claims any) bool {
	jws, err := jose.ParseSignedCompact(raw, signingAlgorithms)
	if err != nil || len(jws.Signatures) != 1 {
		return false
	}
	header := jws.Signatures[0].Protected
	for _, k := range all {
		if k.id != header.KeyID || string(k.algorithm) != header.Algorithm {
			continue
		}
		var public jose.JSONWebKey
		if json.Unmarshal(k.public, &public) != nil {
			return false
		}
		payload, err := jws.Verify(public.Key)
		return err == nil && json.Unmarshal(payload, claims) == nil
	}
	return false
}

func (s *Service) listedKeys(_ context.Context, c *api.Call, _ *shape.ListSigningKeysInput) ([]*signingKey, []api.Demand, error) {
	all, err := signingKeys(c.Snapshot)
	return all, nil, err
}

func (s *Service) listKeys(_ context.Context, c *api.Call, _ *shape.ListSigningKeysInput, all []*signingKey) (*shape.ListSigningKeysOutput, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range published(all, c.Now) {
		var public jose.JSONWebKey
		if err := json.Unmarshal(k.public, &public); err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, public)
	}
	raw, err := json.Marshal(set)
	return &shape.ListSigningKeysOutput{Keys: string(raw)}, err
}
