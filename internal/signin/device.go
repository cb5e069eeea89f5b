package signin

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"bawn.dev/internal/api"
	pages "bawn.dev/internal/shape/signin"
	shape "bawn.dev/internal/shape/ssooidc"
	"bawn.dev/internal/store"
)

const (
	deviceLife   = 10 * time.Minute
	pollInterval = 5 * time.Second
	// pollSlack is what a client's clock and the network may make of the interval.
	pollSlack = time.Second
	maxPolls  = 1 << 14

	// userLetters of a user code: none that read alike, no vowels to make words of.
	// Eight of them are 34 bits, good for ten minutes, behind a sign-in and a limit.
	userLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userLength  = 8
)

func newSecret() string { return rand.Text() + rand.Text() }

// newUserCode makes a code that a person reads and types.
func newUserCode() string {
	code := make([]byte, 0, userLength)
	for len(code) < userLength {
		var b [1]byte
		rand.Read(b[:])
		if n := int(b[0]); n < 256/len(userLetters)*len(userLetters) { // each letter as likely
			code = append(code, userLetters[n%len(userLetters)])
		}
	}
	return string(code)
}

// typed is a user code as it was made, however it was typed.
func typed(code string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
}

func (s *Service) newDevice(_ context.Context, c *api.Call, in *shape.StartDeviceAuthorizationInput) (*client, []api.Demand, error) {
	known, err := s.authenticated(c, in.ClientId, in.ClientSecret)
	if err != nil {
		return nil, nil, err
	}
	if !known.grants(deviceGrant) {
		return nil, nil, refused("UnauthorizedClientException", "The client did not register for devices.")
	}
	return known, nil, s.ours(c, in.StartUrl)
}

func (s *Service) startDevice(_ context.Context, c *api.Call, _ *shape.StartDeviceAuthorizationInput, known *client) (api.Commit[shape.StartDeviceAuthorizationOutput], error) {
	secret, code := newSecret(), newUserCode()
	a := &approval{
		id: digest(secret), userCode: digest(code), client: known.digest(), name: known.Name, scopes: known.scopes(),
		source: sourceOf(c), agent: c.Agent(), created: c.Now, expires: c.Now.Add(deviceLife), state: asked,
	}
	life, interval := int32(deviceLife/time.Second), int32(pollInterval/time.Second)
	shown := code[:userLength/2] + "-" + code[userLength/2:]
	out := &shape.StartDeviceAuthorizationOutput{
		DeviceCode: secret, UserCode: shown, ExpiresIn: &life, Interval: &interval,
		VerificationUri: s.address("/device"), VerificationUriComplete: s.address("/device?user_code=" + shown),
	}
	return func(tx *store.Tx) (*shape.StartDeviceAuthorizationOutput, error) { return out, a.insert(tx, c.Now) }, nil
}

// A decision is a person before what a client asks of her.
type decision struct {
	*approval
	session *Session // hers
}

// typedDevice finds the device whose code a person typed. She may guess a few: to
// approve a stranger's device lets the stranger in as her, which helps no attacker,
// but what asks from where is not hers to read.
func typedDevice[In any](s *Service, input func(*In) (secret, code string)) func(context.Context, *api.Call, *In) (*decision, []api.Demand, error) {
	return func(ctx context.Context, c *api.Call, in *In) (*decision, []api.Demand, error) {
		secret, code := input(in)
		session, err := s.signedIn(ctx, c, secret)
		if err != nil {
			return nil, nil, err
		}
		if !s.crowd.take("user code "+session.UserID, c.Now) {
			return nil, nil, tooFast("There were too many wrong codes. Please wait a moment.")
		}
		a, err := approvalWhere(c.Snapshot, "user_code", digest(typed(code)))
		if err != nil {
			return nil, nil, err
		}
		if a == nil || a.state != asked || c.Now.After(a.expires) {
			return nil, nil, fail("ResourceNotFoundException", "There is no device with this code, or its time is over. Please check it, or start again on the device.")
		}
		s.crowd.give("user code "+session.UserID, c.Now)
		c.Note("clientName", a.name)
		c.Note("clientSource", a.source)
		return &decision{a, session}, nil, nil
	}
}

func (s *Service) describeDevice(_ context.Context, _ *api.Call, _ *pages.DescribeDeviceInput, d *decision) (*pages.DescribeDeviceOutput, error) {
	return &pages.DescribeDeviceOutput{
		ClientName: d.name, Scopes: d.scopes, SourceAddress: d.source, UserAgent: d.agent, RequestedAt: d.created, ExpiresAt: d.expires,
	}, nil
}

func (s *Service) approveDevice(_ context.Context, _ *api.Call, _ *pages.ApproveDeviceInput, d *decision) (api.Commit[pages.ApproveDeviceOutput], error) {
	return func(tx *store.Tx) (*pages.ApproveDeviceOutput, error) {
		return &pages.ApproveDeviceOutput{ClientName: d.name}, d.decide(tx, approved)
	}, nil
}

func (s *Service) denyDevice(_ context.Context, _ *api.Call, _ *pages.DenyDeviceInput, d *decision) (api.Commit[pages.DenyDeviceOutput], error) {
	return func(tx *store.Tx) (*pages.DenyDeviceOutput, error) {
		return &pages.DenyDeviceOutput{}, d.decide(tx, refusal)
	}, nil
}

// decide changes a copy: the commit may run again.
func (d *decision) decide(tx *store.Tx, state approvalState) error {
	a := *d.approval
	a.state, a.userID, a.parent = state, d.session.UserID, d.session.ID
	return a.update(tx)
}

// byDeviceCode is the approval of a device that asks whether it was given.
func (s *Service) byDeviceCode(c *api.Call, known *client, code string) (*approval, error) {
	a, err := approvalWhere(c.Snapshot, "id", digest(code))
	if err != nil {
		return nil, err
	}
	if a == nil || a.client != known.digest() || a.userCode == "" {
		return nil, refused("InvalidGrantException", "Invalid device code provided")
	}
	if a.state != taken && c.Now.After(a.expires) {
		return nil, refused("ExpiredTokenException", "Device code expired")
	}
	switch a.state {
	case asked:
		if !s.polls.due(a.id, c.RequestID, c.Now) {
			return nil, refused("SlowDownException", "Please ask less often")
		}
		return nil, refused("AuthorizationPendingException", "Authorization pending")
	case refusal:
		return nil, refused("AccessDeniedException", "The request was denied")
	}
	return a, nil
}

// polls knows when devices asked last. It is in memory: what it guards is the size of
// the record.
type polls struct {
	mu   sync.Mutex
	last map[string]poll
}

type poll struct {
	request string
	at      time.Time
}

// due says whether a device waited long enough. A request that is looked at again is
// the same.
func (p *polls) due(device, request string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil || len(p.last) >= maxPolls {
		p.last = map[string]poll{}
	}
	before, again := p.last[device]
	if again && before.request == request {
		return true
	}
	p.last[device] = poll{request, now}
	return !again || now.Sub(before.at) >= pollInterval-pollSlack
}
