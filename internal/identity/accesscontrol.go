package identity

import (
	"context"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

type accessConfiguration = shape.InstanceAccessControlAttributeConfiguration

// configuration says which attributes of people become session tags; nil if nothing
// was ever said.
func (s *Service) configuration(q store.Querier) (*accessConfiguration, error) {
	if _, err := q.Version(instanceKey); err != nil {
		return nil, err
	}
	var doc []byte
	err := q.QueryRow(`SELECT attributes FROM identity_instance WHERE id = 1`).Scan(&doc)
	if err != nil || doc == nil {
		return nil, err
	}
	c := new(accessConfiguration)
	return c, json.Unmarshal(doc, c)
}

func noConfiguration() *api.Error {
	return notFound("The instance has no configuration of attributes for access control.")
}

// checkConfiguration refuses attributes that could not become session tags.
func checkConfiguration(in *accessConfiguration) error {
	seen := map[string]bool{}
	for _, a := range in.AccessControlAttributes {
		folded := strings.ToLower(a.Key)
		if strings.HasPrefix(folded, "aws:") {
			return invalid("Attribute keys may not begin with aws:, which is reserved.")
		}
		if seen[folded] {
			return invalid("The key %s is given twice; case makes no difference.", a.Key)
		}
		seen[folded] = true
		if source(a.Value.Source[0]) == nil {
			return invalid("%q is not a source that is served: ${path:…} of an attribute that AWS documents for access control is.", a.Value.Source[0])
		}
	}
	return nil
}

func writeConfiguration(tx *store.Tx, c *accessConfiguration) error {
	var doc []byte
	if c != nil {
		var err error
		if doc, err = json.Marshal(c); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(`UPDATE identity_instance SET attributes = ? WHERE id = 1`, doc); err != nil {
		return err
	}
	return tx.Touch(instanceKey)
}

func (s *Service) createConfiguration(_ context.Context, _ *api.Call, in *shape.CreateInstanceAccessControlAttributeConfigurationInput, _ instance) (api.Commit[shape.CreateInstanceAccessControlAttributeConfigurationOutput], error) {
	if err := checkConfiguration(in.InstanceAccessControlAttributeConfiguration); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateInstanceAccessControlAttributeConfigurationOutput, error) {
		there, err := s.configuration(tx)
		if err == nil && there != nil {
			err = conflict("The instance has a configuration of attributes for access control already.")
		}
		if err != nil {
			return nil, err
		}
		return &shape.CreateInstanceAccessControlAttributeConfigurationOutput{}, writeConfiguration(tx, in.InstanceAccessControlAttributeConfiguration)
	}, nil
}

func (s *Service) describeConfiguration(_ context.Context, c *api.Call, _ *shape.DescribeInstanceAccessControlAttributeConfigurationInput, _ instance) (*shape.DescribeInstanceAccessControlAttributeConfigurationOutput, error) {
	there, err := s.configuration(c.Snapshot)
	if err == nil && there == nil {
		err = noConfiguration()
	}
	return &shape.DescribeInstanceAccessControlAttributeConfigurationOutput{
		Status: shape.InstanceAccessControlAttributeConfigurationStatusEnabled, InstanceAccessControlAttributeConfiguration: there,
	}, err
}

func (s *Service) updateConfiguration(_ context.Context, _ *api.Call, in *shape.UpdateInstanceAccessControlAttributeConfigurationInput, _ instance) (api.Commit[shape.UpdateInstanceAccessControlAttributeConfigurationOutput], error) {
	if err := checkConfiguration(in.InstanceAccessControlAttributeConfiguration); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.UpdateInstanceAccessControlAttributeConfigurationOutput, error) {
		return &shape.UpdateInstanceAccessControlAttributeConfigurationOutput{}, s.replaceConfiguration(tx, in.InstanceAccessControlAttributeConfiguration)
	}, nil
}

func (s *Service) deleteConfiguration(_ context.Context, _ *api.Call, _ *shape.DeleteInstanceAccessControlAttributeConfigurationInput, _ instance) (api.Commit[shape.DeleteInstanceAccessControlAttributeConfigurationOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteInstanceAccessControlAttributeConfigurationOutput, error) {
		return &shape.DeleteInstanceAccessControlAttributeConfigurationOutput{}, s.replaceConfiguration(tx, nil)
	}, nil
}

func (s *Service) replaceConfiguration(tx *store.Tx, with *accessConfiguration) error {
	there, err := s.configuration(tx)
	if err == nil && there == nil {
		err = noConfiguration()
	}
	return errors.Join(err, writeConfiguration(tx, with))
}
