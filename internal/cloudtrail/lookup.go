package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/trail"
)

// maxResults is AWS's page size for LookupEvents.
const maxResults = 50

// question turns the input into a query over the caller's own account.
func (s *Service) question(_ context.Context, c *api.Call, in *shape.LookupEventsInput) (trail.Query, []api.Demand, error) {
	demands := api.On("cloudtrail:LookupEvents", api.Any)
	q := trail.Query{Account: c.Account, Start: in.StartTime, End: in.EndTime, Limit: maxResults, Token: in.NextToken}
	if in.MaxResults != nil {
		if *in.MaxResults < 1 || *in.MaxResults > maxResults {
			return q, nil, fail("InvalidMaxResultsException", "MaxResults must be from 1 to %d.", maxResults)
		}
		q.Limit = int(*in.MaxResults)
	}
	if !in.StartTime.IsZero() && !in.EndTime.IsZero() && in.EndTime.Before(in.StartTime) {
		return q, nil, fail("InvalidTimeRangeException", "The end time is before the start time.")
	}
	if !q.End.IsZero() { // an event says its time in seconds
		q.End = q.End.Truncate(time.Second).Add(time.Second - time.Microsecond)
	}
	if len(in.LookupAttributes) > 1 {
		return q, nil, fail("InvalidLookupAttributesException", "Only one lookup attribute can be given.")
	}
	for _, a := range in.LookupAttributes {
		if err := narrow(&q, a); err != nil {
			return q, nil, err
		}
	}
	return q, demands, nil
}

func narrow(q *trail.Query, a shape.LookupAttribute) error {
	v := a.AttributeValue
	if v == "" || len(v) > 2000 {
		return fail("InvalidLookupAttributesException", "The value of %s is empty or too long.", a.AttributeKey)
	}
	switch a.AttributeKey {
	case shape.LookupAttributeKeyEventId:
		q.EventID = v
	case shape.LookupAttributeKeyEventName:
		q.EventName = v
	case shape.LookupAttributeKeyReadOnly:
		b, err := strconv.ParseBool(strings.ToLower(v))
		if err != nil {
			return fail("InvalidLookupAttributesException", "ReadOnly is true or false.")
		}
		q.ReadOnly = &b
	case shape.LookupAttributeKeyUsername:
		q.Username = v
	case shape.LookupAttributeKeyResourceType:
		q.ResourceType = v
	case shape.LookupAttributeKeyResourceName:
		q.ResourceName = v
	case shape.LookupAttributeKeyEventSource:
		q.EventSource = v
	case shape.LookupAttributeKeyAccessKeyId:
		q.AccessKeyID = v
	default:
		return fail("InvalidLookupAttributesException", "%s is not a lookup attribute.", a.AttributeKey)
	}
	return nil
}

func (s *Service) lookupEvents(ctx context.Context, c *api.Call, in *shape.LookupEventsInput, q trail.Query) (*shape.LookupEventsOutput, error) {
	page, err := s.Records.Find(ctx, q)
	if errors.Is(err, trail.ErrToken) {
		return nil, fail("InvalidNextTokenException", "The next token is not one that this question was answered with.")
	}
	if err != nil {
		return nil, err
	}
	out := &shape.LookupEventsOutput{NextToken: page.NextToken, Events: []shape.Event{}}
	for _, e := range page.Entries {
		event, err := present(e)
		if err != nil {
			return nil, err
		}
		out.Events = append(out.Events, event)
	}
	return out, nil
}

// present reads what LookupEvents shows beside the event from the event itself, so
// that the two cannot differ.
func present(e trail.Entry) (shape.Event, error) {
	var told struct {
		EventID      string    `json:"eventID"`
		EventName    string    `json:"eventName"`
		EventSource  string    `json:"eventSource"`
		EventTime    time.Time `json:"eventTime"`
		ReadOnly     bool      `json:"readOnly"`
		UserIdentity struct {
			UserName    string `json:"userName"`
			ARN         string `json:"arn"`
			AccessKeyID string `json:"accessKeyId"`
		} `json:"userIdentity"`
		Resources []struct {
			ARN  string `json:"ARN"`
			Type string `json:"type"`
		} `json:"resources"`
	}
	if err := json.Unmarshal(e.Event, &told); err != nil {
		return shape.Event{}, fmt.Errorf("cloudtrail: record %d: %w", e.Seq, err)
	}
	out := shape.Event{
		AccessKeyId:     told.UserIdentity.AccessKeyID,
		CloudTrailEvent: string(e.Event),
		EventId:         told.EventID,
		EventName:       told.EventName,
		EventSource:     told.EventSource,
		EventTime:       told.EventTime,
		ReadOnly:        strconv.FormatBool(told.ReadOnly),
		Username:        told.UserIdentity.UserName,
	}
	if out.Username == "" { // a session goes by its own name
		out.Username = told.UserIdentity.ARN[strings.LastIndexByte(told.UserIdentity.ARN, '/')+1:]
	}
	for _, r := range told.Resources {
		out.Resources = append(out.Resources, shape.Resource{ResourceName: r.ARN, ResourceType: r.Type})
	}
	return out, nil
}
