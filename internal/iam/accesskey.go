package iam

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

const sealing seal.Purpose = "iam access key"

// A secret is an access key that signs, in clear.
type secret struct {
	text  string
	claim api.Claim
}

func accessKeyKey(id string) string { return "iam:accesskey/" + id }

// Credential finds the secret of a long-term access key. A key that is unknown or
// inactive is ErrGone, and so is any that comes with a session token; of an inactive
// one it tells whose it is. It
// implements api.Credentials for "AKIA".
func (s *Service) Credential(_ context.Context, sn *store.Snapshot, accessKeyID, token string, _ time.Time) (string, api.Claim, error) {
	if token != "" {
		return "", api.Claim{}, api.ErrGone
	}
	k, ok, err := s.secrets.get(sn, accessKeyID)
	if err == nil && !ok {
		k, err = s.openSecret(sn, accessKeyID)
	}
	if k == nil {
		return "", api.Claim{}, err
	}
	return k.text, k.claim, err
}

// KeyActive says whether a long-term access key exists and is active: what it made
// ends with it.
func (s *Service) KeyActive(ctx context.Context, sn *store.Snapshot, accessKeyID string) (bool, error) {
	_, _, err := s.Credential(ctx, sn, accessKeyID, "", time.Time{})
	if errors.Is(err, api.ErrGone) {
		return false, nil
	}
	return err == nil, err
}

func (s *Service) openSecret(sn *store.Snapshot, id string) (*secret, error) {
	if _, err := sn.Version(accessKeyKey(id)); err != nil {
		return nil, err
	}
	var owner, account string
	var sealed []byte
	var created int64
	var active bool
	err := sn.QueryRow(`SELECT k.owner, k.sealed, k.created, k.active, e.account FROM iam_access_keys k
		JOIN iam_entities e ON e.id = k.owner WHERE k.id = ?`, id).Scan(&owner, &sealed, &created, &active, &account)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, api.ErrGone
	}
	if err != nil {
		return nil, err
	}
	claim := api.Claim{Kind: api.KindUser, Account: account, ID: owner, Issued: time.UnixMicro(created).UTC()}
	if !active {
		return &secret{claim: claim}, api.ErrGone
	}
	text, err := sealing.Open(s.cfg.Key[:], sealed, sealedFor(id, owner))
	if err != nil {
		return nil, err
	}
	k := &secret{string(text), claim}
	// The user's own version is asked for in the same look-up, since authz wants it next.
	return k, s.secrets.put(sn, id, k, accessKeyKey(id), entityKey(owner))
}

// sealedFor binds a secret to its key id and its user: a row that was exchanged
// with another does not open.
func sealedFor(id, owner string) []byte { return []byte(id + "\x00" + owner) }

// insertAccessKey makes a key for a user and answers its secret, which is not
// told again.
func (s *Service) insertAccessKey(tx *store.Tx, owner *entity, id, text string, sealed []byte, now time.Time) (*shape.AccessKey, error) {
	if _, err := tx.Exec(`INSERT INTO iam_access_keys (id, owner, active, sealed, created) VALUES (?, ?, ?, ?, ?)`,
		id, owner.id, true, sealed, now.UnixMicro()); err != nil {
		return nil, err
	}
	k := &shape.AccessKey{AccessKeyId: id, SecretAccessKey: text, Status: shape.StatusTypeActive, UserName: owner.name, CreateDate: now.UTC().Truncate(time.Second)}
	return k, tx.Touch(accessKeyKey(id), owner.key())
}

// newSecret makes an access key id, a secret of 40 characters and its sealed form.
func (s *Service) newSecret(owner string) (id, text string, sealed []byte, err error) {
	var raw [30]byte
	rand.Read(raw[:])
	id, text = newID("AKIA", 16), base64.StdEncoding.EncodeToString(raw[:])
	sealed, err = sealing.Seal(s.cfg.Key[:], []byte(text), sealedFor(id, owner))
	return id, text, sealed, err
}

func (s *Service) newAccessKey(_ context.Context, c *api.Call, in *shape.CreateAccessKeyInput) (*entity, []api.Demand, error) {
	return userOrCaller(c, in.UserName, "iam:CreateAccessKey")
}

func (s *Service) createAccessKey(_ context.Context, c *api.Call, _ *shape.CreateAccessKeyInput, e *entity) (api.Commit[shape.CreateAccessKeyOutput], error) {
	id, text, sealed, err := s.newSecret(e.id)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateAccessKeyOutput, error) {
		n, err := count(tx, `SELECT COUNT(*) FROM iam_access_keys WHERE owner = ?`, e.id)
		if err != nil {
			return nil, err
		}
		if n >= maxAccessKeys {
			return nil, exceeded("AccessKeysPerUser", maxAccessKeys)
		}
		k, err := s.insertAccessKey(tx, e, id, text, sealed, c.Now)
		return &shape.CreateAccessKeyOutput{AccessKey: k}, err
	}, nil
}

func (s *Service) listedAccessKeys(_ context.Context, c *api.Call, in *shape.ListAccessKeysInput) (*entity, []api.Demand, error) {
	return userOrCaller(c, in.UserName, "iam:ListAccessKeys")
}

func (s *Service) listAccessKeys(_ context.Context, c *api.Call, in *shape.ListAccessKeysInput, e *entity) (*shape.ListAccessKeysOutput, error) {
	p, err := paging(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	keys, err := store.Collect(c.Snapshot, func(r *store.Rows) (shape.AccessKeyMetadata, error) {
		k := shape.AccessKeyMetadata{UserName: e.name}
		var active bool
		var created int64
		err := r.Scan(&k.AccessKeyId, &active, &created)
		k.Status, k.CreateDate = status(active), time.UnixMicro(created).UTC().Truncate(time.Second)
		return k, err
	}, `SELECT id, active, created FROM iam_access_keys WHERE owner = ? AND id > ? ORDER BY id LIMIT ?`, e.id, p.after, p.limit+1)
	if err != nil {
		return nil, err
	}
	out := &shape.ListAccessKeysOutput{AccessKeyMetadata: []shape.AccessKeyMetadata{}}
	keys, out.IsTruncated, out.Marker = cut(p, keys, func(k shape.AccessKeyMetadata) string { return k.AccessKeyId })
	out.AccessKeyMetadata = append(out.AccessKeyMetadata, keys...)
	return out, nil
}

func status(active bool) shape.StatusType {
	if active {
		return shape.StatusTypeActive
	}
	return shape.StatusTypeInactive
}

func (s *Service) updatedAccessKey(_ context.Context, c *api.Call, in *shape.UpdateAccessKeyInput) (*entity, []api.Demand, error) {
	if in.Status != shape.StatusTypeActive && in.Status != shape.StatusTypeInactive {
		return nil, nil, invalid("Status must be Active or Inactive")
	}
	return userOrCaller(c, in.UserName, "iam:UpdateAccessKey")
}

func (s *Service) updateAccessKey(_ context.Context, _ *api.Call, in *shape.UpdateAccessKeyInput, e *entity) (api.Commit[shape.UpdateAccessKeyOutput], error) {
	return func(tx *store.Tx) (*shape.UpdateAccessKeyOutput, error) {
		err := changeAccessKey(tx, e, in.AccessKeyId,
			`UPDATE iam_access_keys SET active = ? WHERE id = ? AND owner = ?`, in.Status == shape.StatusTypeActive, in.AccessKeyId, e.id)
		return &shape.UpdateAccessKeyOutput{}, err
	}, nil
}

func (s *Service) deletedAccessKey(_ context.Context, c *api.Call, in *shape.DeleteAccessKeyInput) (*entity, []api.Demand, error) {
	return userOrCaller(c, in.UserName, "iam:DeleteAccessKey")
}

func (s *Service) deleteAccessKey(_ context.Context, _ *api.Call, in *shape.DeleteAccessKeyInput, e *entity) (api.Commit[shape.DeleteAccessKeyOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteAccessKeyOutput, error) {
		if err := changeAccessKey(tx, e, in.AccessKeyId, `DELETE FROM iam_access_keys WHERE id = ? AND owner = ?`, in.AccessKeyId, e.id); err != nil {
			return nil, err
		}
		_, err := tx.Exec(`DELETE FROM iam_last_used WHERE id = ?`, in.AccessKeyId)
		return &shape.DeleteAccessKeyOutput{}, err
	}, nil
}

// keyOwner is the user of an account whose key it is, or nil.
func keyOwner(sn *store.Snapshot, account, id string) (*entity, error) {
	if _, err := sn.Version(accessKeyKey(id)); err != nil {
		return nil, err
	}
	e, err := scanEntity(sn.QueryRow(`SELECT `+entityColumns+` FROM iam_entities
		WHERE account = ? AND id = (SELECT owner FROM iam_access_keys WHERE id = ?)`, account, id).Scan)
	if e == nil || err != nil {
		return nil, err
	}
	return e, complete(sn, e)
}

// changeAccessKey runs a statement on one key of a user.
func changeAccessKey(tx *store.Tx, e *entity, id, statement string, args ...any) error {
	changed, err := tx.Exec(statement, args...)
	if err != nil {
		return err
	}
	n, err := changed.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		return noSuchAccessKey(id)
	}
	return tx.Touch(accessKeyKey(id), e.key())
}
