package sagemaker

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/netmodel"
	shape "bawn.dev/internal/shape/sagemaker"
	"bawn.dev/internal/spec"
	"bawn.dev/internal/store"
)

// reserve gives the job its interface, in the transaction that writes it down.
func (w *worker) reserve(ctx context.Context, tx *store.Tx, j *job, v *shape.VpcConfig) error {
	i, vpc, err := w.Network.Reserve(ctx, tx, api.Reservation{
		Account: j.account, SubnetIDs: v.Subnets, SecurityGroupIDs: v.SecurityGroupIds,
		Workload: j.id, Owner: j.arn, Service: "sagemaker", Description: "Training job " + j.shown,
	})
	if err != nil {
		return err
	}
	j.vpc = vpc
	j.network = &spec.Network{
		Mode: spec.VPC, VPCID: vpc, Nameserver: netmodel.Resolver,
		Interface: spec.Interface{ID: i.ID, SubnetID: i.Subnet, SecurityGroups: i.Groups, Address: i.Address},
	}
	return nil
}

// ready waits until the host has the VPC with the job's interface in it.
func (w *worker) ready(ctx context.Context, j *job) error {
	sn, err := w.Door().Store.Snapshot(ctx)
	if err != nil {
		return err
	}
	version, err := w.Network.Version(sn, j.vpc)
	sn.Close()
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, sweep)
	defer cancel()
	return w.Network.Ready(limited, j.vpc, version)
}
