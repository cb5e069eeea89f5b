package trail

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"bawn.dev/internal/ledger"
)

// A trait is what a record is looked up by: a letter for the kind, and the value.
// Every record has the empty trait. Those that are rare among records are terms
// of the index, a row each; the common ones are only filtered by.
const (
	byEvent        = "i:"
	byResource     = "r:"
	byResourceType = "t:"
	byKey          = "k:"
	byPerson       = "p:"
	byScope        = "w:"
	byUsername     = "u:"
	byName         = "n:"
	bySource       = "s:"
	byError        = "e:"
	byReadOnly     = "o:"
)

// termsOf lists an event's terms. One that does not decode, which Append never wrote,
// still has the empty one: it is sealed and seen.
func termsOf(event []byte) []string {
	record, err := UnmarshalEvent(event)
	if err != nil {
		return []string{""}
	}
	return record.terms()
}

// recent are the records that this process appended and did not seal yet: what the
// sealer needs of them need not be read from what was stored. One is found by its bytes.
type recent struct {
	seed maphash.Seed
	mu   sync.Mutex
	all  map[uint64]appended
	held int // bytes, about
}

type appended struct {
	stored []byte
	leaf   ledger.Hash
	terms  []string
}

func (a appended) size() int {
	n := 128 + len(a.stored)
	for _, term := range a.terms {
		n += 32 + len(term)
	}
	return n
}

// What is kept of records that wait to be sealed, by this copy or another, or never were
// committed.
const (
	maxRecent      = 1 << 14
	maxRecentBytes = 64 << 20
)

func (c *recent) put(a appended) {
	hash := maphash.Bytes(c.seed, a.stored)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil || len(c.all) >= maxRecent || c.held >= maxRecentBytes {
		c.all, c.held = make(map[uint64]appended), 0
	}
	c.drop(hash)
	c.all[hash], c.held = a, c.held+a.size()
}

// take gives what the sealer needs of a record as it is stored.
func (c *recent) take(stored []byte) appended {
	hash := maphash.Bytes(c.seed, stored)
	c.mu.Lock()
	a := c.drop(hash)
	c.mu.Unlock()
	if a.terms == nil || !bytes.Equal(a.stored, stored) {
		event := expanded(stored)
		a = appended{stored, ledger.LeafHash(event), termsOf(event)}
	}
	return a
}

// drop takes one out, if it is there.
func (c *recent) drop(hash uint64) appended {
	a, ok := c.all[hash]
	if ok {
		delete(c.all, hash)
		c.held -= a.size()
	}
	return a
}

func (r *Record) terms() []string {
	return slices.DeleteFunc(r.traits(), func(trait string) bool {
		return strings.HasPrefix(trait, byReadOnly) || strings.HasPrefix(trait, byResourceType)
	})
}

// traits lists a record's traits, sorted.
func (r *Record) traits() []string {
	traits := append(make([]string, 0, 16), "", byReadOnly+yesNo(r.ReadOnly))
	add := func(kind, value string) {
		if value != "" {
			traits = append(traits, kind+value)
		}
	}
	add(byEvent, r.EventID)
	add(byName, r.EventName)
	add(bySource, r.EventSource)
	add(byUsername, r.Username())
	add(byKey, r.UserIdentity.AccessKeyID)
	if p := r.UserIdentity.OnBehalfOf; p != nil {
		add(byPerson, p.UserID)
	}
	if i := r.UserIdentity.InScopeOf; i != nil {
		for _, about := range []string{i.SourceARN, i.CredentialsIssuedTo} {
			add(byScope, about)
			add(byScope, shortName(about))
		}
	}
	if r.ErrorCode != "" {
		traits = append(traits, byError)
	}
	for _, x := range r.Resources {
		add(byResourceType, x.Type)
		add(byResource, x.ARN)
		add(byResource, shortName(x.ARN))
	}
	slices.Sort(traits)
	return slices.Compact(traits)
}

// shortName is a resource's name within its ARN: people look for "my-bucket".
func shortName(arn string) string {
	return arn[strings.LastIndexAny(arn, ":/")+1:]
}

func yesNo(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// traits lists what a query demands: a term that leads to few records first.
func (q Query) traits() []string {
	var traits []string
	add := func(kind, value string) {
		if value != "" {
			traits = append(traits, kind+value)
		}
	}
	add(byEvent, q.EventID)
	add(byResource, q.ResourceName)
	add(byKey, q.AccessKeyID)
	add(byScope, q.Scope)
	add(byPerson, q.Person)
	add(byUsername, q.Username)
	if q.ErrorsOnly {
		traits = append(traits, byError)
	}
	add(byName, q.EventName)
	add(bySource, q.EventSource)
	traits = append(traits, "")
	add(byResourceType, q.ResourceType)
	if q.ReadOnly != nil {
		add(byReadOnly, yesNo(*q.ReadOnly))
	}
	return traits
}
