package iam

import (
	"context"
	"crypto/subtle"
	"encoding/base32"
	"net/http"
	"sync"
	"time"

	"github.com/pquerna/otp/hotp"
	"golang.org/x/time/rate"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// One-time codes are RFC 6238's: six digits of HMAC-SHA-1, a new one each step.
const (
	timeStep = 30 * time.Second
	// window is how many steps before and after ours a code may be of.
	window = 1
	// searched is how far from ours a device's clock may be when it is brought in step.
	searched = 20
	// Whoever guesses has so many tries at a device, then one each step; and after so
	// many wrong codes in a row one each quarter of an hour, lest a stolen key find a
	// code within weeks.
	maxTries  = 5
	maxWrong  = 10
	wrongStep = 15 * time.Minute
)

func stepAt(now time.Time) int64 { return now.Unix() / int64(timeStep/time.Second) }

// good says whether a code is the one of a step.
func good(seed []byte, step int64, code string) (bool, error) {
	if step < 0 {
		return false, nil
	}
	want, err := hotp.GenerateCode(base32.StdEncoding.EncodeToString(seed), uint64(step))
	return err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1, err
}

// found answers the step around a middle that a row of codes begins with, or -1. All
// steps are tried, whichever fits.
func found(seed []byte, middle, around int64, codes ...string) (int64, error) {
	first := int64(-1)
	for step := middle - around; step <= middle+around; step++ {
		all := true
		for i, code := range codes {
			ok, err := good(seed, step+int64(i), code)
			if err != nil {
				return -1, err
			}
			all = all && ok
		}
		if all && first < 0 {
			first = step
		}
	}
	return first, nil
}

// CheckMFA says whether code is a good one-time code of the user's device. If so,
// what it answers uses the code up, and belongs into the transaction that does what
// the code was given for: of two calls with one code, one is resolved anew and hears
// that the code is no good. Errors for the world are *api.Error.
func (s *Service) CheckMFA(_ context.Context, sn *store.Snapshot, userID, serial, code string, now time.Time) (spend func(*store.Tx) error, err error) {
	d, err := ownDevice(sn, userID, serial)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, refusedMFA(", unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.")
	}
	wrong := refusedMFA(" with invalid MFA one time pass code. ")
	if !s.tries.take(d.id, now) {
		return nil, wrong
	}
	seed, err := s.seed(d)
	if err != nil {
		return nil, err
	}
	step, err := found(seed, stepAt(now)+d.drift, window, code)
	if err != nil {
		return nil, err
	}
	if s.tries.told(d.id, step > d.lastStep, now); step <= d.lastStep {
		return nil, wrong
	}
	return func(tx *store.Tx) error { return d.use(tx, step, d.drift) }, nil
}

func refusedMFA(why string) *api.Error {
	return &api.Error{Code: "AccessDenied", Status: http.StatusForbidden, Message: "MultiFactorAuthentication failed" + why}
}

// paired checks two codes that follow each other, neither used before, and answers
// the second's step. A refusal is InvalidAuthenticationCode.
func (s *Service) paired(d *device, now time.Time, around int64, first, second string) (int64, error) {
	wrong := fail("InvalidAuthenticationCode", "Authentication code for device is not valid.")
	if !s.tries.take(d.id, now) {
		return 0, wrong
	}
	seed, err := s.seed(d)
	if err != nil {
		return 0, err
	}
	step, err := found(seed, stepAt(now)-1, around, first, second)
	if err != nil {
		return 0, err
	}
	if s.tries.told(d.id, step > d.lastStep, now); step <= d.lastStep {
		return 0, wrong
	}
	return step + 1, nil
}

// tries slow down whoever guesses codes, per device. They are in memory, each copy
// of the server its own: what makes guessing hopeless is that a code is one of a
// million, and this that nobody gets a million tries.
type tries struct {
	mu     sync.Mutex
	limits map[string]*tried
}

// tried is how often one device may be tried.
type tried struct {
	*rate.Limiter
	wrong int // codes in a row
}

const maxTried = 1 << 16

func newTries() *tries { return &tries{limits: map[string]*tried{}} }

// take says whether one more code of a device may be looked at. Good ones count
// too, since nobody has more than one each step.
func (t *tries) take(id string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.limits[id]
	if l == nil {
		if len(t.limits) >= maxTried {
			t.forget(now)
		}
		if len(t.limits) >= maxTried {
			return false
		}
		l = &tried{Limiter: rate.NewLimiter(rate.Every(timeStep), maxTries)}
		t.limits[id] = l
	}
	return l.AllowN(now, 1)
}

// told notes whether the code that was looked at was good.
func (t *tries) told(id string, good bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.limits[id]
	switch {
	case l == nil:
	case good:
		l.wrong = 0
		l.SetLimitAt(now, rate.Every(timeStep))
	default:
		if l.wrong++; l.wrong == maxWrong {
			l.SetLimitAt(now, rate.Every(wrongStep))
		}
	}
}

// forget drops the devices that may be tried as often as one that was never tried.
func (t *tries) forget(now time.Time) {
	for id, l := range t.limits {
		if l.TokensAt(now) >= maxTries {
			delete(t.limits, id)
		}
	}
}
