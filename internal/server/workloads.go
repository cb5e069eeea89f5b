package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/ec2"
	"bawn.dev/internal/fabric"
	"bawn.dev/internal/metadata"
	"bawn.dev/internal/sagemaker"
	"bawn.dev/internal/shape/logs"
	"bawn.dev/internal/sts"
)

// The small connections between rooms that do not know each other.

// sessions makes the credentials of workloads.
type sessions struct{ sts *sts.Service }

func (s sessions) Issue(claim api.Claim) (sagemaker.Credentials, error) {
	c, err := s.sts.Issue(claim, sts.SessionPolicies{})
	return sagemaker.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expiration: c.Expiration,
	}, err
}

// workloads are the running jobs, as the credentials endpoint asks for them.
type workloads struct{ sagemaker *sagemaker.Service }

// At implements metadata.Directory.
func (w workloads) At(ctx context.Context, vpcID string, address netip.Addr) (metadata.Workload, error) {
	id, err := w.sagemaker.At(ctx, vpcID, address)
	if errors.Is(err, api.ErrGone) {
		return metadata.Workload{}, metadata.ErrUnknown
	}
	token := strings.TrimPrefix(w.sagemaker.CredentialsPath(id), metadata.Prefix)
	return metadata.Workload{ID: id, Token: metadata.Hash(token)}, err
}

// Mint implements metadata.Minter.
func (w workloads) Mint(ctx context.Context, id string) (metadata.Credentials, error) {
	c, err := w.sagemaker.Mint(ctx, id)
	var refused *api.Error
	if errors.Is(err, api.ErrGone) || errors.As(err, &refused) {
		return metadata.Credentials{}, errors.Join(metadata.ErrDenied, err)
	}
	return metadata.Credentials{
		RoleARN: c.RoleARN, AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, Token: c.SessionToken, Expiration: c.Expiration,
	}, err
}

// s3Endpoint is the place from which a job's data is staged: the endpoint by which
// its own interface reaches S3, if its packets would pass.
func (s *Server) s3Endpoint(ctx context.Context, vpc, _, networkInterface string) (*api.Origin, error) {
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	endpoint, verdict, err := s.ec2.Reach(sn, vpc, networkInterface, "s3")
	if err != nil {
		return nil, err
	}
	if endpoint == nil || !verdict.Allowed {
		return nil, &api.Error{Code: "ValidationException", Status: http.StatusBadRequest,
			Message: fmt.Sprintf("The job's network interface in %s cannot reach Amazon S3: %s. Give the VPC an S3 endpoint, its subnet a route to it, and its security groups a rule that lets the job reach it on port 443.", vpc, verdict.Why)}
	}
	model, err := s.ec2.Model(sn, vpc)
	if err != nil {
		return nil, err
	}
	for _, i := range model.Interfaces {
		if i.ID == networkInterface {
			return &api.Origin{SourceIP: i.Address.String(), TLS: true, EndpointID: endpoint.ID, VPC: endpoint.VPC, VPCAccount: endpoint.Account}, nil
		}
	}
	return nil, errors.New("server: the job's interface is not in its VPC")
}

// flowLogService is who assumes the roles of flow logs.
const flowLogService = "vpc-flow-logs.amazonaws.com"

// flowLogs delivers flow logs as the role that their owner named, as AWS does.
type flowLogs struct{ server *Server }

// Put implements ec2.LogSink.
func (f flowLogs) Put(ctx context.Context, to ec2.LogDestination, lines []ec2.Line) error {
	claim := api.Claim{Kind: api.KindRole, Account: to.Account, ID: to.RoleID, SessionName: "flow-logs"}
	call, err := f.server.door.Begin(ctx, claim, flowLogService)
	if err != nil {
		return err
	}
	trusted, err := call.Trusts(ctx, call.Entity(), flowLogService, "arn:aws:ec2:"+f.server.cfg.Region+":"+to.Account+":vpc-flow-log/*")
	if err != nil {
		return err
	}
	if !trusted {
		return fmt.Errorf("the role %s does not trust %s", to.Role, flowLogService)
	}
	lines = slices.SortedStableFunc(slices.Values(lines), func(a, b ec2.Line) int { return a.Time.Compare(b.Time) })
	in := &logs.PutLogEventsInput{LogGroupName: to.Group, LogStreamName: to.Stream}
	for _, l := range lines {
		in.LogEvents = append(in.LogEvents, logs.InputLogEvent{Message: l.Text, Timestamp: l.Time.UnixMilli()})
	}
	_, err = api.Invoke[logs.PutLogEventsOutput](ctx, call, "logs:PutLogEvents", in)
	var e *api.Error
	if errors.As(err, &e) && e.Code == "ResourceNotFoundException" {
		_, err = api.Invoke[logs.CreateLogStreamOutput](ctx, call, "logs:CreateLogStream", &logs.CreateLogStreamInput{LogGroupName: to.Group, LogStreamName: to.Stream})
		if errors.As(err, &e) && e.Code == "ResourceAlreadyExistsException" {
			err = nil
		}
		if err == nil {
			_, err = api.Invoke[logs.PutLogEventsOutput](ctx, call, "logs:PutLogEvents", in)
		}
	}
	return err
}

// deliverFlows turns what the host saw into flow logs.
func (s *Server) deliverFlows(ctx context.Context, vpcID string, seen []fabric.FlowRecord) error {
	flows := make([]ec2.Flow, len(seen))
	for i, f := range seen {
		flows[i] = ec2.Flow{
			Start: f.Start, End: f.End, Interface: f.Interface, Src: f.Src, Dst: f.Dst, Protocol: f.Protocol,
			Packets: f.Packets, Bytes: f.Bytes, Action: string(f.Action),
		}
	}
	return s.ec2.Deliver(ctx, s.store, vpcID, flows)
}

// deliverQueries turns what the name servers were asked into query logs.
func (s *Server) deliverQueries(ctx context.Context, vpcID string, seen []fabric.Query) error {
	queries := make([]ec2.Query, len(seen))
	for i, q := range seen {
		queries[i] = ec2.Query{
			Time: q.Time, Interface: q.Interface, Source: q.Source, Name: q.Name, Type: q.Type, Rcode: q.Rcode, Answers: q.Answers,
			Transport: q.Transport, Lost: q.Lost,
		}
	}
	return s.ec2.DeliverQueries(ctx, s.store, vpcID, queries)
}

// trouble tells the operator of what is being tried again, without flooding the
// log while the host is away.
type trouble struct {
	server *Server
	last   string
	at     time.Time
}

func (t *trouble) tell(err error) {
	if err.Error() == t.last && time.Since(t.at) < time.Minute {
		return
	}
	t.last, t.at = err.Error(), time.Now()
	t.server.log.Warn("networks are not as they should be; trying again", "err", err)
}
