package identity

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// An instance is the one identity centre: its id and that of its directory.
type instance struct {
	id, store string // ssoins-…, d-…
	name      string
	created   time.Time
	account   string
}

func (i instance) arn() string { return "arn:aws:sso:::instance/" + i.id }
func (i instance) storeARN() string {
	return "arn:aws:identitystore::" + i.account + ":identitystore/" + i.store
}

// Bootstrap makes the instance.
func (s *Service) Bootstrap(tx *store.Tx, now time.Time) error {
	var random [12]byte
	rand.Read(random[:])
	_, err := tx.Exec(`INSERT INTO identity_instance (id, instance, store, created) VALUES (1, ?, ?, ?)`,
		fmt.Sprintf("ssoins-%x", random[:8]), fmt.Sprintf("d-%x", random[7:12]), now.UnixMicro())
	return err
}

func (s *Service) instance(q store.Querier) (instance, error) {
	i := instance{account: s.account}
	var created int64
	err := q.QueryRow(`SELECT instance, store, name, created FROM identity_instance WHERE id = 1`).Scan(&i.id, &i.store, &i.name, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return i, errors.New("identity: the instance was never made")
	}
	i.created = time.UnixMicro(created).UTC()
	return i, err
}

// Instance names the identity centre and its directory.
func (s *Service) Instance(sn *store.Snapshot) (instanceARN, storeARN string, err error) {
	i, err := s.instance(sn)
	return i.arn(), i.storeARN(), err
}

// where are the condition keys of every action on the instance and what is in it.
func where(c *api.Call) policy.Context {
	keys := policy.Context{}
	keys.Set("sso:PrimaryRegion", c.Region)
	return keys
}

// onInstance demands an action on the instance that an input names, and on more.
func (s *Service) onInstance(c *api.Call, action, arn string, more ...api.Resource) (instance, []api.Demand, error) {
	i, err := s.instance(c.Snapshot)
	if err != nil {
		return i, nil, err
	}
	r := api.Resource{ARN: arn, Account: s.account, Type: "AWS::SSO::Instance"}
	if arn != i.arn() {
		r.Missing = notFound("Instance does not exist.")
	} else if r.Tags, err = tagMap(c.Snapshot, arn); err != nil {
		return i, nil, err
	}
	keys := where(c)
	var demands []api.Demand
	for _, r := range append([]api.Resource{r}, more...) {
		demands = append(demands, api.Demand{Action: action, Resource: r, Keys: keys})
	}
	return i, demands, nil
}

// anyInstance is for the one operation that names no instance.
func (s *Service) anyInstance(_ context.Context, c *api.Call, _ *shape.ListInstancesInput) (instance, []api.Demand, error) {
	i, err := s.instance(c.Snapshot)
	return i, api.On("sso:ListInstances", api.Any), err
}

func (s *Service) listInstances(_ context.Context, c *api.Call, _ *shape.ListInstancesInput, i instance) (*shape.ListInstancesOutput, error) {
	return &shape.ListInstancesOutput{Instances: []shape.InstanceMetadata{{
		InstanceArn: i.arn(), IdentityStoreId: i.store, OwnerAccountId: s.account, Name: i.name,
		CreatedDate: i.created, Status: shape.InstanceStatusActive,
	}}}, nil
}

func (s *Service) describedInstance(_ context.Context, c *api.Call, in *shape.DescribeInstanceInput) (instance, []api.Demand, error) {
	return s.onInstance(c, "sso:DescribeInstance", in.InstanceArn)
}

func (s *Service) describeInstance(_ context.Context, _ *api.Call, _ *shape.DescribeInstanceInput, i instance) (*shape.DescribeInstanceOutput, error) {
	return &shape.DescribeInstanceOutput{
		InstanceArn: i.arn(), IdentityStoreId: i.store, OwnerAccountId: s.account, Name: i.name,
		CreatedDate: i.created, Status: shape.InstanceStatusActive,
	}, nil
}

func (s *Service) updatedInstance(_ context.Context, c *api.Call, in *shape.UpdateInstanceInput) (instance, []api.Demand, error) {
	return s.onInstance(c, "sso:UpdateInstance", in.InstanceArn)
}

func (s *Service) updateInstance(_ context.Context, _ *api.Call, in *shape.UpdateInstanceInput, _ instance) (api.Commit[shape.UpdateInstanceOutput], error) {
	return func(tx *store.Tx) (*shape.UpdateInstanceOutput, error) {
		if _, err := tx.Exec(`UPDATE identity_instance SET name = ? WHERE id = 1`, in.Name); err != nil {
			return nil, err
		}
		return &shape.UpdateInstanceOutput{}, tx.Touch(instanceKey)
	}, nil
}
