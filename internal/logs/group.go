package logs

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/logs"
	"bawn.dev/internal/store"
)

const maxGroups = 1_000_000 // of an account, as AWS has it

func versionKey(account, name string) string { return "logs:group/" + account + "/" + name }

func (s *Service) groupARN(account, name string) string {
	return "arn:aws:logs:" + s.Region + ":" + account + ":log-group:" + name
}

// found is a group that a request names, or the fact that there is none.
type found struct {
	*group
	resource api.Resource // the group, as policies name it
}

// find looks a group up. AWS evaluates what is done to a group on the ARN of its
// streams with an empty name, which is why policies end in ":*".
func (s *Service) find(c *api.Call, name string) (*found, error) {
	f := &found{resource: api.Resource{
		ARN: s.groupARN(c.Account, name) + ":log-stream:", Account: c.Account, Type: "AWS::Logs::LogGroup", Missing: noGroup(),
	}}
	version, err := c.Snapshot.Version(versionKey(c.Account, name))
	if err != nil || version == 0 {
		return f, err
	}
	if f.group, err = s.groupRow(c.Snapshot, c.Account, name); err != nil || f.group == nil {
		return f, err
	}
	f.resource.Missing = nil
	f.tags, err = tagsOf(c.Snapshot, f.id)
	f.resource.Tags = f.tags
	return f, err
}

// named is find for operations that take a name or an identifier, which is a name
// or an ARN of the caller's own account.
func (s *Service) named(c *api.Call, name, identifier string) (*found, error) {
	switch {
	case name != "" && identifier != "":
		return nil, invalid("LogGroupName and LogGroupIdentifier cannot both be given.")
	case name == "" && identifier == "":
		return nil, invalid("Either LogGroupName or LogGroupIdentifier is needed.")
	case name != "":
		return s.find(c, name)
	}
	if !strings.HasPrefix(identifier, "arn:") {
		return s.find(c, identifier)
	}
	a, err := arn.Parse(identifier)
	own, ok := strings.CutPrefix(a.Resource, "log-group:")
	if err != nil || a.Service != "logs" || !ok {
		return nil, invalid("%s is not the ARN of a log group.", identifier)
	}
	if a.Account != c.Account || a.Region != s.Region {
		return nil, invalid("A log group of another account or region is not served.")
	}
	return s.find(c, strings.TrimSuffix(own, ":*"))
}

func (f *found) demand(action string) api.Demand {
	return api.Demand{Action: "logs:" + action, Resource: f.resource}
}

func (s *Service) newGroup(_ context.Context, c *api.Call, in *shape.CreateLogGroupInput) (*found, []api.Demand, error) {
	f, err := s.find(c, in.LogGroupName)
	if err != nil {
		return nil, nil, err
	}
	f.resource.Missing, f.resource.Tags = nil, nil
	if in.LogGroupClass != "" && in.LogGroupClass != shape.LogGroupClassStandard {
		return nil, nil, invalid("Log group class %s is not served.", in.LogGroupClass)
	}
	demands := []api.Demand{f.demand("CreateLogGroup")}
	if len(in.Tags) > 0 {
		keys, err := tagKeys(in.Tags)
		if err != nil {
			return nil, nil, err
		}
		demands[0].Keys = keys
		demands = append(demands, api.Demand{Action: "logs:TagResource", Resource: f.resource, Keys: keys})
	}
	return f, demands, nil
}

// tagKeys are the condition keys of tags that a request gives.
func tagKeys(tags map[string]string) (policy.Context, error) {
	keys, folded := policy.Context{}, map[string]bool{}
	var names []string
	for name, value := range tags {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "aws:") || folded[lower] {
			return nil, invalid("Tag keys may not begin with aws: and must differ in more than case.")
		}
		folded[lower] = true
		keys.Set("aws:RequestTag/"+name, value)
		names = append(names, name)
	}
	slices.Sort(names)
	keys.Set("aws:TagKeys", names...)
	return keys, nil
}

func (s *Service) createLogGroup(ctx context.Context, c *api.Call, in *shape.CreateLogGroupInput, _ *found) (api.Commit[shape.CreateLogGroupOutput], error) {
	g := &group{
		id: strings.ToLower(rand.Text()), account: c.Account, name: in.LogGroupName, class: string(shape.LogGroupClassStandard),
		created: c.Now.UnixMilli(), tags: in.Tags, arn: s.groupARN(c.Account, in.LogGroupName),
	}
	if in.KmsKeyId != "" {
		a, err := arn.Parse(in.KmsKeyId)
		if err != nil || a.Service != "kms" || a.Region != s.Region || !strings.HasPrefix(a.Resource, "key/") {
			return nil, invalid("The specified KMS key ARN is not valid: %s", in.KmsKeyId)
		}
		g.kmsKey = in.KmsKeyId
		// A key that the service may not use would only show itself at the first event.
		key, _, err := s.newKey(ctx, c, g)
		if err != nil {
			return nil, err
		}
		key.Zero()
	}
	return func(tx *store.Tx) (*shape.CreateLogGroupOutput, error) {
		old, err := s.groupRow(tx, g.account, g.name)
		if err != nil {
			return nil, err
		}
		if old != nil {
			return nil, fail("ResourceAlreadyExistsException", "The specified log group already exists")
		}
		var count int
		if err := tx.QueryRow("SELECT COUNT(*) FROM logs_groups WHERE account = ?", g.account).Scan(&count); err != nil {
			return nil, err
		}
		if count >= maxGroups {
			return nil, fail("LimitExceededException", "Resource limit exceeded.")
		}
		return &shape.CreateLogGroupOutput{}, insertGroup(tx, g)
	}, nil
}

func (s *Service) deletedGroup(_ context.Context, c *api.Call, in *shape.DeleteLogGroupInput) (*found, []api.Demand, error) {
	f, err := s.find(c, in.LogGroupName)
	if err != nil {
		return nil, nil, err
	}
	return f, []api.Demand{f.demand("DeleteLogGroup")}, nil
}

func (s *Service) deleteLogGroup(_ context.Context, _ *api.Call, _ *shape.DeleteLogGroupInput, f *found) (api.Commit[shape.DeleteLogGroupOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteLogGroupOutput, error) {
		return &shape.DeleteLogGroupOutput{}, deleteGroup(tx, f.group)
	}, nil
}

func (s *Service) listingGroups(_ context.Context, c *api.Call, in *shape.DescribeLogGroupsInput) (struct{}, []api.Demand, error) {
	if in.LogGroupNamePrefix != "" && in.LogGroupNamePattern != "" {
		return struct{}{}, nil, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	all := api.Resource{ARN: s.groupARN(c.Account, "") + ":log-stream:", Type: "AWS::Logs::LogGroup"}
	return struct{}{}, api.On("logs:DescribeLogGroups", all), nil
}

func (s *Service) describeLogGroups(_ context.Context, c *api.Call, in *shape.DescribeLogGroupsInput, _ struct{}) (*shape.DescribeLogGroupsOutput, error) {
	p, err := pageOf(in.Limit, in.NextToken)
	if err != nil {
		return nil, err
	}
	condition, value := "substr(name, 1, length(?)) = ?", in.LogGroupNamePrefix
	if in.LogGroupNamePattern != "" {
		condition, value = "(? = '' OR replace(lower(name), ?, '') <> lower(name))", strings.ToLower(in.LogGroupNamePattern)
	}
	groups, err := store.Collect(c.Snapshot, func(r *store.Rows) (*group, error) { return s.scanGroup(r.Scan) },
		"SELECT "+groupColumns+" FROM logs_groups WHERE account = ? AND name > ? AND "+condition+" ORDER BY name LIMIT ?",
		c.Account, p.after, value, value, p.limit+1)
	if err != nil {
		return nil, err
	}
	groups, next := cut(p, groups, func(g *group) string { return g.name })
	out := &shape.DescribeLogGroupsOutput{LogGroups: []shape.LogGroup{}, NextToken: next}
	zero := int32(0)
	for _, g := range groups {
		var stored int64
		if err := c.Snapshot.QueryRow("SELECT COALESCE(SUM(bytes), 0) FROM logs_streams WHERE grp = ?", g.id).Scan(&stored); err != nil {
			return nil, err
		}
		out.LogGroups = append(out.LogGroups, shape.LogGroup{
			LogGroupName: g.name, Arn: g.arn + ":*", LogGroupArn: g.arn, CreationTime: &g.created, KmsKeyId: g.kmsKey,
			LogGroupClass: shape.LogGroupClass(g.class), MetricFilterCount: &zero, StoredBytes: &stored,
		})
	}
	return out, nil
}
