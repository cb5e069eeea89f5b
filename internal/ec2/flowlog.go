package ec2

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A flowLog has the flows of a VPC, a subnet or an interface written to a log
// group, by the service in a role.
type flowLog struct {
	meta
	Resource string `json:"resource"`
	Group    string `json:"group"`
	Role     string `json:"role"`   // ARN
	RoleID   string `json:"roleId"` // AROA…: a role of the same name later is not this one
	Traffic  string `json:"traffic"`
	Interval int32  `json:"interval"`        // at most, in seconds
	Format   string `json:"format,omitzero"` // empty for the default
}

func (*flowLog) kind() *kind { return kindFlowLog }

// Limits on flow logs, and the principal that a role for them trusts.
const (
	maxFlowLogs     = 10 // of a resource
	defaultInterval = 600
	flowLogService  = "vpc-flow-logs.amazonaws.com"
	maxLogGroup     = 512
)

// A logging is a request for flow logs: one for each resource.
type logging struct {
	made      []meta
	resources []object
	role      *api.Entity
}

func (s *Service) newFlowLogs(ctx context.Context, c *api.Call, in *ec2.CreateFlowLogsInput) (*logging, []api.Demand, error) {
	if len(in.ResourceIds) == 0 || len(in.ResourceIds) > maxNamed {
		return nil, nil, missingParameter("ResourceIds")
	}
	var found func(id string) (object, api.Demand, error)
	switch in.ResourceType {
	case ec2.FlowLogsResourceTypeVpc:
		found = loggedOf[*vpc](s, c)
	case ec2.FlowLogsResourceTypeSubnet:
		found = loggedOf[*subnet](s, c)
	case ec2.FlowLogsResourceTypeNetworkInterface:
		found = loggedOf[*networkInterface](s, c)
	default:
		return nil, nil, fail("InvalidParameter", "ResourceType %s is not supported: flow logs are of a VPC, a Subnet or a NetworkInterface.", in.ResourceType)
	}
	l := &logging{}
	var demands []api.Demand
	for _, id := range unique(in.ResourceIds) {
		o, d, err := found(id)
		if err != nil {
			return nil, nil, err
		}
		demands = append(demands, d)
		vpcID := ""
		if d.Resource.Missing == nil {
			vpcID = o.head().VPC
		}
		m, some := s.creation(c, "CreateFlowLogs", kindFlowLog, vpcID, in.TagSpecifications)
		l.made, l.resources, demands = append(l.made, m), append(l.resources, o), append(demands, some...)
	}
	role, passing, wrong, err := passed(ctx, c, in.DeliverLogsPermissionArn)
	if err != nil {
		return nil, nil, err
	}
	l.role = role
	if wrong != nil {
		demands[len(demands)-1].Resource.Missing = wrong
	}
	return l, append(demands, passing...), nil
}

func loggedOf[T object](s *Service, c *api.Call) func(string) (object, api.Demand, error) {
	return func(id string) (object, api.Demand, error) {
		f, err := find[T](s, c, id)
		if err != nil {
			return nil, api.Demand{}, err
		}
		return f.it, f.demand("CreateFlowLogs"), nil
	}
}

// passed demands that the caller may pass a role of her account to the service. What
// can be no such role is wrong, and there is nothing to pass.
func passed(ctx context.Context, c *api.Call, name string) (*api.Entity, []api.Demand, *api.Error, error) {
	if name == "" {
		return nil, nil, fail("MissingParameter", "DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs."), nil
	}
	refused := fail("InvalidParameter", "DeliverLogsPermissionArn %.128s is not a role of this account.", name)
	a, err := arn.Parse(name)
	if err != nil || a.Service != "iam" || a.Account != c.Account || !strings.HasPrefix(a.Resource, "role/") {
		return nil, nil, refused, nil
	}
	f, err := c.Resource(ctx, name)
	if err != nil {
		return nil, nil, nil, err
	}
	keys := policy.Context{}
	keys.Set("iam:PassedToService", flowLogService)
	d := api.Demand{Action: "iam:PassRole", Resource: f.Resource, Keys: keys}
	if d.Resource.Missing != nil {
		d.Resource.Missing = refused
		return nil, []api.Demand{d}, nil, nil
	}
	e, ok := f.Detail.(*api.Entity)
	if !ok || e.Kind != api.KindRole {
		return nil, nil, refused, nil
	}
	return e, []api.Demand{d}, nil, nil
}

func (s *Service) createFlowLogs(_ context.Context, c *api.Call, in *ec2.CreateFlowLogsInput, l *logging) (api.Commit[ec2.CreateFlowLogsOutput], error) {
	group, err := s.checkFlowLogs(in, c.Account)
	if err != nil {
		return nil, err
	}
	if in.LogFormat != "" {
		if _, _, err := parseFormat(in.LogFormat); err != nil {
			return nil, err
		}
	}
	interval := int32(defaultInterval)
	if in.MaxAggregationInterval != nil {
		interval = *in.MaxAggregationInterval
	}
	return func(tx *store.Tx) (*ec2.CreateFlowLogsOutput, error) {
		var refusedOnes []ec2.UnsuccessfulItem
		made, err := once(tx, c, "CreateFlowLogs", in.ClientToken, in, func() ([]string, error) {
			var made []string
			for i, m := range l.made {
				log := &flowLog{
					meta: m, Resource: l.resources[i].head().ID, Group: group, Role: l.role.ARN, RoleID: l.role.ID,
					Traffic: string(in.TrafficType), Interval: interval, Format: in.LogFormat,
				}
				n, err := change(tx, m.VPC)
				if err != nil {
					return nil, err
				}
				if e := n.addable(log); e != nil {
					refusedOnes = append(refusedOnes, ec2.UnsuccessfulItem{ResourceId: log.Resource, Error: e})
					continue
				}
				if err := s.put(tx, log); err != nil {
					return nil, err
				}
				made = append(made, log.ID)
			}
			return made, nil
		})
		return &ec2.CreateFlowLogsOutput{ClientToken: in.ClientToken, FlowLogIds: made, Unsuccessful: refusedOnes}, err
	}, nil
}

// addable says why a flow log cannot be added; nil if it can.
func (n *network) addable(l *flowLog) *ec2.UnsuccessfulItemError {
	same := n.flowLogsOf(l.Resource)
	if len(same) >= maxFlowLogs {
		return &ec2.UnsuccessfulItemError{Code: "FlowLogsLimitExceeded", Message: "The maximum number of flow logs for the resource has been reached."}
	}
	if slices.ContainsFunc(same, func(o *flowLog) bool { return o.Group == l.Group && o.Traffic == l.Traffic }) {
		return &ec2.UnsuccessfulItemError{Code: "FlowLogAlreadyExists", Message: "There is an existing Flow Log with the same configuration and log destination."}
	}
	return nil
}

// checkFlowLogs answers the log group that a request means.
func (s *Service) checkFlowLogs(in *ec2.CreateFlowLogsInput, account string) (string, error) {
	switch {
	case s.Logs == nil:
		return "", fail("UnsupportedOperation", "This server has no CloudWatch Logs to deliver flow logs to.")
	case in.LogDestinationType != "" && in.LogDestinationType != ec2.LogDestinationTypeCloudWatchLogs:
		return "", fail("InvalidParameter", "LogDestinationType %s is not supported: flow logs go to cloud-watch-logs.", in.LogDestinationType)
	case in.TrafficType == "":
		return "", missingParameter("TrafficType")
	case in.MaxAggregationInterval != nil && *in.MaxAggregationInterval != 60 && *in.MaxAggregationInterval != defaultInterval:
		return "", fail("InvalidParameter", "MaxAggregationInterval must be 60 or 600.")
	}
	group := in.LogGroupName
	if in.LogDestination != "" {
		if group != "" {
			return "", fail("InvalidParameter", "Please only provide LogGroupName or only provide LogDestination.")
		}
		named, ok := strings.CutPrefix(in.LogDestination, "arn:aws:logs:"+s.Region+":"+account+":log-group:")
		if !ok {
			return "", fail("InvalidParameter", "LogDestination %.128s is not a log group of this account and region.", in.LogDestination)
		}
		group = strings.TrimSuffix(named, ":*")
	}
	if !logGroupName(group) {
		return "", fail("InvalidParameter", "LogGroupName %.128q is not the name of a log group.", group)
	}
	return group, nil
}

// logGroupName says whether name is of the form that CloudWatch Logs takes.
func logGroupName(name string) bool {
	return name != "" && len(name) <= maxLogGroup &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/#") == ""
}

func (s *Service) showFlowLog(_ *network, l *flowLog) ec2.FlowLog {
	out := ec2.FlowLog{
		FlowLogId: l.ID, ResourceId: l.Resource, CreationTime: l.Created, FlowLogStatus: "ACTIVE", LogGroupName: l.Group,
		LogDestination: "arn:aws:logs:" + s.Region + ":" + l.Account + ":log-group:" + l.Group, LogDestinationType: ec2.LogDestinationTypeCloudWatchLogs,
		LogFormat: cmp.Or(l.Format, logFormat), TrafficType: ec2.TrafficType(l.Traffic), MaxAggregationInterval: &l.Interval,
		DeliverLogsPermissionArn: l.Role, DeliverLogsStatus: "SUCCESS", Tags: tagList(l.Tags),
	}
	if why := s.failure(l.ID); why != "" {
		out.DeliverLogsStatus, out.DeliverLogsErrorMessage = "FAILED", why
	}
	return out
}

func (s *Service) describeFlowLogs(_ context.Context, c *api.Call, in *ec2.DescribeFlowLogsInput, _ struct{}) (*ec2.DescribeFlowLogsOutput, error) {
	list, next, err := list(s, c, listing[*flowLog, ec2.FlowLog]{
		items: func(n *network) []*flowLog { return n.flowLogs },
		filters: filters[*flowLog]{
			"deliver-log-status":   func(_ *network, l *flowLog) []string { return []string{s.showFlowLog(nil, l).DeliverLogsStatus} },
			"flow-log-id":          func(_ *network, l *flowLog) []string { return []string{l.ID} },
			"log-destination-type": func(*network, *flowLog) []string { return []string{"cloud-watch-logs"} },
			"log-group-name":       func(_ *network, l *flowLog) []string { return []string{l.Group} },
			"resource-id":          func(_ *network, l *flowLog) []string { return []string{l.Resource} },
			"traffic-type":         func(_ *network, l *flowLog) []string { return []string{l.Traffic} },
		},
		show: s.showFlowLog,
	}, ask{in.FlowLogIds, in.Filter, in.MaxResults, in.NextToken})
	return &ec2.DescribeFlowLogsOutput{FlowLogs: list, NextToken: next}, err
}

func (s *Service) deletedFlowLogs(_ context.Context, c *api.Call, in *ec2.DeleteFlowLogsInput) ([]*found[*flowLog], []api.Demand, error) {
	return several[*flowLog](s, c, "DeleteFlowLogs", in.FlowLogIds)
}

func (s *Service) deleteFlowLogs(_ context.Context, _ *api.Call, _ *ec2.DeleteFlowLogsInput, all []*found[*flowLog]) (api.Commit[ec2.DeleteFlowLogsOutput], error) {
	return func(tx *store.Tx) (*ec2.DeleteFlowLogsOutput, error) {
		var gone []object
		for _, f := range all {
			if !f.missing() {
				gone = append(gone, f.it)
			}
		}
		return &ec2.DeleteFlowLogsOutput{Unsuccessful: unsuccessful(all)}, s.drop(tx, gone...)
	}, nil
}
