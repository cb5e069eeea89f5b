package kms

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

// A key is a KMS key as one version of its row says. It does not change and is
// shared by calls.
type key struct {
	id, account, arn string
	description      string
	managed          bool // by AWS, for one of its services
	spec             kms.KeySpec
	usage            kms.KeyUsageType
	origin           kms.OriginType
	enabled          bool
	deletion         time.Time       // when it is destroyed; zero: it stays
	importing        bool            // no material is there, or some that ciphertexts need is not
	expires          time.Time       // when imported material does, the first of it; zero: never
	rotation         int             // days between rotations; 0: none
	rotates          time.Time       // when the next one is due
	text             string          // of the policy, as it was put
	bindings         policy.Bindings // of the policy
	policy           *policy.Doc
	version          int64 // of the material that encrypts; 0: there is none
	created          time.Time
	tags             map[string]string
	aliases          []string // names, sorted
	grants           int      // how many there are, or were: 0 is true
}

func versionKey(id string) string { return "kms:key/" + id }

func (s *Service) arn(account, resource string) string {
	return "arn:aws:kms:" + s.Region + ":" + account + ":" + resource
}

// get finds a key by id; a missing one is nil. The decision depends on what it
// answers.
func (s *Service) get(sn *store.Snapshot, id string) (*key, error) {
	version, err := sn.Version(versionKey(id))
	if err != nil || version == 0 {
		return nil, err
	}
	if k, ok := s.keys.Get(id, version); ok {
		return k, nil
	}
	k, err := row(sn, id)
	if err != nil || k == nil {
		return nil, err
	}
	k.arn = s.arn(k.account, "key/"+id)
	p, err := s.parsed(k)
	if err != nil {
		return nil, fmt.Errorf("kms: the stored policy of %s: %w", k.arn, err)
	}
	k.policy = &policy.Doc{Name: "key policy of " + k.arn, Policy: p}
	if k.tags, err = tagsOf(sn, id); err != nil {
		return nil, err
	}
	if k.aliases, err = column(sn, "SELECT name FROM kms_aliases WHERE key = ? ORDER BY name", id); err != nil {
		return nil, err
	}
	return s.keys.Put(id, version, k), nil
}

// parsed is a key's policy. Most keys of an account have the same one, and share it.
func (s *Service) parsed(k *key) (*policy.Policy, error) {
	text := k.bindings.Text() + "\x00" + k.text // of the first, JSON, no byte is zero
	if p, ok := s.policies.Get(text, 0); ok {
		return p, nil
	}
	p, err := k.bindings.Parse(k.text, policy.Resource)
	if err != nil {
		return nil, err
	}
	return s.policies.Put(text, 0, p), nil
}

// A named key is what a KeyId of a request names.
type named struct {
	*key
	resource api.Resource
	alias    string // the alias that the request used, if any
}

// Which names of keys an operation takes.
type naming int

const (
	ownKey     naming = iota // id or ARN of a key in the caller's account
	anyKey                   // of any account
	anyOrAlias               // or an alias
)

// find resolves a KeyId: key id, key ARN, alias name, alias ARN. When there is no
// such key the resource says so, to those who may know.
func (s *Service) find(ctx context.Context, c *api.Call, name string, takes naming) (*named, error) {
	account, resource := c.Account, name
	if strings.HasPrefix(name, "arn:") {
		a, err := arn.Parse(name)
		if err != nil || a.Service != "kms" || a.Partition != "aws" {
			return nil, fail("InvalidArnException", "Invalid arn %s", name)
		}
		if a.Region != s.Region {
			return nil, fail("NotFoundException", "Invalid arn %s", a.Region)
		}
		account, resource = a.Account, a.Resource
	} else if !strings.HasPrefix(name, "alias/") {
		resource = "key/" + name
	}
	if takes == ownKey && account != c.Account {
		return nil, errForeign("This operation")
	}
	kind, id, _ := strings.Cut(resource, "/")
	switch {
	case kind == "key" && plain(id, ""):
		return s.byID(c, account, id)
	case kind == "alias" && plain(id, "/_") && takes == anyOrAlias:
		return s.byAlias(ctx, c, account, resource)
	}
	return nil, fail("NotFoundException", "Invalid keyId %s", name)
}

// plain says whether s is made of letters, digits, hyphens and the others.
func plain(s, others string) bool {
	for i := range len(s) {
		ch := s[i] | 0x20
		if !('a' <= ch && ch <= 'z' || '0' <= s[i] && s[i] <= '9' || s[i] == '-' || strings.IndexByte(others, s[i]) >= 0) {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 256
}

// byID finds the key of an account. A key of another account than was said is
// missing.
func (s *Service) byID(c *api.Call, account, id string) (*named, error) {
	k, err := s.get(c.Snapshot, id)
	if err != nil {
		return nil, err
	}
	if k == nil || k.account != account {
		name := s.arn(account, "key/"+id)
		return s.missing(c, name, account, errKeyNotFound(name)), nil
	}
	return k.named(), nil
}

// state is the key's at a time: the zero time lets nothing expire.
func (k *key) state(now time.Time) kms.KeyState {
	switch {
	case !k.deletion.IsZero():
		return kms.KeyStatePendingDeletion
	case k.importing || !k.expires.IsZero() && !now.Before(k.expires):
		return kms.KeyStatePendingImport
	case !k.enabled:
		return kms.KeyStateDisabled
	}
	return kms.KeyStateEnabled
}

// algorithms are those that the key's usage leaves of its spec.
func (k *key) algorithms() spec { return specs[k.spec].of(k.usage) }

// kind sets the condition keys that say what kind of key this is.
func (k *key) kind(keys policy.Context) {
	keys.Set("kms:KeySpec", string(k.spec))
	keys.Set("kms:KeyUsage", string(k.usage))
	keys.Set("kms:CustomerMasterKeySpec", string(k.spec)) // as these two were once called
	keys.Set("kms:CustomerMasterKeyUsage", string(k.usage))
	keys.Set("kms:KeyOrigin", string(k.origin))
	keys.Set("kms:MultiRegion", "false")
}

func (k *key) named() *named { return &named{key: k, resource: k.resource()} }

func (s *Service) byAlias(ctx context.Context, c *api.Call, account, alias string) (*named, error) {
	id, err := s.target(c.Snapshot, account, alias)
	if err != nil {
		return nil, err
	}
	if id == "" {
		if service, ok := managedAlias(alias); ok && account == c.Account {
			if err := s.manage(ctx, c, account, service); err != nil {
				return nil, err
			}
			return nil, api.ErrAgain
		}
		return s.noAlias(c, account, alias), nil
	}
	n, err := s.byID(c, account, id)
	if err != nil {
		return nil, err
	}
	if n.key != nil {
		if known, err := n.known(c); err != nil {
			return nil, err
		} else if !known { // the refusal and its record would name it
			return s.noAlias(c, account, alias), nil
		}
	}
	n.alias = alias
	return n, nil
}

// noAlias is an alias that is not there. Whether it is may know who may ask about every
// key.
func (s *Service) noAlias(c *api.Call, account, alias string) *named {
	return s.missing(c, s.arn(account, "key/*"), account, errAliasNotFound(s.arn(account, alias)))
}

// target is the id of the key that an alias points to, or empty.
func (s *Service) target(sn *store.Snapshot, account, alias string) (string, error) {
	name := aliasKey(account, alias)
	version, err := sn.Version(name)
	if err != nil || version == 0 {
		return "", err
	}
	if id, ok := s.aliases.Get(name, version); ok {
		return id, nil
	}
	id, err := aliasTarget(sn, account, alias)
	if err == nil {
		s.aliases.Put(name, version, id)
	}
	return id, err
}

// missing is a key that is not there. Its own account's IAM says who may know;
// to other accounts it looks like a key that does not let them in.
func (s *Service) missing(c *api.Call, name, account string, err *api.Error) *named {
	r := api.Resource{ARN: name, Account: account, Type: "AWS::KMS::Key", RootOfTrust: true, Missing: err}
	if account == c.Account {
		r.Policy = delegation(account)
	}
	return &named{resource: r}
}

func (k *key) resource() api.Resource {
	return api.Resource{
		ARN: k.arn, Account: k.account, Type: "AWS::KMS::Key",
		Policy: k.policy, RootOfTrust: true, AWSManaged: k.managed, Tags: k.tags,
	}
}

// demand states an action on the key with the condition keys that every action on
// a key has.
func (s *Service) demand(c *api.Call, action string, n *named) api.Demand {
	return api.Demand{Action: "kms:" + action, Resource: n.resource, Keys: s.conditions(c, n)}
}

func (s *Service) conditions(c *api.Call, n *named) policy.Context {
	keys := make(policy.Context, 14)
	keys.Set("kms:CallerAccount", c.Account)
	if via := c.Via(); len(via) > 0 {
		keys.Set("kms:ViaService", strings.TrimSuffix(via[len(via)-1], ".amazonaws.com")+"."+s.Region+".amazonaws.com")
	}
	if n.key != nil {
		n.kind(keys)
		keys.Set("kms:ResourceAliases", n.aliases...)
	}
	if n.alias != "" {
		keys.Set("kms:RequestAlias", n.alias)
	}
	return keys
}

// on resolves the key of an operation that demands its own name of it.
func (s *Service) on(ctx context.Context, c *api.Call, action, name string, takes naming) (*named, []api.Demand, error) {
	n, err := s.find(ctx, c, name, takes)
	if err != nil {
		return nil, nil, err
	}
	return n, []api.Demand{s.demand(c, action, n)}, nil
}

// Resolve finds keys and aliases by ARN, for other services' decisions. The
// Detail of a key is its *kms.KeyMetadata.
func (s *Service) Resolve(_ context.Context, sn *store.Snapshot, name string) (*api.Foreign, error) {
	a, err := arn.Parse(name)
	if err != nil || a.Service != "kms" || a.Region != s.Region {
		return nil, nil
	}
	kind, id, _ := strings.Cut(a.Resource, "/")
	missing := &api.Foreign{Resource: api.Resource{
		ARN: name, Account: a.Account, Type: "AWS::KMS::Key", RootOfTrust: true, Missing: errKeyNotFound(name),
	}}
	switch kind {
	case "key":
	case "alias":
		missing.Missing = errAliasNotFound(name)
		if id, err = s.target(sn, a.Account, a.Resource); err != nil {
			return nil, err
		}
	default:
		return nil, nil
	}
	if id == "" {
		return missing, nil
	}
	k, err := s.get(sn, id)
	if err != nil {
		return nil, err
	}
	if k == nil || k.account != a.Account {
		return missing, nil
	}
	return &api.Foreign{Resource: k.resource(), Detail: k.metadata(time.Time{})}, nil
}
