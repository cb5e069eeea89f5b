package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// A Location is a bucket elsewhere: s3://BUCKET/PREFIX, with the query parameters
// endpoint (a URL, if it is not AWS's), region and profile.
type Location struct {
	Bucket, Prefix            string
	Endpoint, Region, Profile string
}

// ParseLocation refuses what it does not know, and an endpoint without TLS that is
// not this machine.
func ParseLocation(text string) (Location, error) {
	bad := func(why string) (Location, error) { return Location{}, fmt.Errorf("blob: %q: %s", text, why) }
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return bad("give s3://BUCKET/PREFIX?endpoint=URL&region=REGION&profile=PROFILE")
	}
	l := Location{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	if l.Prefix != "" {
		l.Prefix += "/"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return bad(err.Error())
	}
	for name, values := range query {
		member, known := map[string]*string{"endpoint": &l.Endpoint, "region": &l.Region, "profile": &l.Profile}[name]
		if !known || len(values) != 1 || values[0] == "" {
			return bad("endpoint, region and profile may follow the ?, once each")
		}
		*member = values[0]
	}
	if l.Endpoint != "" {
		e, err := url.Parse(l.Endpoint)
		if err != nil || e.Host == "" || e.User != nil || e.Scheme != "https" && e.Scheme != "http" {
			return bad("the endpoint is no URL")
		}
		ip, err := netip.ParseAddr(e.Hostname())
		if e.Scheme == "http" && (err != nil || !ip.IsLoopback()) {
			return bad("an endpoint without TLS may only be a loopback address")
		}
	}
	return l, nil
}

// Bucket keeps blobs in a bucket elsewhere, each an object with a random name.
// Its methods may be called from many goroutines.
type Bucket struct {
	client *s3.Client
	where  Location
	closed atomic.Bool

	mu     sync.Mutex
	open   map[Ref]int          // readers
	doomed map[Ref]bool         // to be deleted after the last of them
	ended  map[string]time.Time // when uploads in parts ended, of the last hours, by id
}

// OpenBucket opens a bucket with the credentials that the operator's environment or
// files hold, as AWS's own tools find them. owner is of this data directory: the
// prefix belongs to the first who comes, because whoever collects what no row names
// would take everybody else's. Uploads that the last process left unfinished are
// removed.
func OpenBucket(ctx context.Context, where Location, owner string) (*Bucket, error) {
	var options []func(*config.LoadOptions) error
	if where.Region != "" {
		options = append(options, config.WithRegion(where.Region))
	}
	if where.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(where.Profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	b := &Bucket{where: where, open: make(map[Ref]int), doomed: make(map[Ref]bool), ended: make(map[string]time.Time)}
	b.client = s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired // the seal tells more
		if where.Endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = &where.Endpoint, true
		}
	})
	if err := b.own(ctx, owner); err != nil {
		return nil, fmt.Errorf("blob: bucket %s: %w", where.Bucket, err)
	}
	if err := b.tidy(ctx); err != nil {
		return nil, fmt.Errorf("blob: bucket %s: %w", where.Bucket, err)
	}
	return b, nil
}

// ErrOwned says that another data directory keeps its blobs in this place.
var ErrOwned = errors.New("another data directory keeps its bytes below this prefix")

func (b *Bucket) own(ctx context.Context, owner string) error {
	key := b.where.Prefix + "owner"
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.where.Bucket, Key: &key, Body: bytes.NewReader([]byte(owner)), IfNoneMatch: aws.String("*"),
	})
	if err != nil && code(err) != "PreconditionFailed" {
		return err
	}
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.where.Bucket, Key: &key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	first, err := io.ReadAll(io.LimitReader(out.Body, 1024))
	if err == nil && string(first) != owner {
		err = ErrOwned
	}
	return err
}

// tidy removes uploads that were never completed.
func (b *Bucket) tidy(ctx context.Context) error {
	prefix := b.key("")
	pages := s3.NewListMultipartUploadsPaginator(b.client, &s3.ListMultipartUploadsInput{Bucket: &b.where.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, u := range page.Uploads {
			_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.where.Bucket, Key: u.Key, UploadId: u.UploadId})
			if err != nil && code(err) != "NoSuchUpload" {
				return err
			}
		}
	}
	return nil
}

func (b *Bucket) key(id string) string { return b.where.Prefix + "blobs/" + id }

// code is the error code of an answer, or nothing.
func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// missing makes fs.ErrNotExist of an answer that says so.
func missing(err error) error {
	if _, ok := errors.AsType[*types.NoSuchKey](err); ok || code(err) == "NoSuchKey" || code(err) == "NotFound" {
		return fs.ErrNotExist
	}
	return err
}

// Healthy returns nil, or ErrClosed. A bucket that does not answer fails each call
// that needs it, and no others.
func (b *Bucket) Healthy() error {
	if b.closed.Load() {
		return ErrClosed
	}
	return nil
}

// Close ends the use of the bucket.
func (b *Bucket) Close() error {
	b.closed.Store(true)
	return nil
}

// Delete removes a blob, once nobody here reads it. One that is not there is no
// error.
func (b *Bucket) Delete(ctx context.Context, r Ref) error {
	p, err := r.parse()
	if err != nil {
		return err
	}
	if p.object == "" {
		return fs.ErrNotExist
	}
	b.mu.Lock()
	if b.open[r] > 0 {
		b.doomed[r] = true
		b.mu.Unlock()
		return nil
	}
	b.mu.Unlock()
	return b.remove(ctx, p.object)
}

func (b *Bucket) remove(ctx context.Context, id string) error {
	key := b.key(id)
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.where.Bucket, Key: &key})
	if err != nil {
		return fmt.Errorf("blob: delete: %w", err)
	}
	return nil
}

// recall is how long the end of an upload in parts is known: longer than its bytes
// wait for their row.
const recall = 2 * time.Hour

// note remembers that an upload in parts ends now. To AWS such an object is as old as
// the upload's begin, and of a slow one that was long ago.
func (b *Bucket) note(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for other, at := range b.ended {
		if now.Sub(at) > recall {
			delete(b.ended, other)
		}
	}
	b.ended[id] = now
}

// came says when a blob came, of which the bucket says since when it has it.
func (b *Bucket) came(id string, since time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := b.ended[id]; at.After(since) {
		return at
	}
	return since
}

// Refs goes through all blobs of the bucket, in no order.
func (b *Bucket) Refs(ctx context.Context) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		prefix := b.key("")
		pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.where.Bucket, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Stored{}, fmt.Errorf("blob: list: %w", err))
				return
			}
			// Whether a blob is old is said by the clock there, which may be wrong.
			var late time.Duration
			if now, ok := middleware.GetServerTime(page.ResultMetadata); ok {
				late = time.Since(now)
			}
			for _, o := range page.Contents {
				id := strings.TrimPrefix(aws.ToString(o.Key), prefix)
				if _, ok := parseID(id); !ok {
					continue // not ours
				}
				size := aws.ToInt64(o.Size)
				if !yield(Stored{place{object: id, length: size}.ref(), size, b.came(id, aws.ToTime(o.LastModified).Add(late))}, nil) {
					return
				}
			}
		}
	}
}
