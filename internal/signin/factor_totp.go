package signin

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"image/png"
	"time"

	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/signin"
)

// One-time codes are RFC 6238's, as every authenticator application makes them.
const (
	timeStep   = 30 * time.Second
	window     = 1 // steps before and after ours that a code may be of
	seedLength = 20
)

func newSeed() []byte {
	seed := make([]byte, seedLength)
	rand.Read(seed)
	return seed
}

// totpSetup is a seed as applications take it.
func totpSetup(seed []byte, name string) (*shape.TotpSetup, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Bawn", AccountName: name, Secret: seed})
	if err != nil {
		return nil, err
	}
	image, err := key.Image(280, 280)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = png.Encode(&b, image)
	return &shape.TotpSetup{Secret: key.Secret(), Uri: key.URL(), QRCode: b.Bytes()}, err
}

// stepOf is the time step near now whose code this is, later than after; -1 if it is
// of none. All are tried, whichever fits.
func stepOf(seed []byte, code string, now time.Time, after int64) (int64, error) {
	found, middle := int64(-1), now.Unix()/int64(timeStep/time.Second)
	for step := middle - window; step <= middle+window; step++ {
		want, err := hotp.GenerateCode(base32.StdEncoding.EncodeToString(seed), uint64(step))
		if err != nil {
			return -1, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && step > after {
			found = step
		}
	}
	return found, nil
}

// coded finds the application of a person that made a code, and notes in it that the
// code is used up; nil if none did. All are asked.
func coded(key seal.Key, all []*factor, code string, now time.Time) (*factor, error) {
	var by *factor
	for _, d := range ofKind(all, totpKind) {
		seed, err := d.open(key)
		if err != nil {
			return nil, err
		}
		step, err := stepOf(seed, code, now, d.lastStep)
		if err != nil {
			return nil, err
		}
		if step >= 0 && by == nil {
			d.lastStep, by = step, d
		}
	}
	return by, nil
}

// registerTOTP makes a device of a seed whose application shows a code; nil if the
// code is not of it. That code is used up.
func (s *Service) registerTOTP(userID string, seed []byte, code, name string, now time.Time) (*factor, error) {
	if len(seed) != seedLength {
		return nil, errors.New("signin: an application is registered without a seed")
	}
	step, err := stepOf(seed, code, now, -1)
	if err != nil || step < 0 {
		return nil, err
	}
	d := newFactor(userID, totpKind, name, now)
	d.lastStep = step
	return d, d.seal(s.Key, seed)
}
