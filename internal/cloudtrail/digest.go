package cloudtrail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/store"
)

// digestHour is the time that a digest tells of.
const digestHour = time.Hour

// A digest is AWS's file of this name.
type digest struct {
	Account               string       `json:"awsAccountId"`
	Start                 string       `json:"digestStartTime"`
	End                   string       `json:"digestEndTime"`
	Bucket                string       `json:"digestS3Bucket"`
	Object                string       `json:"digestS3Object"`
	Fingerprint           string       `json:"digestPublicKeyFingerprint"`
	Algorithm             string       `json:"digestSignatureAlgorithm"`
	Newest                *string      `json:"newestEventTime"`
	Oldest                *string      `json:"oldestEventTime"`
	PreviousBucket        *string      `json:"previousDigestS3Bucket"`
	PreviousObject        *string      `json:"previousDigestS3Object"`
	PreviousHash          *string      `json:"previousDigestHashValue"`
	PreviousHashAlgorithm *string      `json:"previousDigestHashAlgorithm"`
	PreviousSignature     *string      `json:"previousDigestSignature"`
	Files                 []digestFile `json:"logFiles"`
}

type digestFile struct {
	Bucket    string `json:"s3Bucket"`
	Object    string `json:"s3Object"`
	Hash      string `json:"hashValue"`
	Algorithm string `json:"hashAlgorithm"`
	Newest    string `json:"newestEventTime"`
	Oldest    string `json:"oldestEventTime"`
}

const (
	hashAlgorithm      = "SHA-256"
	signatureAlgorithm = "SHA256withRSA"
)

// A chain is the last digest of an account; object is empty before the first.
type chain struct {
	account                         string
	since                           int64
	bucket, object, hash, signature string
}

func chains(q store.Querier, run string) ([]*chain, error) {
	return store.Collect(q, func(r *store.Rows) (*chain, error) {
		c := &chain{}
		return c, r.Scan(&c.account, &c.since, &c.bucket, &c.object, &c.hash, &c.signature)
	}, "SELECT account, since, bucket, object, hash, signature FROM cloudtrail_chains WHERE run = ? ORDER BY account", run)
}

// digest signs for the hours that are over and, once a run has ended, for the rest.
func (s *Service) digest(ctx context.Context, st *store.Store, r *run) error {
	all, err := s.chained(ctx, st, r)
	if err != nil {
		return err
	}
	var failures []error
	for _, c := range all {
		if err := s.follow(ctx, st, r, c); err != nil {
			failures = append(failures, err, s.tellDigest(ctx, st, r, err))
		}
	}
	return errors.Join(failures...)
}

// follow makes the digests of one account that are due.
func (s *Service) follow(ctx context.Context, st *store.Store, r *run, c *chain) error {
	for {
		end, last := moment(c.since).Add(digestHour).UnixMicro(), s.Now().UnixMicro()
		if r.ended != 0 {
			last = whole(r.ended)
			end = min(end, last)
		}
		if end > last || end <= c.since {
			return nil
		}
		if err := s.seal(ctx, st, r, c, end); err != nil {
			return err
		}
	}
}

// whole is a time in whole seconds, which is all that digests can say.
func whole(micro int64) int64 {
	second := time.Second.Microseconds()
	return (micro + second - 1) / second * second
}

// chained answers the chains of a run, one for each account that it may log, and makes
// those that are missing.
func (s *Service) chained(ctx context.Context, st *store.Store, r *run) ([]*chain, error) {
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	have, err := chains(sn, r.id)
	if err != nil {
		return nil, err
	}
	fresh, err := store.Collect(sn, func(r *store.Rows) (*chain, error) {
		c := &chain{}
		return c, r.Scan(&c.account, &c.since)
	}, `SELECT account, MIN(delivered) FROM cloudtrail_files WHERE run = ? AND delivered > 0 GROUP BY account ORDER BY account`, r.id)
	if err != nil {
		return nil, err
	}
	accounts := []string{r.account}
	if r.organization != "" {
		if accounts, err = s.Accounts(sn); err != nil {
			return nil, err
		}
	}
	for _, a := range accounts {
		if r.ended == 0 && !slices.ContainsFunc(fresh, func(c *chain) bool { return c.account == a }) {
			fresh = append(fresh, &chain{account: a, since: s.Now().UnixMicro()})
		}
	}
	fresh = slices.DeleteFunc(fresh, func(c *chain) bool {
		return slices.ContainsFunc(have, func(h *chain) bool { return h.account == c.account })
	})
	for _, c := range fresh {
		if len(have) == 0 {
			c.since = r.begun
		}
		c.since -= c.since % time.Second.Microseconds()
	}
	sn.Close()
	if len(fresh) == 0 {
		return have, nil
	}
	return append(have, fresh...), st.Update(ctx, func(tx *store.Tx) error {
		for _, c := range fresh {
			_, err := tx.Exec(`INSERT INTO cloudtrail_chains (run, account, since, bucket, object, hash, signature) VALUES (?, ?, ?, '', '', '', '')
				ON CONFLICT DO NOTHING`, r.id, c.account, c.since)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// seal delivers the digest of one account from where its chain is to end. Interrupted,
// it makes the same digest again.
func (s *Service) seal(ctx context.Context, st *store.Store, r *run, c *chain, end int64) error {
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return err
	}
	list, err := files(sn, "run = ? AND account = ? AND delivered > 0 AND delivered <= ?", r.id, c.account, end)
	sn.Close()
	if err != nil {
		return err
	}
	k, err := s.signer(ctx, end)
	if err != nil {
		return err
	}
	d := s.compose(r, c, end, list)
	d.Fingerprint = k.fingerprint
	content, err := json.Marshal(d)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	next := chain{account: c.account, since: end, bucket: d.Bucket, object: d.Object, hash: hex.EncodeToString(sum[:])}
	previous := "null"
	if d.PreviousSignature != nil {
		previous = *d.PreviousSignature
	}
	if next.signature, err = s.sign(k, fmt.Sprintf("%s\n%s/%s\n%s\n%s", d.End, d.Bucket, d.Object, next.hash, previous)); err != nil {
		return err
	}
	packed, err := zipped(content)
	if err != nil {
		return err
	}
	err = s.put(ctx, s.place(r, d.Object), packed, map[string]string{"signature": next.signature, "signature-algorithm": signatureAlgorithm})
	if err != nil {
		return err
	}
	now := s.Now().UnixMicro()
	err = st.Update(ctx, func(tx *store.Tx) error {
		for _, f := range list {
			if _, err := tx.Exec("DELETE FROM cloudtrail_files WHERE seq = ?", f.seq); err != nil {
				return err
			}
		}
		_, err := tx.Exec("UPDATE cloudtrail_chains SET since = ?, bucket = ?, object = ?, hash = ?, signature = ? WHERE run = ? AND account = ? AND since = ?",
			next.since, next.bucket, next.object, next.hash, next.signature, r.id, c.account, c.since)
		if err != nil {
			return err
		}
		_, err = tx.Exec("UPDATE cloudtrail_trails SET digested = ?, digest_failure = '' WHERE id = ?", now, r.trail)
		return err
	})
	if err == nil {
		*c = next
	}
	return err
}

// compose is the digest of some files.
func (s *Service) compose(r *run, c *chain, end int64, list []*file) *digest {
	at := moment(end)
	d := &digest{
		Account: c.account, Start: stamp(c.since), End: stamp(end), Bucket: r.bucket, Algorithm: signatureAlgorithm, Files: []digestFile{},
		Object: fmt.Sprintf("%s/%s/%s/%s_CloudTrail-Digest_%s_%s_%s_%s.json.gz", logs(r.prefix, r.organization, c.account, "CloudTrail-Digest"),
			s.Region, at.Format("2006/01/02"), c.account, s.Region, r.name, s.Region, at.Format("20060102T150405Z")),
	}
	if c.object != "" {
		algorithm := hashAlgorithm
		d.PreviousBucket, d.PreviousObject, d.PreviousHash = &c.bucket, &c.object, &c.hash
		d.PreviousHashAlgorithm, d.PreviousSignature = &algorithm, &c.signature
	}
	for _, f := range list {
		d.Files = append(d.Files, digestFile{f.bucket, f.object, f.hash, hashAlgorithm, f.newest, f.oldest})
		if d.Newest == nil || f.newest > *d.Newest {
			d.Newest = &f.newest
		}
		if d.Oldest == nil || f.oldest < *d.Oldest {
			d.Oldest = &f.oldest
		}
	}
	return d
}

func (s *Service) tellDigest(ctx context.Context, st *store.Store, r *run, failure error) error {
	return st.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE cloudtrail_trails SET digest_failure = ? WHERE id = ?", code(failure), r.trail)
		return err
	})
}
