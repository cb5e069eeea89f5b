package identity

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/bearer"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
)

// customProvider is the one kind of application: OAuth clients of one's own.
const customProvider = "arn:aws:sso::aws:applicationProvider/custom"

// maxScopes and maxIssuers bound an application's lists.
const (
	maxScopes       = 10
	maxIssuers      = 10 // AWS's limit on an instance
	maxApplications = 3000
)

// An application is what is stored of one: what the API shows, and its grants.
type application struct {
	Shown              shape.Application
	Grants             map[shape.GrantType]*shape.Grant
	Scopes             []string
	ActorPolicy        string
	ActorBindings      policy.Bindings // whom the actor policy means
	AssignmentRequired bool
	Background         bool // what a user starts may go on when she has left
}

func (s *Service) application(q store.Querier, arn string) (*application, error) {
	if _, err := q.Version(applicationKey(arn)); err != nil {
		return nil, err
	}
	var doc []byte
	err := q.QueryRow(`SELECT doc FROM identity_applications WHERE arn = ?`, arn).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := new(application)
	return a, json.Unmarshal(doc, a)
}

// change stores an application after edit, on the state that the transaction sees.
func (s *Service) change(tx *store.Tx, arn string, edit func(*application) error) error {
	a, err := s.application(tx, arn)
	if err != nil {
		return err
	}
	if a == nil {
		return noApplication()
	}
	if err := edit(a); err != nil {
		return err
	}
	doc, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE identity_applications SET doc = ? WHERE arn = ?`, doc, arn); err != nil {
		return err
	}
	return tx.Touch(applicationKey(arn))
}

func noApplication() *api.Error { return notFound("Application does not exist.") }

// resource is an application as a decision sees it. Its actor policy says who may
// exchange tokens.
func (s *Service) resource(q store.Querier, arn string, a *application) (api.Resource, error) {
	r := api.Resource{ARN: arn, Account: s.account, Type: "AWS::SSO::Application"}
	if a == nil {
		r.Missing = noApplication()
		return r, nil
	}
	var err error
	if r.Tags, err = tagMap(q, arn); err != nil {
		return r, err
	}
	if a.ActorPolicy != "" {
		p, err := a.ActorBindings.Parse(a.ActorPolicy, policy.Resource)
		if err != nil {
			return r, err
		}
		r.Policy = &policy.Doc{Name: "actor policy of " + arn, Policy: p}
	}
	return r, nil
}

// of demands an action on the application that an input names. The actor policy
// has no say in its administration.
func of[In any](s *Service, action string, arn func(*In) string) func(context.Context, *api.Call, *In) (*application, []api.Demand, error) {
	return func(_ context.Context, c *api.Call, in *In) (*application, []api.Demand, error) {
		a, err := s.application(c.Snapshot, arn(in))
		if err != nil {
			return nil, nil, err
		}
		r, err := s.resource(c.Snapshot, arn(in), a)
		r.Policy = nil
		keys := where(c)
		keys.Set("sso:ApplicationAccount", s.account)
		return a, []api.Demand{{Action: action, Resource: r, Keys: keys}}, err
	}
}

func (s *Service) newApplication(_ context.Context, c *api.Call, in *shape.CreateApplicationInput) (instance, []api.Demand, error) {
	i, err := s.instance(c.Snapshot)
	if err != nil {
		return i, nil, err
	}
	// What is asked for has no name yet.
	r := api.Resource{ARN: "arn:aws:sso::" + s.account + ":application/" + i.id + "/*", Account: s.account, Type: "AWS::SSO::Application"}
	i, demands, err := s.onInstance(c, "sso:CreateApplication", in.InstanceArn, r, s.provider(in.ApplicationProviderArn))
	if err != nil {
		return i, nil, err
	}
	demands, err = creating(demands, r, in.Tags)
	return i, demands, err
}

func (s *Service) createApplication(_ context.Context, c *api.Call, in *shape.CreateApplicationInput, i instance) (api.Commit[shape.CreateApplicationOutput], error) {
	// An idempotency token names the application that it made.
	suffix := randomID()
	if in.ClientToken != "" {
		suffix = tokenID(i.id, in.ClientToken)
	}
	arn := fmt.Sprintf("arn:aws:sso::%s:application/%s/apl-%s", s.account, i.id, suffix)
	status := in.Status
	if status == "" {
		status = shape.ApplicationStatusEnabled
	}
	a := application{AssignmentRequired: true, Grants: map[shape.GrantType]*shape.Grant{}, Shown: shape.Application{
		ApplicationAccount: s.account, ApplicationArn: arn, ApplicationProviderArn: in.ApplicationProviderArn, CreatedDate: c.Now.UTC().Truncate(time.Second),
		Description: in.Description, IdentityStoreArn: i.storeARN(), InstanceArn: i.arn(), Name: in.Name, Status: status,
	}}
	doc, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	out := &shape.CreateApplicationOutput{ApplicationArn: arn, InstanceArn: i.arn(), IdentityStoreArn: i.storeARN()}
	return func(tx *store.Tx) (*shape.CreateApplicationOutput, error) {
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM identity_applications`).Scan(&n); err != nil {
			return nil, err
		}
		if n >= maxApplications {
			return nil, tooMany("The instance has %d applications already.", n)
		}
		if made, err := s.application(tx, arn); err != nil || made != nil {
			if made != nil && made.Shown.Name != in.Name {
				return nil, conflict("The client token was used for another application.")
			}
			return out, err
		}
		if _, err := tx.Exec(`INSERT INTO identity_applications (arn, name, doc, created) VALUES (?, ?, ?, ?)`, arn, in.Name, doc, c.Now.UnixMicro()); err != nil {
			return nil, err
		}
		return out, errors.Join(putTags(tx, arn, in.Tags), tx.Touch(applicationKey(arn)))
	}, nil
}

func randomID() string {
	var b [8]byte
	rand.Read(b[:])
	return fmt.Sprintf("%x", b)
}

func (s *Service) describeApplication(_ context.Context, _ *api.Call, _ *shape.DescribeApplicationInput, a *application) (*shape.DescribeApplicationOutput, error) {
	out := shape.DescribeApplicationOutput(a.Shown)
	return &out, nil
}

func (s *Service) deleteApplication(_ context.Context, _ *api.Call, in *shape.DeleteApplicationInput, _ *application) (api.Commit[shape.DeleteApplicationOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteApplicationOutput, error) {
		for _, q := range []string{`DELETE FROM identity_applications WHERE arn = ?`, `DELETE FROM identity_assignments WHERE application = ?`} {
			if _, err := tx.Exec(q, in.ApplicationArn); err != nil {
				return nil, err
			}
		}
		return &shape.DeleteApplicationOutput{}, errors.Join(deleteTags(tx, in.ApplicationArn), tx.Touch(applicationKey(in.ApplicationArn)))
	}, nil
}

func (s *Service) listedApplications(_ context.Context, c *api.Call, in *shape.ListApplicationsInput) (instance, []api.Demand, error) {
	return s.onInstance(c, "sso:ListApplications", in.InstanceArn)
}

func (s *Service) listApplications(_ context.Context, c *api.Call, in *shape.ListApplicationsInput, _ instance) (*shape.ListApplicationsOutput, error) {
	out := &shape.ListApplicationsOutput{Applications: []shape.Application{}}
	if f := in.Filter; f != nil && (f.ApplicationAccount != "" && f.ApplicationAccount != s.account ||
		f.ApplicationProvider != "" && f.ApplicationProvider != customProvider) {
		return out, nil // all are of this account and that provider
	}
	after, err := afterToken(in.NextToken)
	if err != nil {
		return nil, err
	}
	limit := pageSize(in.MaxResults)
	list, err := store.Collect(c.Snapshot, func(r *store.Rows) (shape.Application, error) {
		var doc []byte
		var a application
		if err := r.Scan(&doc); err != nil {
			return a.Shown, err
		}
		err := json.Unmarshal(doc, &a)
		return a.Shown, err
	}, `SELECT doc FROM identity_applications WHERE arn > ? ORDER BY arn LIMIT ?`, after, limit+1)
	if err != nil {
		return nil, err
	}
	list, next := cut(list, limit, func(a shape.Application) string { return a.ApplicationArn })
	out.Applications, out.NextToken = append(out.Applications, list...), pageToken(next)
	return out, nil
}

func (s *Service) putScope(_ context.Context, _ *api.Call, in *shape.PutApplicationAccessScopeInput, _ *application) (api.Commit[shape.PutApplicationAccessScopeOutput], error) {
	if len(in.AuthorizedTargets) > 0 {
		return nil, invalid("AuthorizedTargets is not served.")
	}
	return func(tx *store.Tx) (*shape.PutApplicationAccessScopeOutput, error) {
		return &shape.PutApplicationAccessScopeOutput{}, s.change(tx, in.ApplicationArn, func(a *application) error {
			if !slices.Contains(a.Scopes, in.Scope) {
				a.Scopes = append(a.Scopes, in.Scope)
			}
			if len(a.Scopes) > maxScopes {
				return tooMany("An application has at most %d scopes.", maxScopes)
			}
			return nil
		})
	}, nil
}

func (s *Service) putMethod(ctx context.Context, c *api.Call, in *shape.PutApplicationAuthenticationMethodInput, _ *application) (api.Commit[shape.PutApplicationAuthenticationMethodOutput], error) {
	if in.AuthenticationMethod == nil || in.AuthenticationMethod.Iam == nil {
		return nil, invalid("AuthenticationMethod must hold Iam.")
	}
	text := string(in.AuthenticationMethod.Iam.ActorPolicy)
	if _, err := policy.Parse([]byte(text), policy.Resource); err != nil {
		return nil, invalid("ActorPolicy: %v", err)
	}
	bindings, err := policy.Bind(text, bearer.In(ctx, c))
	if e, ok := errors.AsType[*policy.Error](err); ok {
		return nil, invalid("ActorPolicy: %s", e.Message)
	}
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.PutApplicationAuthenticationMethodOutput, error) {
		return &shape.PutApplicationAuthenticationMethodOutput{}, s.change(tx, in.ApplicationArn, func(a *application) error {
			a.ActorPolicy, a.ActorBindings = text, bindings
			return nil
		})
	}, nil
}

func (s *Service) getMethod(ctx context.Context, c *api.Call, _ *shape.GetApplicationAuthenticationMethodInput, a *application) (*shape.GetApplicationAuthenticationMethodOutput, error) {
	if a.ActorPolicy == "" {
		return nil, noMethod()
	}
	shown, err := a.ActorBindings.Shown(a.ActorPolicy, bearer.In(ctx, c))
	return &shape.GetApplicationAuthenticationMethodOutput{AuthenticationMethod: &shape.AuthenticationMethod{
		Iam: &shape.IamAuthenticationMethod{ActorPolicy: []byte(shown)},
	}}, err
}
