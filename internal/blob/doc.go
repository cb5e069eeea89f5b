// Package blob keeps sealed bytes durably, under names that nobody can guess: in a
// directory, or in a bucket elsewhere.
//
// In a [Dir] a small blob (up to [MaxSmall] bytes) is an entry in an append-only
// segment file; writers that wait at the same time share one fdatasync. A larger blob
// is a file of its own: written under a temporary name, synced, renamed. What is left
// of a segment that is mostly dead is moved ([Dir.Sparse]). In a [Bucket] every blob
// is an object. A [Ref] is returned only once the blob is durable, and is written into
// a database row after that, so that a crash leaves orphans (found by Refs, deleted by
// fsck) and never a row without its bytes.
//
// Trust: the directory, which only this process's user can enter, and callers,
// who seal the content before it comes here. Every path is opened within the
// directory (os.Root) and every Ref is parsed strictly: an attacker who chooses a
// Ref reaches at most another blob, whose random id he would have to know and
// whose content is sealed under another key. An attacker who can write the
// directory can destroy blobs, and cannot forge one: checksums here find torn
// writes and rot, the seal finds malice. Whoever owns the bucket elsewhere is that
// attacker: he sees when blobs come and go, and how long they are. What he answers is
// bounded by what was asked for. The credentials for it are the operator's.
package blob
