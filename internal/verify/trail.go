package verify

import (
	"cmp"
	"compress/gzip"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// A Trail is what a trail of CloudTrail wrote to its bucket: log files, and digests that
// sign them and each other. Files has a file for each object, under its key.
type Trail struct {
	Files fs.FS
	Keys  Keys
	// Newest is the signature of the newest digest of the one chain in Files, which stands
	// in the metadata of its object; empty if it is in a file beside the digest.
	Newest string
}

// Keys are the public keys of digests, by fingerprint.
type Keys map[string]*rsa.PublicKey

// ParseKeys reads an answer of ListPublicKeys.
func ParseKeys(data []byte) (Keys, error) {
	var list struct {
		PublicKeyList []struct {
			Value       []byte
			Fingerprint string
		}
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("not an answer of ListPublicKeys: %w", err)
	}
	keys := Keys{}
	for _, k := range list.PublicKeyList {
		key, err := x509.ParsePKCS1PublicKey(k.Value)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.Fingerprint, err)
		}
		keys[k.Fingerprint] = key
	}
	if len(keys) == 0 {
		return nil, errors.New("no keys in the answer of ListPublicKeys")
	}
	return keys, nil
}

const (
	maxDigest = 64 << 20
	maxLog    = 256 << 20
)

// digest is a digest file. Members are as AWS writes them.
type digest struct {
	Start             time.Time `json:"digestStartTime"`
	End               time.Time `json:"digestEndTime"`
	EndText           string    `json:"-"`
	Bucket            string    `json:"digestS3Bucket"`
	Object            string    `json:"digestS3Object"`
	Fingerprint       string    `json:"digestPublicKeyFingerprint"`
	Algorithm         string    `json:"digestSignatureAlgorithm"`
	PreviousBucket    *string   `json:"previousDigestS3Bucket"`
	PreviousObject    *string   `json:"previousDigestS3Object"`
	PreviousHash      *string   `json:"previousDigestHashValue"`
	PreviousSignature *string   `json:"previousDigestSignature"`
	Logs              []struct {
		Bucket string `json:"s3Bucket"`
		Object string `json:"s3Object"`
		Hash   string `json:"hashValue"`
	} `json:"logFiles"`

	key string // where it lies
	sum string // hex SHA-256 of its text
}

var (
	digestKey = regexp.MustCompile(`^(|.*/)AWSLogs/(o-[a-z0-9]+/)?([0-9]{12})/CloudTrail-Digest/([a-z0-9-]+)/[0-9/]+/[0-9]{12}_CloudTrail-Digest_[a-z0-9-]+_(.+)_[a-z0-9-]+_([0-9]{8}T[0-9]{6}Z)\.json\.gz$`)
	logKey    = regexp.MustCompile(`^(|.*/)AWSLogs/(o-[a-z0-9]+/)?([0-9]{12})/CloudTrail/([a-z0-9-]+)/[0-9/]+/[0-9]{12}_CloudTrail_[a-z0-9-]+_([0-9]{8}T[0-9]{4}Z)_[A-Za-z0-9]+\.json\.gz$`)
)

// A chain is of one trail in one account and region, below one prefix.
type chain struct{ place, trail string }

// placeOf is what log files and the digests over them have in common.
func placeOf(match []string) string {
	return match[1] + "AWSLogs/" + match[2] + match[3] + "/" + match[4]
}

// Check checks every chain of digests and every log file in Files.
func (t Trail) Check() *Report {
	r := newReport("trail")
	chains := map[chain][]string{}
	logs := map[string]bool{} // whether a digest names it
	err := fs.WalkDir(t.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if m := digestKey.FindStringSubmatch(name); m != nil {
			c := chain{placeOf(m), m[5]}
			chains[c] = append(chains[c], name)
		} else if logKey.MatchString(name) {
			logs[name] = false
		}
		return nil
	})
	if err != nil {
		r.problem(".", "%v", err)
	}
	if len(chains) == 0 {
		r.problem(".", "there is no digest file below AWSLogs/ACCOUNT/CloudTrail-Digest/")
		return r
	}
	if t.Newest != "" && len(chains) > 1 {
		r.problem(".", "there are %d chains of digests: give each newest digest its signature in a file", len(chains))
		return r
	}
	covered := map[string]string{} // to when the digests of a place go
	gaps := map[string][]gap{}
	for _, c := range slices.SortedFunc(maps.Keys(chains), func(a, b chain) int {
		return cmp.Or(strings.Compare(a.place, b.place), strings.Compare(a.trail, b.trail))
	}) {
		slices.SortFunc(chains[c], func(a, b string) int { return strings.Compare(stamp(b), stamp(a)) })
		covered[c.place] = max(covered[c.place], stamp(chains[c][0]))
		gaps[c.place] = append(gaps[c.place], t.chain(r, chains[c], logs)...)
	}
	t.strangers(r, logs, covered, gaps)
	return r
}

// A gap is where a chain has no digest that can be read, or none that follows on the
// one before: what lies in it was perhaps delivered, and perhaps not. It goes from the
// beginning of the digest before it, for files that were put late, both as in names.
type gap struct{ from, to string }

const minute = "20060102T1504"

// chain checks the digests of one chain, newest first, and tells where it has gaps.
func (t Trail) chain(r *Report, names []string, logs map[string]bool) (gaps []gap) {
	var next *digest
	until := "" // the end of a gap of which the beginning is not found yet
	there := map[string]bool{}
	for _, name := range names {
		there[name] = true
	}
	for i, name := range names {
		d, err := t.digest(name)
		if err != nil {
			r.problem(name, "%v", err)
			until = cmp.Or(until, stamp(name))
			next = nil
			continue
		}
		signature := ""
		switch {
		case i == 0:
			signature = t.newest(r, name)
		case next == nil: // the digest after it cannot be read: that was said
			signature = t.beside(name)
		case next.PreviousObject == nil:
			r.note("%s begins a chain of its own: the trail had stopped, or is another", next.key)
			signature = t.newest(r, name)
		case *next.PreviousObject != name:
			missing := *next.PreviousObject
			until = next.Start.UTC().Format(minute)
			if !there[missing] {
				r.problem(missing, "the digest is missing: %s follows it", next.key)
			} else {
				r.problem(name, "the digest is out of order: %s follows %s", next.key, missing)
			}
			signature = t.beside(name)
		default:
			signature = deref(next.PreviousSignature)
			if deref(next.PreviousHash) != d.sum {
				r.problem(name, "the digest was changed: %s has another hash of it", next.key)
			}
			if next.Start.Before(d.End) {
				r.problem(name, "it ends after %s begins", next.key)
			}
		}
		t.verify(r, d, signature)
		t.logs(r, d, logs)
		if until != "" {
			gaps, until = append(gaps, gap{d.Start.UTC().Format(minute), until}), ""
		}
		next = d
	}
	if next != nil && next.PreviousObject != nil {
		r.problem(*next.PreviousObject, "the digest is missing: %s follows it", next.key)
		until = next.Start.UTC().Format(minute)
	}
	if until != "" {
		gaps = append(gaps, gap{"", until})
	}
	return gaps
}

// stamp is the time in a digest's or log's name.
func stamp(name string) string {
	if m := digestKey.FindStringSubmatch(name); m != nil {
		return m[6]
	}
	if m := logKey.FindStringSubmatch(name); m != nil {
		return m[5]
	}
	return ""
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// beside is the signature in a file of its own, DIGEST.signature.
func (t Trail) beside(name string) string {
	raw, err := readFile(t.Files, name+".signature", 4<<10)
	if err != nil {
		return ""
	}
	return strings.Trim(string(raw), " \t\r\n\"")
}

func (t Trail) newest(r *Report, name string) string {
	signature := cmp.Or(t.beside(name), t.Newest)
	if signature == "" {
		r.problem(name, "its signature is not here: it stands in the object's metadata; put it into %s.signature", name)
	}
	return signature
}

// digest reads one and checks that it lies where it says.
func (t Trail) digest(name string) (*digest, error) {
	text, err := t.unzip(name, maxDigest)
	if err != nil {
		return nil, err
	}
	d := &digest{key: name}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("not a digest: %w", err)
	}
	var times struct {
		End string `json:"digestEndTime"`
	}
	if err := json.Unmarshal(text, &times); err != nil {
		return nil, fmt.Errorf("not a digest: %w", err)
	}
	sum := sha256.Sum256(text)
	d.EndText, d.sum = times.End, hex.EncodeToString(sum[:])
	if d.Object != name {
		return nil, fmt.Errorf("the digest was moved: it was written as %s", d.Object)
	}
	return d, nil
}

func (t Trail) unzip(name string, limit int64) ([]byte, error) {
	f, err := open(t.Files, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	text, err := readAll(z, name, limit)
	return text, errors.Join(err, z.Close())
}

// verify checks a digest's own signature. Without one, what it lacks was said.
func (t Trail) verify(r *Report, d *digest, signature string) {
	if signature == "" {
		return
	}
	key, ok := t.Keys[d.Fingerprint]
	if !ok {
		r.problem(d.key, "it is signed with key %s, which is not among those given", d.Fingerprint)
		return
	}
	raw, err := hex.DecodeString(signature)
	previous := "null"
	if d.PreviousSignature != nil {
		previous = *d.PreviousSignature
	}
	said := sha256.Sum256([]byte(d.EndText + "\n" + d.Bucket + "/" + d.Object + "\n" + d.sum + "\n" + previous))
	if err != nil || rsa.VerifyPKCS1v15(key, crypto.SHA256, said[:], raw) != nil {
		r.problem(d.key, "the digest was changed: its signature does not hold")
		return
	}
	r.Checked++
}

// logs checks the log files that a digest names.
func (t Trail) logs(r *Report, d *digest, logs map[string]bool) {
	for _, l := range d.Logs {
		if logs[l.Object] { // nor does it make us read a large one again and again
			r.problem(l.Object, "the log file is named twice, now by %s", d.key)
			continue
		}
		logs[l.Object] = true
		f, err := open(t.Files, l.Object)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.problem(l.Object, "the log file is missing: %s names it", d.key)
			continue
		case err != nil:
			r.problem(l.Object, "%v", err)
			continue
		}
		sum, err := hashOf(f)
		f.Close()
		switch {
		case err != nil:
			r.problem(l.Object, "the log file was changed: %v", err)
		case sum != l.Hash:
			r.problem(l.Object, "the log file was changed: %s has another hash of it", d.key)
		default:
			r.Checked++
		}
	}
}

func hashOf(f io.Reader) (string, error) {
	z, err := gzip.NewReader(f)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	n, err := io.Copy(hash, io.LimitReader(z, maxLog+1))
	if err == nil && n > maxLog {
		err = fmt.Errorf("more than %d bytes", maxLog)
	}
	return hex.EncodeToString(hash.Sum(nil)), err
}

// strangers are log files that no digest names. The newest have none yet.
func (t Trail) strangers(r *Report, logs map[string]bool, covered map[string]string, gaps map[string][]gap) {
	waiting, unproven := 0, 0
	for _, name := range slices.Sorted(maps.Keys(logs)) {
		if named := logs[name]; named {
			continue
		}
		if _, err := fs.Stat(t.Files, name); err != nil {
			continue // a digest's word; it was said
		}
		m := logKey.FindStringSubmatch(name)
		end := covered[placeOf(m)]
		if len(end) < 13 || m[5][:13] >= end[:13] {
			waiting++
			continue
		}
		if at := m[5][:13]; slices.ContainsFunc(gaps[placeOf(m)], func(g gap) bool { return g.from <= at && at <= g.to[:13] }) {
			unproven++
			continue
		}
		r.problem(name, "the log file was inserted: no digest names it")
	}
	if unproven > 0 {
		r.note("%d log files lie where a digest is missing or was changed, and cannot be checked", unproven)
	}
	if waiting > 0 {
		r.note("%d log files are newer than the newest digest, and not checked", waiting)
	}
}
