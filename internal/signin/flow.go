package signin

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

const (
	// flowLife is how long a person may take to prove herself.
	flowLife = 10 * time.Minute
	// flowBlock hides, in the length of what is sealed, whether a name is somebody's.
	flowBlock = 512

	flowSealing       seal.Purpose = "signin flow"
	setupSealing      seal.Purpose = "signin device setup"
	rememberedSealing seal.Purpose = "signin remembered browser"

	rememberedLife = 180 * 24 * time.Hour
)

// A stage is what a flow waits for.
type stage string

const (
	stageIdentify  stage = "identify"  // a password, a passkey, or a provider to be sent to
	stageSecond    stage = "second"    // a second factor
	stageChange    stage = "change"    // a new password
	stageRegister  stage = "register"  // a first device
	stageElsewhere stage = "elsewhere" // the answer of an external provider
)

// A flow is a sign-in on its way. It travels sealed: the client holds it and learns
// nothing from it, each is good once, and what was proved stands in it and nowhere
// else. It is bound to what the client bound it to when it began (the portal: a
// cookie of the browser), so that nobody finishes in one browser what another began.
type flow struct {
	ID         string    `json:"id"` // used once
	Name       string    `json:"name"`
	UserID     string    `json:"user"` // of nobody, where the name is nobody's
	Stage      stage     `json:"stage"`
	Methods    []string  `json:"methods"`
	Password   int64     `json:"password"` // when the one was set that was proved
	Provider   string    `json:"provider"`
	Remembered string    `json:"remembered"`
	Challenge  string    `json:"challenge"` // of the passkey options that were given out last
	Seed       []byte    `json:"seed"`      // of the application that is being registered
	Binding    []byte    `json:"binding"`
	Expires    time.Time `json:"expires"`
}

// seal makes the next flow of f: what was given out before is good no more.
func (s *Service) sealFlow(f *flow) (string, error) {
	f.ID = uuid.New()
	raw, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	raw = append(raw, strings.Repeat(" ", flowBlock-len(raw)%flowBlock)...)
	sealed, err := flowSealing.Seal(s.Key[:], raw, nil)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// openFlow opens a flow that was bound to binding. All that is wrong with one looks
// the same.
func (s *Service) openFlow(q store.Querier, text, binding string, now time.Time) (*flow, error) {
	f := new(flow)
	if err := unseal(flowSealing, s.Key, text, nil, f); err != nil || now.After(f.Expires) || subtle.ConstantTimeCompare(f.Binding, bound(binding)) != 1 {
		return nil, over()
	}
	var n int
	if err := q.QueryRow(`SELECT count(*) FROM signin_used WHERE id = ?`, usedID("flow", f.ID)).Scan(&n); err != nil {
		return nil, err
	}
	if n > 0 {
		return nil, over()
	}
	return f, nil
}

// spend uses something up that is good once, whatever comes of it.
func spend(tx *store.Tx, kind, id string, expires, now time.Time) error {
	if _, err := tx.Exec(`DELETE FROM signin_used WHERE expires < ?`, now.UnixMicro()); err != nil {
		return err
	}
	used := usedID(kind, id)
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM signin_used WHERE id = ?`, used).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return over()
	}
	_, err := tx.Exec(`INSERT INTO signin_used (id, expires) VALUES (?, ?)`, used, expires.Add(clockSkew).UnixMicro())
	return err
}

func bound(binding string) []byte {
	sum := sha256.Sum256([]byte(binding))
	return sum[:]
}

// unseal opens what seal made as text.
func unseal(purpose seal.Purpose, key seal.Key, text string, aad []byte, into any) error {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return seal.ErrOpen
	}
	raw, err := purpose.Open(key[:], sealed, aad)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// with is f after one more proof.
func (f *flow) with(methods ...string) *flow {
	for _, m := range methods {
		if !slices.Contains(f.Methods, m) {
			f.Methods = append(f.Methods, m)
		}
	}
	return f
}

// strong says whether more than one factor was proved.
func (f *flow) strong() bool { return (&Session{Methods: f.Methods}).Strong() }

// remembered is what a browser keeps in which a person signed in with two factors.
type remembered struct {
	ID      string    `json:"id"`
	UserID  string    `json:"user"`
	Expires time.Time `json:"expires"`
}

// remember makes a new one, or keeps the one that the browser has.
func (s *Service) remember(f *flow, now time.Time) (string, error) {
	r := remembered{ID: f.Remembered, UserID: f.UserID, Expires: now.Add(rememberedLife)}
	if r.ID == "" {
		r.ID = uuid.New()
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	sealed, err := rememberedSealing.Seal(s.Key[:], raw, nil)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// remembers is the id of the browser if it is one of this person's.
func (s *Service) remembers(text, userID string, now time.Time) string {
	var r remembered
	if text == "" || unseal(rememberedSealing, s.Key, text, nil, &r) != nil || r.UserID != userID || now.After(r.Expires) {
		return ""
	}
	return r.ID
}
