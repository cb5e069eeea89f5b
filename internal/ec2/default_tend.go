package ec2

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// look is how often Run looks for accounts that are new.
const look = 2 * time.Second

// tendDefaults gives accounts that never had one their default VPC, until ctx ends.
// It may be killed between any two, and run in several copies.
func (s *Service) tendDefaults(ctx context.Context, st *store.Store, problem func(error)) {
	timer := time.NewTicker(look)
	defer timer.Stop()
	done := map[string]bool{}
	for ctx.Err() == nil {
		if err := s.giveDefaults(ctx, st, done); err != nil && ctx.Err() == nil && problem != nil {
			problem(err)
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

// errHad says that another copy was quicker.
var errHad = errors.New("ec2: the account had its default VPC")

// giveDefaults looks once. done are accounts that need not be asked about again.
func (s *Service) giveDefaults(ctx context.Context, st *store.Store, done map[string]bool) error {
	lacking, err := s.lacking(ctx, st, done)
	if err != nil {
		return err
	}
	var failures []error
	for _, account := range lacking {
		id := kindVPC.newID()
		event := api.Event{
			Service: "ec2", Name: "CreateDefaultVpc", Details: map[string]any{"vpcId": id, "cidrBlock": defaultRange.String()},
			Claim:     api.Claim{Kind: api.KindService, Account: account, ID: "ec2.amazonaws.com"},
			Resources: []api.Resource{{ARN: s.arn(account, kindVPC, id), Account: account, Type: kindVPC.record}},
		}
		err := s.Happened(ctx, event, func(tx *store.Tx) error {
			if had, err := tx.Version(defaultKey(account)); err != nil || had != 0 {
				return errors.Join(err, errHad)
			}
			_, err := s.makeDefault(tx, account, id, s.Now())
			return err
		})
		if err != nil && !errors.Is(err, errHad) {
			failures = append(failures, err)
			continue
		}
		done[account] = true
	}
	return errors.Join(failures...)
}

// lacking are the accounts that never had a default VPC.
func (s *Service) lacking(ctx context.Context, st *store.Store, done map[string]bool) ([]string, error) {
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	accounts, err := s.Accounts(ctx, sn)
	if err != nil {
		return nil, err
	}
	var lacking []string
	for _, account := range accounts {
		if done[account] {
			continue
		}
		had, err := sn.Version(defaultKey(account))
		if err != nil {
			return nil, err
		}
		if done[account] = had != 0; had == 0 {
			lacking = append(lacking, account)
		}
	}
	return lacking, nil
}
