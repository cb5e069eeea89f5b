package iam

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"image/png"
	"time"

	"github.com/pquerna/otp/totp"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

func (s *Service) deviceOperations() []api.Operation {
	return []api.Operation{
		api.Write("CreateVirtualMFADevice", s.newDevice, s.createDevice).Demands("iam:CreateVirtualMFADevice", "iam:TagMFADevice"),
		api.Write("EnableMFADevice", s.enabledDevice, s.enableDevice),
		api.Write("ResyncMFADevice", s.resyncedDevice, s.resyncDevice),
		api.Write("DeactivateMFADevice", s.deactivatedDevice, s.deactivateDevice),
		api.Write("DeleteVirtualMFADevice", s.deletedDevice, s.deleteDevice),
		api.Read("GetMFADevice", s.gottenDevice, s.getDevice),
		api.Read("ListMFADevices", s.listedDevices, s.listDevices),
		api.Read("ListVirtualMFADevices", s.listedVirtualDevices, s.listVirtualDevices),
		api.Write("TagMFADevice", s.taggedDevice, s.tagDevice),
		api.Write("UntagMFADevice", s.untaggedDevice, s.untagDevice),
		api.Read("ListMFADeviceTags", s.listedDeviceTags, s.listDeviceTags),
	}
}

func (s *Service) newDevice(_ context.Context, c *api.Call, in *shape.CreateVirtualMFADeviceInput) (*device, []api.Demand, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, nil, err
	}
	d := &device{id: newID("", 26), account: c.Account, path: in.Path, name: in.VirtualMFADeviceName, created: c.Now.UTC().Truncate(time.Second), tags: in.Tags}
	if d.path == "" {
		d.path = "/"
	}
	if len(d.serial()) > maxSerial {
		return nil, nil, invalid("The serial number that path and name make is longer than %d characters.", maxSerial)
	}
	r := d.resource()
	r.Tags = nil
	return d, creating("iam:CreateVirtualMFADevice", "iam:TagMFADevice", r, in.Tags), nil
}

// createDevice answers the seed, which is not told again.
func (s *Service) createDevice(_ context.Context, c *api.Call, _ *shape.CreateVirtualMFADeviceInput, d *device) (api.Commit[shape.CreateVirtualMFADeviceOutput], error) {
	other, err := deviceBySerial(c.Snapshot, d.serial())
	if err != nil {
		return nil, err
	}
	if other != nil {
		return nil, fail("EntityAlreadyExists", "MFADevice entity at the same path and name already exists.")
	}
	seed := make([]byte, 20) // as long as SHA-1's output, as RFC 4226 wants it
	rand.Read(seed)
	if d.sealed, err = deviceSealing.Seal(s.cfg.Key[:], seed, d.sealedAs()); err != nil {
		return nil, err
	}
	code, err := picture(d, seed)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateVirtualMFADeviceOutput, error) {
		return &shape.CreateVirtualMFADeviceOutput{VirtualMFADevice: &shape.VirtualMFADevice{
			SerialNumber: d.serial(), Base32StringSeed: []byte(base32.StdEncoding.EncodeToString(seed)), QRCodePNG: code, Tags: d.tags,
		}}, d.insert(tx)
	}, nil
}

// picture is the seed as applications photograph it.
func picture(d *device, seed []byte) ([]byte, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Bawn", AccountName: d.name + "@" + d.account, Secret: seed})
	if err != nil {
		return nil, err
	}
	image, err := key.Image(280, 280)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = png.Encode(&b, image)
	return b.Bytes(), err
}

func (s *Service) enabledDevice(_ context.Context, c *api.Call, in *shape.EnableMFADeviceInput) (*entity, []api.Demand, error) {
	return target(c, user, in.UserName, "iam:EnableMFADevice")
}

func (s *Service) enableDevice(_ context.Context, c *api.Call, in *shape.EnableMFADeviceInput, e *entity) (api.Commit[shape.EnableMFADeviceOutput], error) {
	d, err := deviceBySerial(c.Snapshot, in.SerialNumber)
	if err != nil {
		return nil, err
	}
	switch {
	case d == nil || d.account != e.account:
		return nil, noSuchDevice(in.SerialNumber)
	case d.owner != "":
		return nil, fail("EntityAlreadyExists", "MFA Device is already in use.")
	}
	step, err := s.paired(d, c.Now, window, in.AuthenticationCode1, in.AuthenticationCode2)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.EnableMFADeviceOutput, error) {
		if err := d.assign(tx, e.id, c.Now); err != nil {
			return nil, err
		}
		return &shape.EnableMFADeviceOutput{}, d.use(tx, step, 0)
	}, nil
}

func (s *Service) resyncedDevice(_ context.Context, c *api.Call, in *shape.ResyncMFADeviceInput) (*entity, []api.Demand, error) {
	return target(c, user, in.UserName, "iam:ResyncMFADevice")
}

// resyncDevice finds how far the device's clock is off by two codes of it.
func (s *Service) resyncDevice(_ context.Context, c *api.Call, in *shape.ResyncMFADeviceInput, e *entity) (api.Commit[shape.ResyncMFADeviceOutput], error) {
	d, err := ownDevice(c.Snapshot, e.id, in.SerialNumber)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, notTheirs(in.SerialNumber, e)
	}
	step, err := s.paired(d, c.Now, searched, in.AuthenticationCode1, in.AuthenticationCode2)
	if err != nil {
		return nil, err
	}
	drift := step - stepAt(c.Now)
	if -window <= drift && drift <= window {
		drift = 0 // slow fingers, not a slow clock
	}
	return func(tx *store.Tx) (*shape.ResyncMFADeviceOutput, error) {
		return &shape.ResyncMFADeviceOutput{}, d.use(tx, step, drift)
	}, nil
}

func notTheirs(serial string, e *entity) *api.Error {
	return fail("NoSuchEntity", "MFA Device %s is not enabled for user %s.", serial, e.name)
}

func (s *Service) deactivatedDevice(_ context.Context, c *api.Call, in *shape.DeactivateMFADeviceInput) (*entity, []api.Demand, error) {
	return userOrCaller(c, in.UserName, "iam:DeactivateMFADevice")
}

func (s *Service) deactivateDevice(_ context.Context, c *api.Call, in *shape.DeactivateMFADeviceInput, e *entity) (api.Commit[shape.DeactivateMFADeviceOutput], error) {
	d, err := ownDevice(c.Snapshot, e.id, in.SerialNumber)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, notTheirs(in.SerialNumber, e)
	}
	return func(tx *store.Tx) (*shape.DeactivateMFADeviceOutput, error) {
		return &shape.DeactivateMFADeviceOutput{}, d.assign(tx, "", c.Now)
	}, nil
}

func (s *Service) deletedDevice(_ context.Context, c *api.Call, in *shape.DeleteVirtualMFADeviceInput) (*device, []api.Demand, error) {
	return deviceTarget(c, in.SerialNumber, "iam:DeleteVirtualMFADevice")
}

// deviceTarget resolves the device that an operation names.
func deviceTarget(c *api.Call, serial, action string) (*device, []api.Demand, error) {
	d, err := deviceBySerial(c.Snapshot, serial)
	if err != nil {
		return nil, nil, err
	}
	if d == nil || d.account != c.Account {
		return nil, api.On(action, api.Resource{ARN: serial, Type: "AWS::IAM::VirtualMFADevice", Missing: noSuchDevice(serial)}), nil
	}
	return d, []api.Demand{{Action: action, Resource: d.resource(), Keys: resourceTagKeys(d.tags)}}, nil
}

func (s *Service) deleteDevice(_ context.Context, _ *api.Call, _ *shape.DeleteVirtualMFADeviceInput, d *device) (api.Commit[shape.DeleteVirtualMFADeviceOutput], error) {
	if d.owner != "" {
		return nil, fail("DeleteConflict", "MFA VirtualDevice in use. Must deactivate first.")
	}
	return func(tx *store.Tx) (*shape.DeleteVirtualMFADeviceOutput, error) {
		return &shape.DeleteVirtualMFADeviceOutput{}, d.delete(tx)
	}, nil
}
