package signin

import (
	"database/sql"
	"errors"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

const (
	totpKind    = string(shape.DeviceKindTotp)
	passkeyKind = string(shape.DeviceKindPasskey)

	maxDevices = 8 // of one person, as with AWS

	factorSealing seal.Purpose = "signin device"
)

// factorMigration holds what people prove themselves with, and the wrong guesses.
var factorMigration = store.Migration{Room: "signin", Version: 3, SQL: []string{
	`CREATE TABLE signin_passwords (user_id TEXT PRIMARY KEY, sealed BLOB NOT NULL, must_change BOOLEAN NOT NULL, expires INTEGER NOT NULL, changed INTEGER NOT NULL)`,
	`CREATE TABLE signin_guards (id TEXT PRIMARY KEY, failures INTEGER NOT NULL, until INTEGER NOT NULL, at INTEGER NOT NULL)`,
	`CREATE INDEX signin_guards_at ON signin_guards (at)`,
	`CREATE TABLE signin_devices (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, credential TEXT NOT NULL UNIQUE,
		created INTEGER NOT NULL, used INTEGER NOT NULL, last_step INTEGER NOT NULL, sealed BLOB NOT NULL)`,
	`CREATE INDEX signin_devices_user ON signin_devices (user_id)`,
	`CREATE TABLE signin_recovery (user_id TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (user_id, digest))`,
	`CREATE TABLE signin_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)`,
}}

// A factor is a device that proves its person: an authenticator application or a passkey. What it is
// checked with is sealed.
type factor struct {
	id, userID string
	kind, name string
	credential string // a passkey's id; for an application the device's own
	created    time.Time
	used       time.Time
	lastStep   int64 // no one-time code of this time step or an earlier one is good
	sealed     []byte
}

func newFactor(userID, kind, name string, now time.Time) *factor {
	if name == "" {
		name = map[string]string{totpKind: "Authenticator app", passkeyKind: "Passkey"}[kind]
	}
	id := uuid.New()
	return &factor{id: id, userID: userID, kind: kind, name: name, credential: id, created: now.UTC().Truncate(time.Second)}
}

// sealedAs binds a secret to its device and person: a row that was exchanged with
// another's does not open.
func (d *factor) sealedAs() []byte { return []byte(d.id + "\x00" + d.userID + "\x00" + d.kind) }

func (d *factor) seal(key seal.Key, secret []byte) (err error) {
	d.sealed, err = factorSealing.Seal(key[:], secret, d.sealedAs())
	return err
}

func (d *factor) open(key seal.Key) ([]byte, error) {
	return factorSealing.Open(key[:], d.sealed, d.sealedAs())
}

const factorColumns = `id, user_id, kind, name, credential, created, used, last_step, sealed`

func scanFactor(scan func(...any) error) (*factor, error) {
	d := &factor{}
	var created, used int64
	err := scan(&d.id, &d.userID, &d.kind, &d.name, &d.credential, &created, &used, &d.lastStep, &d.sealed)
	d.created = time.UnixMicro(created).UTC()
	if used != 0 {
		d.used = time.UnixMicro(used).UTC()
	}
	return d, err
}

// factors are a person's, the oldest first.
func factors(sn *store.Snapshot, userID string) ([]*factor, error) {
	if _, err := sn.Version(personKey(userID)); err != nil {
		return nil, err
	}
	return store.Collect(sn, func(r *store.Rows) (*factor, error) { return scanFactor(r.Scan) },
		`SELECT `+factorColumns+` FROM signin_devices WHERE user_id = ? ORDER BY created, id`, userID)
}

// byCredential finds the passkey of an id; nil if there is none.
func byCredential(sn *store.Snapshot, credential string) (*factor, error) {
	d, err := scanFactor(sn.QueryRow(`SELECT `+factorColumns+` FROM signin_devices WHERE credential = ? AND kind = ?`, credential, passkeyKind).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = sn.Version(personKey(d.userID))
	return d, err
}

func (d *factor) insert(tx *store.Tx) error {
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM signin_devices WHERE user_id = ?`, d.userID).Scan(&n); err != nil {
		return err
	}
	if n >= maxDevices {
		return tooManyDevices()
	}
	if err := tx.QueryRow(`SELECT count(*) FROM signin_devices WHERE credential = ?`, d.credential).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return conflict("The passkey is registered already.")
	}
	_, err := tx.Exec(`INSERT INTO signin_devices (`+factorColumns+`) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)`,
		d.id, d.userID, d.kind, d.name, d.credential, d.created.UnixMicro(), d.lastStep, d.sealed)
	return errors.Join(err, tx.Touch(personKey(d.userID)))
}

// use writes down that a device was used, the last time step whose code was taken and
// what is sealed of it.
func (d *factor) use(tx *store.Tx, now time.Time) error {
	_, err := tx.Exec(`UPDATE signin_devices SET used = ?, last_step = ?, sealed = ? WHERE id = ?`, now.UnixMicro(), d.lastStep, d.sealed, d.id)
	return errors.Join(err, tx.Touch(personKey(d.userID)))
}

func (d *factor) delete(tx *store.Tx) error {
	_, err := tx.Exec(`DELETE FROM signin_devices WHERE id = ?`, d.id)
	return errors.Join(err, tx.Touch(personKey(d.userID)))
}

func (d *factor) shown() shape.Device {
	return shape.Device{Id: d.id, Kind: shape.DeviceKind(d.kind), Name: d.name, CreatedAt: d.created, UsedAt: d.used}
}

// ofKind are the devices of a kind.
func ofKind(all []*factor, kind string) (some []*factor) {
	for _, d := range all {
		if d.kind == kind {
			some = append(some, d)
		}
	}
	return some
}

// A policy says when a second factor is needed. There is none by which it never is.
type mfaPolicy = shape.MfaPolicy

const policyKey = "signin:policy"

// readPolicy is the instance's. Until somebody chooses, a second factor is required.
func readPolicy(sn *store.Snapshot) (mfaPolicy, error) {
	if _, err := sn.Version(policyKey); err != nil {
		return "", err
	}
	var p string
	err := sn.QueryRow(`SELECT value FROM signin_settings WHERE name = 'mfa'`).Scan(&p)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	if mfaPolicy(p) == shape.MfaPolicyWhenRegistered {
		return shape.MfaPolicyWhenRegistered, nil
	}
	return shape.MfaPolicyRequired, nil
}

func setPolicy(tx *store.Tx, p mfaPolicy) error {
	if _, err := tx.Exec(`DELETE FROM signin_settings WHERE name = 'mfa'`); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO signin_settings (name, value) VALUES ('mfa', ?)`, string(p))
	return errors.Join(err, tx.Touch(policyKey))
}

func tooManyDevices() *api.Error {
	return fail("ServiceQuotaExceededException", "A person has at most %d devices.", maxDevices)
}
