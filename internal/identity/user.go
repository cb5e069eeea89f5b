package identity

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

// storeNamed is what every identitystore input can say.
type storeNamed interface {
	shape.CreateUserInput | shape.ListUsersInput | shape.GetUserIdInput | shape.CreateGroupInput | shape.ListGroupsInput
}

// inStore demands an action on the whole directory.
func (s *Service) inStore(action string) func(c *api.Call, id string) (instance, []api.Demand, error) {
	return func(c *api.Call, id string) (instance, []api.Demand, error) {
		i, err := s.instance(c.Snapshot)
		if err != nil {
			return i, nil, err
		}
		r := api.Resource{ARN: i.storeARN(), Account: s.account, Type: "AWS::IdentityStore::IdentityStore"}
		if id != i.store {
			r.ARN = "arn:aws:identitystore::" + s.account + ":identitystore/" + id
			r.Missing = notFound("There is no identity store %s.", id)
		}
		return i, api.On(action, r), nil
	}
}

// on adapts inStore to one input type.
func on[In storeNamed](resolve func(*api.Call, string) (instance, []api.Demand, error)) func(context.Context, *api.Call, *In) (instance, []api.Demand, error) {
	return func(_ context.Context, c *api.Call, in *In) (instance, []api.Demand, error) {
		var id string
		switch in := any(in).(type) {
		case *shape.CreateUserInput:
			id = in.IdentityStoreId
		case *shape.ListUsersInput:
			id = in.IdentityStoreId
		case *shape.GetUserIdInput:
			id = in.IdentityStoreId
		case *shape.CreateGroupInput:
			id = in.IdentityStoreId
		case *shape.ListGroupsInput:
			id = in.IdentityStoreId
		}
		return resolve(c, id)
	}
}

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
	return u, json.Unmarshal(doc, u)
}

// personARN is a user's or group's.
func personARN(kind, id string) string { return "arn:aws:identitystore:::" + kind + "/" + id }

// person demands an action on one user.
func (s *Service) person(c *api.Call, action, storeID, id string) (*shape.User, []api.Demand, error) {
	i, err := s.instance(c.Snapshot)
	if err != nil {
		return nil, nil, err
	}
	u, err := user(c.Snapshot, id)
	if err != nil {
		return nil, nil, err
	}
	r := api.Resource{ARN: personARN("user", id), Account: s.account, Type: "AWS::IdentityStore::User"}
	if u == nil || storeID != i.store {
		r.Missing = notFound("USER not found.")
	}
	return u, api.On(action, r), nil
}

func (s *Service) createUser(_ context.Context, c *api.Call, in *shape.CreateUserInput, i instance) (api.Commit[shape.CreateUserOutput], error) {
	if in.UserName == "" || in.DisplayName == "" || in.Name == nil || in.Name.GivenName == "" || in.Name.FamilyName == "" {
		return nil, invalid("UserName, DisplayName, Name.GivenName and Name.FamilyName are required.")
	}
	if len(in.Emails) > 1 {
		return nil, invalid("A user has at most one e-mail address.")
	}
	u := &shape.User{
		Addresses: in.Addresses, DisplayName: in.DisplayName, Emails: in.Emails, IdentityStoreId: i.store, Locale: in.Locale, Name: in.Name,
		NickName: in.NickName, PhoneNumbers: in.PhoneNumbers, PreferredLanguage: in.PreferredLanguage, ProfileUrl: in.ProfileUrl,
		Timezone: in.Timezone, Title: in.Title, UserName: in.UserName, UserType: in.UserType,
		UserId: uuid.New(), UserStatus: shape.UserStatusEnabled, CreatedAt: c.Now.UTC(), CreatedBy: c.Caller().ARN,
	}
	doc, err := json.Marshal(u)
	if err != nil {
		return nil, err
	}
	email := ""
	if len(u.Emails) > 0 {
		email = fold(u.Emails[0].Value)
	}
	return func(tx *store.Tx) (*shape.CreateUserOutput, error) {
		var taken int
		if err := tx.QueryRow(`SELECT count(*) FROM identity_users WHERE name = ?`, fold(u.UserName)).Scan(&taken); err != nil {
			return nil, err
		}
		if taken > 0 {
			return nil, conflict("Duplicate UserName")
		}
		_, err := tx.Exec(`INSERT INTO identity_users (id, name, email, doc, enabled, created, not_before) VALUES (?, ?, ?, ?, ?, ?, 0)`,
			u.UserId, fold(u.UserName), email, doc, true, c.Now.UnixMicro())
		if err != nil {
			return nil, err
		}
		return &shape.CreateUserOutput{IdentityStoreId: i.store, UserId: u.UserId}, tx.Touch(userKey(u.UserId))
	}, nil
}

func (s *Service) describedUser(_ context.Context, c *api.Call, in *shape.DescribeUserInput) (*shape.User, []api.Demand, error) {
	return s.person(c, "identitystore:DescribeUser", in.IdentityStoreId, in.UserId)
}

func (s *Service) describeUser(_ context.Context, _ *api.Call, _ *shape.DescribeUserInput, u *shape.User) (*shape.DescribeUserOutput, error) {
	return &shape.DescribeUserOutput{
		Addresses: u.Addresses, CreatedAt: u.CreatedAt, CreatedBy: u.CreatedBy, DisplayName: u.DisplayName, Emails: u.Emails,
		IdentityStoreId: u.IdentityStoreId, Locale: u.Locale, Name: u.Name, NickName: u.NickName, PhoneNumbers: u.PhoneNumbers,
		PreferredLanguage: u.PreferredLanguage, ProfileUrl: u.ProfileUrl, Timezone: u.Timezone, Title: u.Title,
		UserId: u.UserId, UserName: u.UserName, UserStatus: u.UserStatus, UserType: u.UserType,
	}, nil
}

func (s *Service) deletedUser(_ context.Context, c *api.Call, in *shape.DeleteUserInput) (*shape.User, []api.Demand, error) {
	return s.person(c, "identitystore:DeleteUser", in.IdentityStoreId, in.UserId)
}

func (s *Service) deleteUser(_ context.Context, _ *api.Call, _ *shape.DeleteUserInput, u *shape.User) (api.Commit[shape.DeleteUserOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteUserOutput, error) {
		for _, q := range []string{
			`DELETE FROM identity_users WHERE id = ?`,
			`DELETE FROM identity_memberships WHERE user_id = ?`,
			`DELETE FROM identity_assignments WHERE kind = 'USER' AND principal = ?`,
		} {
			if _, err := tx.Exec(q, u.UserId); err != nil {
				return nil, err
			}
		}
		return &shape.DeleteUserOutput{}, tx.Touch(userKey(u.UserId))
	}, nil
}

// listUsers pages by id.
func (s *Service) listUsers(_ context.Context, c *api.Call, in *shape.ListUsersInput, _ instance) (*shape.ListUsersOutput, error) {
	limit := pageSize(in.MaxResults)
	query, args := `SELECT doc FROM identity_users WHERE id > ? ORDER BY id LIMIT ?`, []any{in.NextToken, limit + 1}
	if len(in.Filters) > 1 {
		return nil, invalid("One filter can be given.")
	}
	for _, f := range in.Filters {
		if !strings.EqualFold(f.AttributePath, "UserName") {
			return nil, invalid("Users can be filtered by UserName only, not by %q.", f.AttributePath)
		}
		query = `SELECT doc FROM identity_users WHERE id > ? AND name = ? ORDER BY id LIMIT ?`
		args = []any{in.NextToken, fold(f.AttributeValue), limit + 1}
	}
	users, err := store.Collect(c.Snapshot, func(r *store.Rows) (shape.User, error) {
		var doc []byte
		var u shape.User
		if err := r.Scan(&doc); err != nil {
			return u, err
		}
		return u, json.Unmarshal(doc, &u)
	}, query, args...)
	if err != nil {
		return nil, err
	}
	out := &shape.ListUsersOutput{Users: users}
	if len(users) > limit {
		out.Users, out.NextToken = users[:limit], users[limit-1].UserId
	}
	return out, nil
}

func pageSize(n *int32) int {
	if n == nil {
		return 100
	}
	return int(*n)
}

func (s *Service) getUserID(ctx context.Context, c *api.Call, in *shape.GetUserIdInput, i instance) (*shape.GetUserIdOutput, error) {
	a := in.AlternateIdentifier
	if a == nil || a.UniqueAttribute == nil || a.ExternalId != nil {
		return nil, invalid("AlternateIdentifier takes a UniqueAttribute; ExternalId is not served.")
	}
	var value string
	if err := json.Unmarshal(a.UniqueAttribute.AttributeValue, &value); err != nil {
		return nil, invalid("AttributeValue must be a string.")
	}
	id, err := s.FindUser(ctx, c.Snapshot, a.UniqueAttribute.AttributePath, value)
	if errors.Is(err, api.ErrGone) {
		return nil, notFound("USER not found.")
	}
	if err != nil {
		return nil, err
	}
	return &shape.GetUserIdOutput{IdentityStoreId: i.store, UserId: id}, nil
}

// FindUser finds the one enabled person with an attribute: userName or
// emails.value, compared without case. None, or more than one, is api.ErrGone.
func (s *Service) FindUser(_ context.Context, sn *store.Snapshot, path, value string) (string, error) {
	column := map[string]string{"username": "name", "emails.value": "email"}[strings.ToLower(path)]
	if column == "" {
		return "", invalid("%q is not a unique attribute: userName and emails.value are.", path)
	}
	if value == "" {
		return "", api.ErrGone
	}
	ids, err := store.Collect(sn, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT id FROM identity_users WHERE `+column+` = ? AND enabled LIMIT 2`, fold(value))
	if err != nil {
		return "", err
	}
	if len(ids) != 1 {
		return "", api.ErrGone
	}
	_, err = sn.Version(userKey(ids[0]))
	return ids[0], err
}

// Present implements authz.Directory.
func (s *Service) Present(_ context.Context, sn *store.Snapshot, p *api.Person) error {
	keys := []string{userKey(p.UserID)}
	if p.ApplicationARN != "" { // else she signed in by herself
		keys = append(keys, applicationKey(p.ApplicationARN))
	}
	if _, err := sn.Versions(keys...); err != nil {
		return err
	}
	var enabled bool
	var notBefore int64
	err := sn.QueryRow(`SELECT enabled, not_before FROM identity_users
		WHERE id = ? AND (? = '' OR EXISTS (SELECT 1 FROM identity_applications WHERE arn = ?))`,
		p.UserID, p.ApplicationARN, p.ApplicationARN).Scan(&enabled, &notBefore)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (!enabled || p.SignedIn.UnixMicro() < notBefore) {
		return api.ErrGone
	}
	return err
}

// UserID is the id behind a user name; empty if there is none.
func (s *Service) UserID(q store.Querier, name string) (string, error) {
	var id string
	err := q.QueryRow(`SELECT id FROM identity_users WHERE name = ?`, fold(name)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// UserName is the name behind an id; the id itself if she is no longer there.
func (s *Service) UserName(q store.Querier, id string) (string, error) {
	u, err := user(q, id)
	if err != nil || u == nil {
		return id, err
	}
	return u.UserName, nil
}

// resolvePerson lets other services see that a user is there.
func (s *Service) resolvePerson(_ context.Context, sn *store.Snapshot, arn string) (*api.Foreign, error) {
	id, ok := strings.CutPrefix(arn, personARN("user", ""))
	if !ok {
		return nil, nil
	}
	u, err := user(sn, id)
	if err != nil {
		return nil, err
	}
	f := &api.Foreign{Resource: api.Resource{ARN: arn, Account: s.account, Type: "AWS::IdentityStore::User"}}
	if u == nil {
		f.Missing = notFound("USER not found.")
	}
	return f, nil
}
