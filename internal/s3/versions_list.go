package s3

import (
	"context"
	"math"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

func (s *Service) listingVersions(_ context.Context, c *api.Call, in *s3.ListObjectVersionsInput) (*found, []api.Demand, error) {
	return s.listingOf(c, "ListBucketVersions", in.Bucket, in.ExpectedBucketOwner, in.Prefix, in.Delimiter, in.MaxKeys)
}

func (s *Service) listVersions(_ context.Context, c *api.Call, in *s3.ListObjectVersionsInput, f *found) (*s3.ListObjectVersionsOutput, error) {
	page, err := newListing(c, in.Bucket, in.Prefix, in.Delimiter, in.KeyMarker, in.MaxKeys)
	if err != nil {
		return nil, err
	}
	l := &versionListing{listing: *page}
	from, err := l.start(in.KeyMarker, in.VersionIdMarker)
	if err != nil {
		return nil, err
	}
	more, err := l.run(from)
	if err != nil {
		return nil, err
	}
	return l.answer(in, f, more), nil
}

// A versionPlace is where a listing of versions goes on: at versions of a key that are
// older than seq.
type versionPlace struct {
	key string
	seq int64
}

const newest = math.MaxInt64 // a place before all versions of a key

// A version is an object or delete marker of the listing. Of a key's versions the
// newest comes first.
type version struct {
	key string
	object
	current bool // it is what the key stands for
}

// A versionListing walks a bucket's versions in order. Its pages cost what they hold.
type versionListing struct {
	listing
	versions []version
	end      version // that the page ends with; without an id: a common prefix
}

// start is the place behind the version that ended the page before. Is that gone, its
// id still tells the place; a null version does not, and its key is listed from the
// start.
func (l *versionListing) start(key, id string) (versionPlace, error) {
	first := versionPlace{l.prefix, newest}
	switch {
	case key == "" && id != "":
		return first, badArgument("version-id-marker", id, "A version-id marker cannot be specified without a key marker.")
	case key == "" || key < l.prefix:
		return first, nil
	case id == "":
		return versionPlace{string(l.behindMarker(key)), newest}, nil
	}
	if err := checkVersion(id); err != nil {
		return first, err
	}
	o, err := versionRow(l.sn, l.bucket, key, id)
	if err != nil {
		return first, err
	}
	if o != nil {
		return versionPlace{key, o.seq}, nil
	}
	if seq, ok := placeOf(id); ok {
		return versionPlace{key, seq}, nil
	}
	return versionPlace{key, newest}, nil
}

// run fills the page with what is not before from, and answers whether there is more.
func (l *versionListing) run(from versionPlace) (more bool, err error) {
	if l.limit == 0 {
		return false, nil
	}
	seen := "" // the key whose newest version has been listed
	if from.seq != newest {
		seen = from.key
	}
	batch := l.limit + 1
	if l.delimiter != "" {
		batch = 8 // as in listing.run
	}
	for {
		rows, err := l.read(from, batch)
		if err != nil {
			return false, err
		}
		skipped := false
		for i := range rows {
			v := &rows[i]
			if v.key < from.key {
				continue // below a common prefix that has been seen
			}
			if len(l.versions)+len(l.prefixes) == l.limit {
				return true, nil
			}
			if common, ok := l.common(v.key); ok {
				l.prefixes = append(l.prefixes, common)
				l.end = version{key: common}
				from, skipped = versionPlace{string(behind([]byte(common))), newest}, true
				continue
			}
			v.current = v.current || v.marker && v.key != seen
			seen = v.key
			l.versions = append(l.versions, *v)
			from, l.end = versionPlace{v.key, v.seq}, *v
		}
		switch {
		case len(rows) < batch:
			return false, nil
		case skipped:
			batch = 8
		default:
			batch = min(batch*4, maxKeys+1)
		}
	}
}

// read merges the newest versions with the others: both are read in order, and no
// more of either than the page may need.
func (l *versionListing) read(from versionPlace, limit int) ([]version, error) {
	const columns = "version, seq, etag, size, modified, algorithm, key FROM "
	end := string(behind([]byte(l.prefix)))
	shown, err := l.query(true, "SELECT FALSE, "+columns+`s3_objects
		WHERE bucket = ? AND key >= ? AND key < ? AND (key > ? OR seq < ?) ORDER BY key LIMIT ?`,
		l.bucket, []byte(from.key), []byte(end), []byte(from.key), from.seq, limit)
	if err != nil {
		return nil, err
	}
	hidden, err := l.query(false, "SELECT marker, "+columns+"s3_versions WHERE bucket = ? AND key = ? AND key < ? AND seq < ? ORDER BY seq DESC LIMIT ?",
		l.bucket, []byte(from.key), []byte(end), from.seq, limit)
	if err != nil {
		return nil, err
	}
	if left := limit - len(hidden); left > 0 {
		later, err := l.query(false, "SELECT marker, "+columns+"s3_versions WHERE bucket = ? AND key > ? AND key < ? ORDER BY key, seq DESC LIMIT ?",
			l.bucket, []byte(from.key), []byte(end), left)
		if err != nil {
			return nil, err
		}
		hidden = append(hidden, later...)
	}
	merged := make([]version, 0, min(limit, len(shown)+len(hidden)))
	for len(merged) < limit && len(shown)+len(hidden) > 0 {
		from := &hidden
		if len(hidden) == 0 || len(shown) > 0 && shown[0].before(&hidden[0]) {
			from = &shown
		}
		merged = append(merged, (*from)[0])
		*from = (*from)[1:]
	}
	return merged, nil
}

func (v *version) before(w *version) bool {
	return v.key < w.key || v.key == w.key && v.seq > w.seq
}

func (l *versionListing) query(current bool, query string, args ...any) ([]version, error) {
	return store.Collect(l.sn, func(rows *store.Rows) (version, error) {
		v := version{current: current}
		var key []byte
		var modified int64
		err := rows.Scan(&v.marker, &v.version, &v.seq, &v.etag, &v.size, &modified, &v.algorithm, &key)
		v.key, v.modified = string(key), time.UnixMicro(modified).UTC()
		l.rows++
		return v, err
	}, query, args...)
}
