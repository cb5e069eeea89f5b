package organizations

import (
	"context"
	"strings"
	"sync"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

// known is an account as it was at versions of its key and of the tree.
type known struct {
	versions [2]int64
	account  *api.Account
}

// Account is an account as the snapshot sees it, with the policies in force over
// it. A missing one is ErrGone. As long as nothing changed it costs one look-up of
// versions.
func (s *Service) Account(_ context.Context, sn *store.Snapshot, id string) (*api.Account, error) {
	found, err := sn.Versions(accountKey(id), treeKey)
	if err != nil {
		return nil, err
	}
	versions := [2]int64(found)
	if versions[0] == 0 {
		return nil, api.ErrGone // never was one
	}
	s.mu.RLock()
	k, ok := s.accounts[id]
	s.mu.RUnlock()
	if ok && k.versions == versions {
		return k.account, nil
	}
	a, err := s.account(sn, id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts[id] = known{versions, a}
	return a, nil
}

func (s *Service) account(sn *store.Snapshot, id string) (*api.Account, error) {
	a, err := accountByID(sn, id)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, api.ErrGone
	}
	o, err := organization(sn)
	if err != nil {
		return nil, err
	}
	chain, err := above(sn, o, a.parent)
	if err != nil {
		return nil, err
	}
	out := &api.Account{
		ID: a.id, Active: a.active(), Management: a.id == o.management, OrgID: o.id, OrgPath: o.path(chain), NotBefore: a.notBefore,
	}
	if out.Management {
		return out, nil
	}
	chain = append(chain, a.id)
	if out.SCPs, err = s.levels(sn, o, shape.PolicyTypeServiceControlPolicy, chain); err != nil {
		return nil, err
	}
	out.RCPs, err = s.levels(sn, o, shape.PolicyTypeResourceControlPolicy, chain)
	return out, err
}

// levels are the policies of a type that are attached along a chain, a level for
// each node; nil where the type is not in force.
func (s *Service) levels(sn *store.Snapshot, o org, t shape.PolicyType, chain []string) ([][]policy.Doc, error) {
	on, err := isEnabled(sn, t)
	if !on || err != nil {
		return nil, err
	}
	type attachment struct {
		target, policy string
		revision       int64
	}
	args := []any{string(t)}
	for _, id := range chain {
		args = append(args, id)
	}
	found, err := store.Collect(sn, func(r *store.Rows) (a attachment, err error) {
		err = r.Scan(&a.target, &a.policy, &a.revision)
		return a, err
	}, `SELECT a.target, a.policy, COALESCE(p.revision, 0) FROM organizations_attachments a LEFT JOIN organizations_policies p ON p.id = a.policy
		WHERE a.type = ? AND a.target IN (?`+strings.Repeat(`, ?`, len(chain)-1)+`) ORDER BY a.policy`, args...)
	if err != nil {
		return nil, err
	}
	levels := make([][]policy.Doc, len(chain))
	for i, id := range chain {
		for _, a := range found {
			if a.target != id {
				continue
			}
			doc, err := s.documents.get(sn, o, t, a.policy, a.revision)
			if err != nil {
				return nil, err
			}
			levels[i] = append(levels[i], doc)
		}
	}
	return levels, nil
}

// documents are parsed policies by id, of the newest revision that was asked for.
type documents struct {
	mu    sync.Mutex
	items map[string]document
}

type document struct {
	revision int64
	doc      policy.Doc
}

// maxDocuments bounds what is kept; when it is full an arbitrary one makes room.
const maxDocuments = 4096

// get answers a policy of a revision. One that cannot be read stands without its
// content, and so refuses what it would be asked about.
func (d *documents) get(sn *store.Snapshot, o org, t shape.PolicyType, id string, revision int64) (policy.Doc, error) {
	d.mu.Lock()
	item, ok := d.items[id]
	d.mu.Unlock()
	if ok && item.revision == revision {
		return item.doc, nil
	}
	p, err := policyByID(sn, id)
	if err != nil {
		return policy.Doc{}, err
	}
	doc := policy.Doc{Name: o.policyARN(t, id)}
	if p != nil && p.kind == t {
		if parsed, err := policy.Parse([]byte(p.content), served[t].kind); err == nil {
			doc.Policy = parsed
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.items[id]; !ok && len(d.items) >= maxDocuments {
		for other := range d.items {
			delete(d.items, other)
			break
		}
	}
	d.items[id] = document{revision, doc}
	return doc, nil
}
