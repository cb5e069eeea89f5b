package iam

import (
	"database/sql"
	"errors"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
)

const (
	deviceSealing seal.Purpose = "iam mfa seed"

	maxDevicesPerUser = 8
	maxSerial         = 256 // as operations take it
)

// A device is a virtual MFA device: a seed that makes one-time codes. It counts for
// the user who showed two of its codes, and for nobody before.
type device struct {
	id, account string
	path, name  string
	owner       string // the user's unique id; empty: nobody's
	created     time.Time
	enabled     time.Time
	lastStep    int64 // no code of this time step or an earlier one is good
	drift       int64 // steps by which the device's clock is ahead of ours
	sealed      []byte
	tags        []tag
}

func (d *device) serial() string { return deviceSerial(d.account, d.path, d.name) }

func deviceSerial(account, path, name string) string {
	return "arn:aws:iam::" + account + ":mfa" + path + name
}

// deviceKey is the version key of a device, and of there being none.
func deviceKey(serial string) string { return "iam:device/" + serial }

func (d *device) resource() api.Resource {
	return api.Resource{ARN: d.serial(), Account: d.account, Type: "AWS::IAM::VirtualMFADevice", Tags: tagMap(d.tags)}
}

// sealedAs binds a seed to its device: a row that was exchanged with another's, or
// with a deleted device's of the same name, does not open.
func (d *device) sealedAs() []byte { return []byte(d.id + "\x00" + d.serial()) }

func (s *Service) seed(d *device) ([]byte, error) {
	return deviceSealing.Open(s.cfg.Key[:], d.sealed, d.sealedAs())
}

func noSuchDevice(serial string) *api.Error {
	return fail("NoSuchEntity", "VirtualMFADevice with serial number %s does not exist.", serial)
}

const deviceColumns = `id, account, path, name, owner, created, enabled, last_step, drift, sealed`

func scanDevice(scan func(...any) error) (*device, error) {
	d := &device{}
	var created, enabled int64
	err := scan(&d.id, &d.account, &d.path, &d.name, &d.owner, &created, &enabled, &d.lastStep, &d.drift, &d.sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	d.created = time.UnixMicro(created).UTC()
	if enabled != 0 {
		d.enabled = time.UnixMicro(enabled).UTC()
	}
	return d, err
}

// deviceBySerial finds a device, or answers nil. The snapshot remembers that it was
// asked.
func deviceBySerial(sn *store.Snapshot, serial string) (*device, error) {
	if _, err := sn.Version(deviceKey(serial)); err != nil {
		return nil, err
	}
	d, err := scanDevice(sn.QueryRow(`SELECT `+deviceColumns+` FROM iam_devices WHERE serial = ?`, serial).Scan)
	if d == nil || err != nil {
		return nil, err
	}
	d.tags, err = tagsOf(sn, d.id)
	return d, err
}

// ownDevice is an enabled device of a user, or nil.
func ownDevice(sn *store.Snapshot, userID, serial string) (*device, error) {
	d, err := deviceBySerial(sn, serial)
	if err != nil || d == nil || d.owner == "" || d.owner != userID {
		return nil, err
	}
	return d, nil
}

func (d *device) insert(tx *store.Tx) error {
	n, err := count(tx, `SELECT COUNT(*) FROM iam_devices WHERE account = ?`, d.account)
	if err != nil {
		return err
	}
	if n >= maxUsers {
		return exceeded("VirtualMFADevicesPerAccount", maxUsers)
	}
	if _, err := tx.Exec(`INSERT INTO iam_devices (id, serial, account, path, name, owner, created, enabled, last_step, drift, sealed)
		VALUES (?, ?, ?, ?, ?, '', ?, 0, 0, 0, ?)`, d.id, d.serial(), d.account, d.path, d.name, d.created.UnixMicro(), d.sealed); err != nil {
		return err
	}
	if err := putTags(tx, d.id, d.tags); err != nil {
		return err
	}
	return tx.Touch(deviceKey(d.serial()))
}

// assign gives a device to a user, or takes it away (owner "").
func (d *device) assign(tx *store.Tx, owner string, now time.Time) error {
	enabled := int64(0)
	if owner != "" {
		n, err := count(tx, `SELECT COUNT(*) FROM iam_devices WHERE owner = ?`, owner)
		if err != nil {
			return err
		}
		if n >= maxDevicesPerUser {
			return exceeded("MFADevicesPerUser", maxDevicesPerUser)
		}
		enabled = now.UTC().Truncate(time.Second).UnixMicro()
	}
	if _, err := tx.Exec(`UPDATE iam_devices SET owner = ?, enabled = ? WHERE id = ?`, owner, enabled, d.id); err != nil {
		return err
	}
	return tx.Touch(deviceKey(d.serial()))
}

// use notes the last time step whose code was taken, and the device's drift.
func (d *device) use(tx *store.Tx, step, drift int64) error {
	if _, err := tx.Exec(`UPDATE iam_devices SET last_step = ?, drift = ? WHERE id = ?`, step, drift, d.id); err != nil {
		return err
	}
	return tx.Touch(deviceKey(d.serial()))
}

func (d *device) delete(tx *store.Tx) error {
	for _, statement := range []string{`DELETE FROM iam_devices WHERE id = ?`, `DELETE FROM iam_tags WHERE owner = ?`} {
		if _, err := tx.Exec(statement, d.id); err != nil {
			return err
		}
	}
	return tx.Touch(deviceKey(d.serial()))
}
