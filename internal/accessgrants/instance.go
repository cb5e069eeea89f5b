package accessgrants

import (
	"context"
	"errors"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/s3control"
	"bawn.dev/internal/store"
)

// theInstance is what AWS calls the one instance that an account can have.
const theInstance = "default"

func (s *Service) arn(account, rest string) string {
	return "arn:aws:s3:" + s.Region + ":" + account + ":access-grants/" + theInstance + rest
}

// keys are the condition keys of every request.
func keys(account string) policy.Context {
	k := policy.Context{}
	k.Set("s3:signatureversion", "AWS4-HMAC-SHA256")
	k.Set("s3:ResourceAccount", account)
	return k
}

// instance finds an account's instance, as decisions see it.
func (s *Service) instance(sn *store.Snapshot, account string) (*instance, api.Resource, error) {
	r := api.Resource{ARN: s.arn(account, ""), Account: account, Type: "AWS::S3::AccessGrantsInstance"}
	i, err := find(sn, account)
	if err != nil {
		return nil, r, err
	}
	if i == nil {
		r.Missing = noInstance()
		return nil, r, nil
	}
	r.Policy, r.Tags = i.policy, i.tags
	return i, r, nil
}

// whole demands an action on the instance of the account that an input names.
func whole[In any](s *Service, action string, account func(*In) string) func(context.Context, *api.Call, *In) (*instance, []api.Demand, error) {
	return func(_ context.Context, c *api.Call, in *In) (*instance, []api.Demand, error) {
		i, r, err := s.instance(c.Snapshot, account(in))
		return i, []api.Demand{{Action: "s3:" + action, Resource: r, Keys: keys(account(in))}}, err
	}
}

func (s *Service) newInstance(_ context.Context, c *api.Call, in *shape.CreateAccessGrantsInstanceInput) (*instance, []api.Demand, error) {
	i, r, err := s.instance(c.Snapshot, in.AccountId)
	if err != nil {
		return nil, nil, err
	}
	r.Missing = nil
	demands, err := creating("CreateAccessGrantsInstance", r, keys(in.AccountId), in.Tags)
	return i, demands, err
}

func (s *Service) createInstance(_ context.Context, c *api.Call, in *shape.CreateAccessGrantsInstanceInput, i *instance) (api.Commit[shape.CreateAccessGrantsInstanceOutput], error) {
	if i != nil {
		return nil, fail(409, "AccessGrantsInstanceAlreadyExists", "Access Grants Instance already exists")
	}
	if in.IdentityCenterArn != "" {
		if err := s.ours(c.Snapshot, in.IdentityCenterArn); err != nil {
			return nil, err
		}
	}
	text, err := tagMap(in.Tags).text()
	if err != nil {
		return nil, err
	}
	out := &shape.CreateAccessGrantsInstanceOutput{
		CreatedAt: c.Now, AccessGrantsInstanceId: theInstance, AccessGrantsInstanceArn: s.arn(in.AccountId, ""),
		IdentityCenterArn: in.IdentityCenterArn, IdentityCenterInstanceArn: in.IdentityCenterArn,
	}
	return func(tx *store.Tx) (*shape.CreateAccessGrantsInstanceOutput, error) {
		_, err := tx.Exec(`INSERT INTO accessgrants_instances (account, created, centre, policy, bindings, policy_at, tags) VALUES (?, ?, ?, '', '', 0, ?)`,
			in.AccountId, c.Now.UnixMicro(), in.IdentityCenterArn, text)
		return out, errors.Join(err, tx.Touch(versionKey(in.AccountId)))
	}, nil
}

// ours refuses an identity centre that is not the one here.
func (s *Service) ours(sn *store.Snapshot, name string) error {
	here, _, err := s.Directory.Instance(sn)
	if err == nil && name != here {
		return badCentre()
	}
	return err
}

func (s *Service) getInstance(_ context.Context, _ *api.Call, _ *shape.GetAccessGrantsInstanceInput, i *instance) (*shape.GetAccessGrantsInstanceOutput, error) {
	out := shape.GetAccessGrantsInstanceOutput(s.shown(i))
	return &out, nil
}

func (s *Service) shown(i *instance) shape.ListAccessGrantsInstanceEntry {
	return shape.ListAccessGrantsInstanceEntry{
		AccessGrantsInstanceArn: s.arn(i.account, ""), AccessGrantsInstanceId: theInstance, CreatedAt: i.created,
		IdentityCenterArn: i.centre, IdentityCenterInstanceArn: i.centre,
	}
}

func (s *Service) listedInstances(_ context.Context, c *api.Call, in *shape.ListAccessGrantsInstancesInput) (*instance, []api.Demand, error) {
	i, err := find(c.Snapshot, in.AccountId)
	r := api.Any
	r.Account = in.AccountId
	return i, []api.Demand{{Action: "s3:ListAccessGrantsInstances", Resource: r, Keys: keys(in.AccountId)}}, err
}

func (s *Service) listInstances(_ context.Context, _ *api.Call, _ *shape.ListAccessGrantsInstancesInput, i *instance) (*shape.ListAccessGrantsInstancesOutput, error) {
	out := &shape.ListAccessGrantsInstancesOutput{AccessGrantsInstancesList: []shape.ListAccessGrantsInstanceEntry{}}
	if i != nil {
		out.AccessGrantsInstancesList = append(out.AccessGrantsInstancesList, s.shown(i))
	}
	return out, nil
}

// soughtInstance is the instance that a bucket's owner has.
func (s *Service) soughtInstance(_ context.Context, c *api.Call, in *shape.GetAccessGrantsInstanceForPrefixInput) (*instance, []api.Demand, error) {
	i, r, err := s.instance(c.Snapshot, in.AccountId)
	return i, []api.Demand{{Action: "s3:GetAccessGrantsInstanceForPrefix", Resource: r, Keys: keys(in.AccountId)}}, err
}

// getInstanceForPrefix answers by the locations that are registered, and so tells
// nothing of buckets that no location has.
func (s *Service) getInstanceForPrefix(_ context.Context, c *api.Call, in *shape.GetAccessGrantsInstanceForPrefixInput, i *instance) (*shape.GetAccessGrantsInstanceForPrefixOutput, error) {
	sought, ok := parseScope(in.S3Prefix, false)
	if !ok {
		return nil, invalid("The S3 prefix is not valid.")
	}
	list, err := store.Collect(c.Snapshot, scanLocation, locationColumns+`WHERE account = ?`, i.account)
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		if of, ok := locationScope(l.scope); ok && of.covers(sought) {
			return &shape.GetAccessGrantsInstanceForPrefixOutput{AccessGrantsInstanceArn: s.arn(i.account, ""), AccessGrantsInstanceId: theInstance}, nil
		}
	}
	return nil, noInstance()
}

func (s *Service) associate(_ context.Context, c *api.Call, in *shape.AssociateAccessGrantsIdentityCenterInput, i *instance) (api.Commit[shape.AssociateAccessGrantsIdentityCenterOutput], error) {
	if err := s.ours(c.Snapshot, in.IdentityCenterArn); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.AssociateAccessGrantsIdentityCenterOutput, error) {
		return &shape.AssociateAccessGrantsIdentityCenterOutput{}, setCentre(tx, i.account, in.IdentityCenterArn)
	}, nil
}

func (s *Service) dissociate(_ context.Context, _ *api.Call, _ *shape.DissociateAccessGrantsIdentityCenterInput, i *instance) (api.Commit[shape.DissociateAccessGrantsIdentityCenterOutput], error) {
	return func(tx *store.Tx) (*shape.DissociateAccessGrantsIdentityCenterOutput, error) {
		return &shape.DissociateAccessGrantsIdentityCenterOutput{}, setCentre(tx, i.account, "")
	}, nil
}

func setCentre(tx *store.Tx, account, centre string) error {
	_, err := tx.Exec(`UPDATE accessgrants_instances SET centre = ? WHERE account = ?`, centre, account)
	return errors.Join(err, tx.Touch(versionKey(account)))
}

func (s *Service) deleteInstance(_ context.Context, c *api.Call, _ *shape.DeleteAccessGrantsInstanceInput, i *instance) (api.Commit[shape.DeleteAccessGrantsInstanceOutput], error) {
	n, err := count(c.Snapshot, `SELECT count(*) FROM accessgrants_locations WHERE account = ?`, i.account)
	if err != nil {
		return nil, err
	}
	if n > 0 || i.centre != "" {
		return nil, fail(400, "AccessGrantsInstanceNotEmptyError", "Please clean up locations and dissociate the identity center before deleting the access grants instance")
	}
	return func(tx *store.Tx) (*shape.DeleteAccessGrantsInstanceOutput, error) {
		_, err := tx.Exec(`DELETE FROM accessgrants_instances WHERE account = ?`, i.account)
		return &shape.DeleteAccessGrantsInstanceOutput{}, errors.Join(err, tx.Touch(versionKey(i.account)))
	}, nil
}
