package identity

import (
	"context"
	"database/sql"
	"errors"
	"reflect"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

// user finds a person by id; nil if there is none.
func user(q store.Querier, id string) (*shape.User, error) {
	if _, err := q.Version(userKey(id)); err != nil {
		return nil, err
	}
	var doc []byte
	err := q.QueryRow(`SELECT doc FROM identity_users WHERE id = ?`, id).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	u := new(shape.User)
	return u, readUser(doc, u)
}

// readUser reads a user's row. A list that is empty is none.
func readUser(doc []byte, u *shape.User) error {
	if err := json.Unmarshal(doc, u); err != nil {
		return err
	}
	v := reflect.ValueOf(u).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); (f.Kind() == reflect.Slice || f.Kind() == reflect.Map) && f.Len() == 0 {
			f.SetZero()
		}
	}
	return nil
}

// write is a row's doc of what was read.
func write(v any) ([]byte, error) { return json.Marshal(v, json.OmitZeroStructFields(true)) }

func (s *Service) newUser(_ context.Context, c *api.Call, in *shape.CreateUserInput) (instance, []api.Demand, error) {
	p, err := provisioned(in.Extensions)
	if err != nil {
		return instance{}, nil, err
	}
	return s.inside(c, "CreateUser", in.IdentityStoreId, issuers("User", p.ExternalIds))
}

func (s *Service) createUser(_ context.Context, c *api.Call, in *shape.CreateUserInput, i instance) (api.Commit[shape.CreateUserOutput], error) {
	p, err := provisioned(in.Extensions)
	if err != nil {
		return nil, err
	}
	u := &shape.User{
		Addresses: in.Addresses, Birthdate: in.Birthdate, DisplayName: in.DisplayName, Emails: in.Emails, ExternalIds: p.ExternalIds,
		IdentityStoreId: i.store, Locale: in.Locale, Name: in.Name, NickName: in.NickName, PhoneNumbers: in.PhoneNumbers, Photos: in.Photos,
		PreferredLanguage: in.PreferredLanguage, ProfileUrl: in.ProfileUrl, Roles: in.Roles, Timezone: in.Timezone, Title: in.Title,
		UserName: in.UserName, UserStatus: p.UserStatus, UserType: in.UserType, Website: in.Website,
		UserId: uuid.New(), CreatedAt: c.Now.UTC(), CreatedBy: c.Caller().ARN,
	}
	u.UpdatedAt, u.UpdatedBy = u.CreatedAt, u.CreatedBy
	if u.UserStatus == "" {
		u.UserStatus = shape.UserStatusEnabled
	}
	e, err := employed(in.Extensions)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(extend(u, e), s.check(u)); err != nil {
		return nil, err
	}
	if err := s.users.room(c.Snapshot); err != nil {
		return nil, err
	}
	doc, err := write(u)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateUserOutput, error) {
		if err := unique(tx, u); err != nil {
			return nil, err
		}
		_, err := tx.Exec(`INSERT INTO identity_users (id, name, email, doc, enabled, created, not_before) VALUES (?, ?, ?, ?, ?, ?, 0)`,
			u.UserId, Fold(u.UserName), email(u), doc, u.UserStatus == shape.UserStatusEnabled, c.Now.UnixMicro())
		if err != nil {
			return nil, err
		}
		if err := insertExternalIDs(tx, "USER", u.UserId, u.ExternalIds); err != nil {
			return nil, err
		}
		return &shape.CreateUserOutput{IdentityStoreId: i.store, UserId: u.UserId}, tx.Touch(userKey(u.UserId))
	}, nil
}

// email is a user's address as it is compared; empty if she has none.
func email(u *shape.User) string {
	if len(u.Emails) == 0 {
		return ""
	}
	return Fold(u.Emails[0].Value)
}

// unique refuses a user whose name, address or external id is another's.
func unique(tx *store.Tx, u *shape.User) error {
	used := func(column, value string) (bool, error) {
		var n int
		err := tx.QueryRow(`SELECT count(*) FROM identity_users WHERE `+column+` = ? AND id <> ?`, value, u.UserId).Scan(&n)
		return n > 0, err
	}
	if n, err := used("name", Fold(u.UserName)); err != nil || n {
		return errors.Join(err, whether(n, "UserName"))
	}
	if address := email(u); address != "" {
		if n, err := used("email", address); err != nil || n {
			return errors.Join(err, whether(n, "Email"))
		}
	}
	return uniqueExternalIDs(tx, "USER", u.UserId, u.ExternalIds)
}

func (s *Service) describedUser(_ context.Context, c *api.Call, in *shape.DescribeUserInput) (*shape.User, []api.Demand, error) {
	return s.person(c, "DescribeUser", in.IdentityStoreId, in.UserId)
}

func (s *Service) describeUser(_ context.Context, _ *api.Call, in *shape.DescribeUserInput, u *shape.User) (*shape.DescribeUserOutput, error) {
	if err := shown(u, in.Extensions); err != nil {
		return nil, err
	}
	out := shape.DescribeUserOutput(*u)
	return &out, nil
}

// shown leaves a user the extensions that were asked for.
func shown(u *shape.User, extensions []string) error {
	asked := false
	for _, name := range extensions {
		if name != enterprise {
			return invalid("%s is the only extension.", enterprise)
		}
		asked = true
	}
	if !asked {
		u.Extensions = nil
	}
	return nil
}

// changedUser demands an update. Who gives external ids of an issuer must be
// allowed to, not only who changes those of one.
func (s *Service) changedUser(_ context.Context, c *api.Call, in *shape.UpdateUserInput) (*shape.User, []api.Demand, error) {
	return s.person(c, "UpdateUser", in.IdentityStoreId, in.UserId, given(in.Operations)...)
}

func (s *Service) updateUser(_ context.Context, c *api.Call, in *shape.UpdateUserInput, u *shape.User) (api.Commit[shape.UpdateUserOutput], error) {
	was, before := u.UserStatus, u.ExternalIds
	for _, op := range in.Operations {
		if err := setUser(u, op); err != nil {
			return nil, err
		}
	}
	if err := s.check(u); err != nil {
		return nil, err
	}
	u.UpdatedAt, u.UpdatedBy = c.Now.UTC(), c.Caller().ARN
	doc, err := write(u)
	if err != nil {
		return nil, err
	}
	enabled := u.UserStatus == shape.UserStatusEnabled
	// Who is disabled is signed out: sessions of before do not come back with her.
	var signedOut int64
	if was == shape.UserStatusEnabled && !enabled {
		signedOut = c.Now.UnixMicro()
	}
	return func(tx *store.Tx) (*shape.UpdateUserOutput, error) {
		if err := unique(tx, u); err != nil {
			return nil, err
		}
		_, err := tx.Exec(`UPDATE identity_users SET name = ?, email = ?, doc = ?, enabled = ?,
			not_before = CASE WHEN not_before < ? THEN ? ELSE not_before END WHERE id = ?`,
			Fold(u.UserName), email(u), doc, enabled, signedOut, signedOut, u.UserId)
		if err != nil {
			return nil, err
		}
		if err := replaceExternalIDs(tx, "USER", u.UserId, before, u.ExternalIds); err != nil {
			return nil, err
		}
		return &shape.UpdateUserOutput{}, tx.Touch(userKey(u.UserId))
	}, nil
}

func (s *Service) deletedUser(_ context.Context, c *api.Call, in *shape.DeleteUserInput) (*shape.User, []api.Demand, error) {
	return s.person(c, "DeleteUser", in.IdentityStoreId, in.UserId)
}

func (s *Service) deleteUser(_ context.Context, _ *api.Call, _ *shape.DeleteUserInput, u *shape.User) (api.Commit[shape.DeleteUserOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteUserOutput, error) {
		for _, q := range []string{
			`DELETE FROM identity_users WHERE id = ?`,
			`DELETE FROM identity_memberships WHERE user_id = ?`,
			`DELETE FROM identity_assignments WHERE kind = 'USER' AND principal = ?`,
			`DELETE FROM identity_account_assignments WHERE kind = 'USER' AND principal = ?`,
		} {
			if _, err := tx.Exec(q, u.UserId); err != nil {
				return nil, err
			}
		}
		if err := deleteExternalIDs(tx, "USER", u.ExternalIds); err != nil {
			return nil, err
		}
		tx.AfterCommit(s.notify) // a role may be nobody's now
		return &shape.DeleteUserOutput{}, tx.Touch(userKey(u.UserId))
	}, nil
}

func (s *Service) listedUsers(_ context.Context, c *api.Call, in *shape.ListUsersInput) (instance, []api.Demand, error) {
	return s.inside(c, "ListUsers", in.IdentityStoreId, nil, s.allUsers())
}

// listUsers pages by id.
func (s *Service) listUsers(_ context.Context, c *api.Call, in *shape.ListUsersInput, _ instance) (*shape.ListUsersOutput, error) {
	name, only, err := filtered(in.Filters, "UserName")
	if err != nil {
		return nil, err
	}
	limit := pageSize(in.MaxResults)
	query, args := `SELECT doc FROM identity_users WHERE id > ? ORDER BY id LIMIT ?`, []any{in.NextToken, limit + 1}
	if only {
		query, args = `SELECT doc FROM identity_users WHERE id > ? AND name = ? ORDER BY id LIMIT ?`, []any{in.NextToken, Fold(name), limit + 1}
	}
	users, err := store.Collect(c.Snapshot, func(r *store.Rows) (shape.User, error) {
		var doc []byte
		var u shape.User
		if err := r.Scan(&doc); err != nil {
			return u, err
		}
		return u, errors.Join(readUser(doc, &u), shown(&u, in.Extensions))
	}, query, args...)
	if err != nil {
		return nil, err
	}
	out := &shape.ListUsersOutput{}
	out.Users, out.NextToken = cut(users, limit, func(u shape.User) string { return u.UserId })
	return out, nil
}
