package iam

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

func (s *Service) gottenDevice(_ context.Context, c *api.Call, in *shape.GetMFADeviceInput) (*entity, []api.Demand, error) {
	return userOrCaller(c, in.UserName, "iam:GetMFADevice")
}

func (s *Service) getDevice(_ context.Context, c *api.Call, in *shape.GetMFADeviceInput, e *entity) (*shape.GetMFADeviceOutput, error) {
	d, err := ownDevice(c.Snapshot, e.id, in.SerialNumber)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, notTheirs(in.SerialNumber, e)
	}
	return &shape.GetMFADeviceOutput{EnableDate: d.enabled, SerialNumber: d.serial(), UserName: e.name}, nil
}

func (s *Service) listedDevices(_ context.Context, c *api.Call, in *shape.ListMFADevicesInput) (*entity, []api.Demand, error) {
	return userOrCaller(c, in.UserName, "iam:ListMFADevices")
}

func (s *Service) listDevices(_ context.Context, c *api.Call, in *shape.ListMFADevicesInput, e *entity) (*shape.ListMFADevicesOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	found, err := store.Collect(c.Snapshot, func(r *store.Rows) (*device, error) { return scanDevice(r.Scan) },
		`SELECT `+deviceColumns+` FROM iam_devices WHERE owner = ? AND serial > ? ORDER BY serial LIMIT ?`, e.id, p.after, p.limit+1)
	if err != nil {
		return nil, err
	}
	out := &shape.ListMFADevicesOutput{MFADevices: []shape.MFADevice{}}
	found, out.IsTruncated, out.Marker = cut(p, found, (*device).serial)
	for _, d := range found {
		out.MFADevices = append(out.MFADevices, shape.MFADevice{EnableDate: d.enabled, SerialNumber: d.serial(), UserName: e.name})
	}
	return out, nil
}

func (s *Service) listedVirtualDevices(context.Context, *api.Call, *shape.ListVirtualMFADevicesInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("iam:ListVirtualMFADevices", api.Any), nil
}

func (s *Service) listVirtualDevices(_ context.Context, c *api.Call, in *shape.ListVirtualMFADevicesInput, _ struct{}) (*shape.ListVirtualMFADevicesOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	assigned := ""
	switch in.AssignmentStatus {
	case shape.AssignmentStatusTypeAssigned:
		assigned = ` AND owner <> ''`
	case shape.AssignmentStatusTypeUnassigned:
		assigned = ` AND owner = ''`
	}
	found, err := store.Collect(c.Snapshot, func(r *store.Rows) (*device, error) { return scanDevice(r.Scan) },
		`SELECT `+deviceColumns+` FROM iam_devices WHERE account = ? AND serial > ?`+assigned+` ORDER BY serial LIMIT ?`, c.Account, p.after, p.limit+1)
	if err != nil {
		return nil, err
	}
	out := &shape.ListVirtualMFADevicesOutput{VirtualMFADevices: []shape.VirtualMFADevice{}}
	found, out.IsTruncated, out.Marker = cut(p, found, (*device).serial)
	for _, d := range found {
		shown := shape.VirtualMFADevice{EnableDate: d.enabled, SerialNumber: d.serial()}
		if d.owner != "" {
			e, err := entityByID(c.Snapshot, d.owner)
			if err != nil {
				return nil, err
			}
			if e != nil {
				u := shape.User{Arn: e.arn(), CreateDate: e.created, Path: e.path, UserId: e.id, UserName: e.name}
				shown.User = &u
			}
		}
		out.VirtualMFADevices = append(out.VirtualMFADevices, shown)
	}
	return out, nil
}
