package sagemaker

import (
	"database/sql"
	"errors"
	"net/netip"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/spec"
	"bawn.dev/internal/store"
)

// Migrations are the tables of the service. id is the workload's on the host; name
// is in lower case, as in the ARN. Times are in microseconds, 0 for never.
func Migrations() []store.Migration {
	return []store.Migration{{Room: "sagemaker", Version: 1, SQL: []string{
		`CREATE TABLE sagemaker_jobs (
			id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, shown TEXT NOT NULL, phase TEXT NOT NULL,
			status TEXT NOT NULL, secondary TEXT NOT NULL, transitions TEXT NOT NULL,
			role_id TEXT NOT NULL, role TEXT NOT NULL, person TEXT NOT NULL,
			created INTEGER NOT NULL, modified INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL,
			request BLOB NOT NULL, reason BLOB, outcome TEXT NOT NULL, model TEXT NOT NULL,
			kms_key TEXT NOT NULL, volume_key BLOB,
			vpc TEXT NOT NULL, address TEXT NOT NULL, network TEXT NOT NULL,
			log_stream TEXT NOT NULL, log_next INTEGER NOT NULL,
			UNIQUE (account, name)) WITHOUT ROWID`,
		`CREATE INDEX sagemaker_jobs_created ON sagemaker_jobs (account, created, name)`,
		`CREATE INDEX sagemaker_jobs_phase ON sagemaker_jobs (phase, created)`,
		`CREATE INDEX sagemaker_jobs_place ON sagemaker_jobs (vpc, address)`,
		`CREATE TABLE sagemaker_tags (
			resource TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (resource, name)) WITHOUT ROWID`,
	}}}
}

const jobColumns = `id, account, name, shown, phase, status, secondary, transitions, role_id, role, person,
	created, modified, started, ended, request, reason, outcome, model, kms_key, volume_key, vpc, address, network, log_stream, log_next`

func (s *Service) scanJob(scan func(...any) error) (*job, error) {
	j := &job{}
	var created, modified, started, ended int64
	var transitions, person, network, address string
	err := scan(&j.id, &j.account, &j.name, &j.shown, &j.phase, &j.status, &j.secondary, &transitions, &j.roleID, &j.role, &person,
		&created, &modified, &started, &ended, &j.request, &j.reason, &j.outcome, &j.model, &j.kmsKey, &j.volumeKey,
		&j.vpc, &address, &network, &j.logStream, &j.logNext)
	if err != nil {
		return nil, err
	}
	j.arn = s.jobARN(j.account, j.name)
	j.created, j.modified, j.started, j.ended = moment(created), moment(modified), moment(started), moment(ended)
	for _, text := range []struct {
		text string
		into any
	}{{transitions, &j.transitions}, {person, &j.person}, {network, &j.network}} {
		if text.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text.text), text.into); err != nil {
			return nil, err
		}
	}
	return j, nil
}

func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func (s *Service) jobWhere(q store.Querier, where string, args ...any) (*job, error) {
	j, err := s.scanJob(q.QueryRow("SELECT "+jobColumns+" FROM sagemaker_jobs WHERE "+where, args...).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return j, err
}

// jobNamed reads a job by its name in lower case, or answers nil.
func (s *Service) jobNamed(q store.Querier, account, name string) (*job, error) {
	return s.jobWhere(q, "account = ? AND name = ?", account, name)
}

// jobByID reads a job by its workload's id, or answers nil.
func (s *Service) jobByID(q store.Querier, id string) (*job, error) {
	return s.jobWhere(q, "id = ?", id)
}

// save writes a job's row, new or changed.
func (j *job) save(tx *store.Tx) error {
	texts := [3]string{}
	for i, v := range []any{j.transitions, j.person, j.network} {
		if p, ok := v.(*api.Person); ok && p == nil {
			continue
		}
		if n, ok := v.(*spec.Network); ok && n == nil {
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		texts[i] = string(b)
	}
	address := ""
	if j.network != nil && j.network.Interface.Address != (netip.Addr{}) {
		address = j.network.Interface.Address.String()
	}
	_, err := tx.Exec(`INSERT INTO sagemaker_jobs (`+jobColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET phase = excluded.phase, status = excluded.status, secondary = excluded.secondary,
			transitions = excluded.transitions, modified = excluded.modified, started = excluded.started, ended = excluded.ended,
			reason = excluded.reason, outcome = excluded.outcome, model = excluded.model, kms_key = excluded.kms_key,
			volume_key = excluded.volume_key, vpc = excluded.vpc, address = excluded.address, network = excluded.network,
			log_stream = excluded.log_stream, log_next = excluded.log_next`,
		j.id, j.account, j.name, j.shown, string(j.phase), string(j.status), string(j.secondary), texts[0], j.roleID, j.role, texts[1],
		micros(j.created), micros(j.modified), micros(j.started), micros(j.ended), j.request, j.reason, j.outcome, j.model,
		j.kmsKey, j.volumeKey, j.vpc, address, texts[2], j.logStream, j.logNext)
	if err != nil {
		return err
	}
	return tx.Touch(versionKey(j.account, j.name))
}

func tagsOf(q store.Querier, resource string) (map[string]string, error) {
	tags := map[string]string{}
	_, err := store.Collect(q, func(r *store.Rows) (struct{}, error) {
		var name, value string
		err := r.Scan(&name, &value)
		tags[name] = value
		return struct{}{}, err
	}, "SELECT name, value FROM sagemaker_tags WHERE resource = ?", resource)
	return tags, err
}

func putTag(tx *store.Tx, resource, name, value string) error {
	_, err := tx.Exec(`INSERT INTO sagemaker_tags (resource, name, value) VALUES (?, ?, ?)
		ON CONFLICT (resource, name) DO UPDATE SET value = excluded.value`, resource, name, value)
	return err
}
