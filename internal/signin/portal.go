package signin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/sso"
	"bawn.dev/internal/store"
)

const (
	centre     = "sso.amazonaws.com"
	portalPage = 100

	// Bounds of a session's tags, as STS has them.
	maxTagKey, maxTagValue, maxTags = 128, 256, 50
)

// An Access knows what was assigned to people.
type Access interface {
	// Assignments are what a person may use now, by herself or by a group.
	Assignments(sn *store.Snapshot, userID string) ([]api.Assignment, error)
	// Attributes are the tags that her sessions carry.
	Attributes(sn *store.Snapshot, userID string) (map[string]string, error)
}

// A Sessions makes the credentials of a role's session. The caller has decided that
// it may be.
type Sessions interface {
	Issue(claim api.Claim) (Credentials, error)
}

// Credentials are what a session signs with.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
}

// PortalAPI lists what is served of sso, the API of the access portal.
func (s *Service) PortalAPI() *api.Service {
	list := []api.Operation{
		api.Read("ListAccounts", borne(s, func(in *shape.ListAccountsInput) string { return in.AccessToken }), s.listAccounts),
		api.Read("ListAccountRoles", borne(s, func(in *shape.ListAccountRolesInput) string { return in.AccessToken }), s.listAccountRoles),
		api.Write("GetRoleCredentials", s.chosenRole, s.getRoleCredentials).Silent(),
		api.Write("Logout", borne(s, func(in *shape.LogoutInput) string { return in.AccessToken }), s.logout),
	}
	for i, op := range list {
		list[i] = op.Open("the token proves its bearer").Undeniable(whyUndeniable)
	}
	return &api.Service{Model: shape.Model(), Prefix: "sso", Operations: list}
}

// borne resolves the sign-in behind a token.
func borne[In any](s *Service, token func(*In) string) func(context.Context, *api.Call, *In) (*Session, []api.Demand, error) {
	return func(ctx context.Context, c *api.Call, in *In) (*Session, []api.Demand, error) {
		session, err := s.bearer(ctx, c, token(in), accountScope)
		return session, nil, err
	}
}

func (s *Service) assignments(c *api.Call, userID string) ([]api.Assignment, error) {
	if s.Access == nil {
		return nil, nil
	}
	list, err := s.Access.Assignments(c.Snapshot, userID)
	slices.SortFunc(list, func(a, b api.Assignment) int {
		return cmp.Or(strings.Compare(a.AccountID, b.AccountID), strings.Compare(a.PermissionSetName, b.PermissionSetName))
	})
	return list, err
}

func (s *Service) listAccounts(_ context.Context, c *api.Call, in *shape.ListAccountsInput, session *Session) (*shape.ListAccountsOutput, error) {
	list, err := s.assignments(c, session.UserID)
	if err != nil {
		return nil, err
	}
	list = slices.CompactFunc(list, func(a, b api.Assignment) bool { return a.AccountID == b.AccountID })
	page, next := portion(list, in.NextToken, in.MaxResults, func(a api.Assignment) string { return a.AccountID })
	out := &shape.ListAccountsOutput{AccountList: []shape.AccountInfo{}, NextToken: next}
	for _, a := range page {
		out.AccountList = append(out.AccountList, shape.AccountInfo{AccountId: a.AccountID, AccountName: a.AccountName, EmailAddress: a.Email})
	}
	return out, nil
}

func (s *Service) listAccountRoles(_ context.Context, c *api.Call, in *shape.ListAccountRolesInput, session *Session) (*shape.ListAccountRolesOutput, error) {
	list, err := s.assignments(c, session.UserID)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(a api.Assignment) bool { return a.AccountID != in.AccountId })
	if len(list) == 0 {
		return nil, noAccess()
	}
	page, next := portion(list, in.NextToken, in.MaxResults, func(a api.Assignment) string { return a.PermissionSetName })
	out := &shape.ListAccountRolesOutput{RoleList: []shape.RoleInfo{}, NextToken: next}
	for _, a := range page {
		out.RoleList = append(out.RoleList, shape.RoleInfo{AccountId: a.AccountID, RoleName: a.PermissionSetName})
	}
	return out, nil
}

// portion is a page of a sorted list: what follows the name that the last one ended
// with.
func portion(list []api.Assignment, after string, limit *int32, name func(api.Assignment) string) (page []api.Assignment, next string) {
	list = slices.DeleteFunc(list, func(a api.Assignment) bool { return name(a) <= after })
	n := portalPage
	if limit != nil {
		n = int(*limit)
	}
	if len(list) <= n {
		return list, ""
	}
	return list[:n], name(list[n-1])
}

// noAccess is all that is heard of an account or role that is not one's own.
func noAccess() *api.Error {
	return &api.Error{Code: "ForbiddenException", Status: http.StatusForbidden, Message: "No access"}
}

// A chosen role is an assignment that a person uses.
type chosenRole struct {
	session    *Session
	assignment api.Assignment
	role       *api.Entity
}

// chosenRole finds the role of an assignment that she has now, and asks it whether it
// admits the identity centre: it might be anybody's who could make one of that name.
func (s *Service) chosenRole(ctx context.Context, c *api.Call, in *shape.GetRoleCredentialsInput) (*chosenRole, []api.Demand, error) {
	session, err := s.bearer(ctx, c, in.AccessToken, accountScope)
	if err != nil {
		return nil, nil, err
	}
	list, err := s.assignments(c, session.UserID)
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(list, func(a api.Assignment) bool { return a.AccountID == in.AccountId && a.PermissionSetName == in.RoleName })
	if i < 0 {
		return nil, nil, noAccess()
	}
	f, err := c.Resource(ctx, list[i].RoleARN)
	if err != nil {
		return nil, nil, err
	}
	role, ok := f.Detail.(*api.Entity)
	if !ok || role.Account != list[i].AccountID || !strings.Contains(role.ARN, ":role/aws-reserved/"+centre+"/") {
		return nil, nil, noAccess() // it is not provisioned, or not yet
	}
	trusted, err := c.Trusts(ctx, role, centre, list[i].PermissionSetARN)
	if err != nil {
		return nil, nil, err
	}
	if !trusted {
		return nil, nil, noAccess()
	}
	return &chosenRole{session, list[i], role}, nil, nil
}

func (s *Service) getRoleCredentials(_ context.Context, c *api.Call, _ *shape.GetRoleCredentialsInput, r *chosenRole) (api.Commit[shape.GetRoleCredentialsOutput], error) {
	if s.Sessions == nil {
		return nil, errors.New("signin: nobody makes the sessions of roles")
	}
	name, _, _, err := s.Directory.Named(c.Snapshot, r.session.UserID)
	if err != nil {
		return nil, err
	}
	tags, err := s.Access.Attributes(c.Snapshot, r.session.UserID)
	if err != nil {
		return nil, err
	}
	if err := fit(tags); err != nil {
		return nil, err
	}
	claim := api.Claim{
		Kind: api.KindRole, Account: r.role.Account, ID: r.role.ID, SessionName: sessionName(name, r.session.UserID),
		Issued: c.Now, Expires: c.Now.Add(r.assignment.SessionDuration).Truncate(time.Second), Person: c.Person(), Tags: tags,
	}
	made, err := s.Sessions.Issue(claim)
	if err != nil {
		return nil, err
	}
	c.Note("assumedRole", r.role.ARN)
	c.Note("accessKeyId", made.AccessKeyID)
	expires := made.Expiration.UnixMilli()
	out := &shape.GetRoleCredentialsOutput{RoleCredentials: &shape.RoleCredentials{
		AccessKeyId: made.AccessKeyID, SecretAccessKey: made.SecretAccessKey, SessionToken: made.SessionToken, Expiration: &expires,
	}}
	return func(tx *store.Tx) (*shape.GetRoleCredentialsOutput, error) { return out, used(tx, r.session, c.Now) }, nil
}

// fit refuses attributes that no session can carry: one that was left out might have
// been what a policy denies by.
func fit(tags map[string]string) error {
	bad := &api.Error{Code: "InvalidRequestException", Status: http.StatusBadRequest, Message: "Your attributes for access control do not fit into session tags. Please tell your administrator."}
	for key, value := range tags {
		if utf8.RuneCountInString(key) > maxTagKey || utf8.RuneCountInString(value) > maxTagValue {
			return bad
		}
	}
	if len(tags) > maxTags {
		return bad
	}
	return nil
}

// sessionForm is what the name of a role's session can be, and aside what sets apart
// those that are not the user's own.
var sessionForm = regexp.MustCompile(`\A[A-Za-z0-9_+=,.@-]{2,64}\z`)

const aside = "=="

// sessionName is a person's name as a role's session can have it. Policies tell people
// apart by it (aws:userid), so no two have the same: where hers will not do as it is,
// her id is in it.
func sessionName(user, id string) string {
	if sessionForm.MatchString(user) && !strings.Contains(user, aside) {
		return user
	}
	name := strings.Map(func(r rune) rune {
		if sessionForm.MatchString(string([]rune{r, r})) && r != '=' {
			return r
		}
		return '-'
	}, user)
	return name[:min(len(name), 64-len(aside)-len(id))] + aside + id
}

// logout ends the sign-in that the token hangs on, and all that hang on it.
func (s *Service) logout(_ context.Context, _ *api.Call, _ *shape.LogoutInput, session *Session) (api.Commit[shape.LogoutOutput], error) {
	return func(tx *store.Tx) (*shape.LogoutOutput, error) {
		return &shape.LogoutOutput{}, end(tx, session.UserID, session.ID)
	}, nil
}
