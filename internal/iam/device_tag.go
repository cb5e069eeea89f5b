package iam

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

func (s *Service) taggedDevice(_ context.Context, c *api.Call, in *shape.TagMFADeviceInput) (*device, []api.Demand, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, nil, err
	}
	d, demands, err := deviceTarget(c, in.SerialNumber, "iam:TagMFADevice")
	return d, bringing(demands, in.Tags), err
}

func (s *Service) tagDevice(_ context.Context, _ *api.Call, in *shape.TagMFADeviceInput, d *device) (api.Commit[shape.TagMFADeviceOutput], error) {
	return func(tx *store.Tx) (*shape.TagMFADeviceOutput, error) {
		return &shape.TagMFADeviceOutput{}, addTags(tx, d.id, "MFADevice", deviceKey(d.serial()), in.Tags)
	}, nil
}

func (s *Service) untaggedDevice(_ context.Context, c *api.Call, in *shape.UntagMFADeviceInput) (*device, []api.Demand, error) {
	d, demands, err := deviceTarget(c, in.SerialNumber, "iam:UntagMFADevice")
	return d, naming(demands, in.TagKeys), err
}

func (s *Service) untagDevice(_ context.Context, _ *api.Call, in *shape.UntagMFADeviceInput, d *device) (api.Commit[shape.UntagMFADeviceOutput], error) {
	return func(tx *store.Tx) (*shape.UntagMFADeviceOutput, error) {
		return &shape.UntagMFADeviceOutput{}, removeTags(tx, d.id, deviceKey(d.serial()), in.TagKeys)
	}, nil
}

func (s *Service) listedDeviceTags(_ context.Context, c *api.Call, in *shape.ListMFADeviceTagsInput) (*device, []api.Demand, error) {
	return deviceTarget(c, in.SerialNumber, "iam:ListMFADeviceTags")
}

func (s *Service) listDeviceTags(_ context.Context, _ *api.Call, in *shape.ListMFADeviceTagsInput, d *device) (*shape.ListMFADeviceTagsOutput, error) {
	out := &shape.ListMFADeviceTagsOutput{}
	var err error
	out.Tags, out.IsTruncated, out.Marker, err = pageOfTags(d.tags, in.Marker, in.MaxItems)
	return out, err
}
