package identity

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/ldap"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
)

// SourcePrincipal is the service as whom people and groups of other directories are
// brought in.
const SourcePrincipal = "directory.sso.amazonaws.com"

const sourceSealing seal.Purpose = "directory password"

// A Source is another directory, whose people and groups are here too and whose people
// give their passwords there.
//
// What is brought in is kept like what an administrator makes: by operations that are
// decided and recorded. Beside it stands, in identity_source_entries, which entry of
// which source it is: nobody becomes a source's by her name or her address, and so
// whoever may name people in that directory takes over nobody who was here before.
type Source struct {
	Name           string         `json:"name"`
	Directory      ldap.Directory `json:"directory"`
	Nested         bool           `json:"nested"`  // who is in a group of a group is in the group
	Seconds        int            `json:"seconds"` // from one reading to the next
	Next           time.Time      `json:"next,omitzero"`
	Report         *SourceReport  `json:"report,omitzero"` // of the last time
	sealedPassword []byte
}

// sourceMigration is where people come from. lease is until when a copy of the server
// works on a source, due when it is next worked on. active is whether the source's
// word was last that she may be here.
var sourceMigration = store.Migration{Room: "identity", Version: 4, SQL: []string{
	`CREATE TABLE identity_sources (name TEXT PRIMARY KEY, doc BLOB NOT NULL, sealed BLOB NOT NULL, lease INTEGER NOT NULL, due INTEGER NOT NULL,
		report BLOB NOT NULL) WITHOUT ROWID`,
	`CREATE TABLE identity_source_entries (source TEXT NOT NULL, kind TEXT NOT NULL, external TEXT NOT NULL, principal TEXT NOT NULL UNIQUE,
		active BOOLEAN NOT NULL, PRIMARY KEY (source, kind, external)) WITHOUT ROWID`,
}}

func (s *Source) interval() time.Duration { return time.Duration(s.Seconds) * time.Second }

const (
	defaultInterval = 15 * time.Minute
	shortestWait    = time.Minute
	longestWait     = 24 * time.Hour
	maxSources      = 16
)

var sourceName = regexp.MustCompile(`\A[a-z][a-z0-9-]{0,31}\z`)

var errNoSource = errors.New("identity: there is no directory of that name")

const sourcePolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["identitystore:CreateUser","identitystore:UpdateUser",
	"identitystore:CreateGroup","identitystore:UpdateGroup","identitystore:CreateGroupMembership","identitystore:DeleteGroupMembership"],
	"Resource":["arn:aws:identitystore::*:identitystore/*","arn:aws:identitystore:::user/*","arn:aws:identitystore:::group/*","arn:aws:identitystore:::membership/*"]}]}`

// SourcePolicy says what the service may do: bring people and groups in, change them,
// and nothing of what they may do.
func SourcePolicy() []policy.Doc {
	p, err := policy.Parse([]byte(sourcePolicy), policy.Identity)
	if err != nil {
		return nil // and the service may do nothing; every test of it reads it
	}
	return []policy.Doc{{Name: "service policy of " + SourcePrincipal, Policy: p}}
}

// AddSource adds a directory, or changes what is known of one. It is asked nothing
// yet.
func (s *Service) AddSource(tx *store.Tx, src Source, password string) error {
	if !sourceName.MatchString(src.Name) {
		return errors.New("identity: a directory's name is up to 32 of a-z, 0-9 and -, a letter first")
	}
	if src.Seconds = cmp.Or(src.Seconds, int(defaultInterval/time.Second)); src.interval() < shortestWait || src.interval() > longestWait {
		return fmt.Errorf("identity: a directory is read every %v to %v", shortestWait, longestWait)
	}
	if password == "" {
		return errors.New("identity: the password to bind with is empty")
	}
	if err := src.Directory.Complete(); err != nil {
		return err
	}
	src.Next, src.Report = time.Time{}, nil
	doc, err := write(src)
	if err != nil {
		return err
	}
	sealed, err := sourceSealing.Seal(s.key[:], []byte(password), []byte(src.Name))
	if err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM identity_sources WHERE name <> ?`, src.Name).Scan(&n); err != nil || n >= maxSources {
		return errors.Join(err, whether(n >= maxSources, "directory: there are many"))
	}
	changed, err := tx.Exec(`UPDATE identity_sources SET doc = ?, sealed = ?, due = 0 WHERE name = ?`, doc, sealed, src.Name)
	if err != nil {
		return err
	}
	if n, err := changed.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = tx.Exec(`INSERT INTO identity_sources (name, doc, sealed, lease, due, report) VALUES (?, ?, ?, 0, 0, ?)`, src.Name, doc, sealed, []byte("null"))
	return err
}

const sourceColumns = `SELECT doc, sealed, due, report FROM identity_sources`

func scanSource(r *store.Rows) (*Source, error) {
	src := &Source{}
	var doc, report []byte
	var due int64
	if err := r.Scan(&doc, &src.sealedPassword, &due, &report); err != nil {
		return nil, err
	}
	err := errors.Join(json.Unmarshal(doc, src), json.Unmarshal(report, &src.Report))
	if due > 0 {
		src.Next = time.UnixMicro(due).UTC()
	}
	return src, err
}

// ListSources lists the directories, by name, without their passwords.
func (s *Service) ListSources(q store.Querier) ([]*Source, error) {
	return store.Collect(q, scanSource, sourceColumns+` ORDER BY name`)
}

// source finds a directory and the password to bind with.
func (s *Service) source(q store.Querier, name string) (*Source, string, error) {
	list, err := store.Collect(q, scanSource, sourceColumns+` WHERE name = ?`, name)
	if err != nil {
		return nil, "", err
	}
	if len(list) == 0 {
		return nil, "", errNoSource
	}
	password, err := sourceSealing.Open(s.key[:], list[0].sealedPassword, []byte(name))
	return list[0], string(password), err
}

// sourceOf is the source that a person comes from, and her id there; empty if there is
// none. Who came from one that was removed comes from none.
func sourceOf(sn *store.Snapshot, userID string) (name, external string, err error) {
	if _, err := sn.Version(userKey(userID)); err != nil {
		return "", "", err
	}
	err = sn.QueryRow(`SELECT e.source, e.external FROM identity_source_entries e JOIN identity_sources s ON s.name = e.source
		WHERE e.principal = ? AND e.kind = 'USER'`, userID).Scan(&name, &external)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", nil
	}
	return name, external, err
}
