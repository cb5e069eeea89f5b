package store

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	sqlitedriver "modernc.org/sqlite"
)

var (
	// ErrChanged says that something a decision read has changed since: decide
	// again on a new snapshot.
	ErrChanged = errors.New("store: what the decision read has changed")
	// ErrRowsOpen says that a statement was issued while rows of an earlier one
	// were still open.
	ErrRowsOpen = errors.New("store: rows of an earlier query are still open")
	// ErrDone says that a snapshot or transaction was used after its end.
	ErrDone = errors.New("store: used after its end")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("store: closed")
	// ErrNoSpace says that the file system has less free space than the store
	// demands before it accepts a change.
	ErrNoSpace = errors.New("store: too little free disk space")
	// ErrNewerSchema says that the database was migrated by a newer release.
	ErrNewerSchema = errors.New("store: the database has a newer schema than this release")
	// ErrLocked says that another process has the database file open.
	ErrLocked = errors.New("store: another process uses this database")
)

// PanicError is what Update returns when its function panicked. The change was
// rolled back.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("store: panic in an update: %v", e.Value) }

// Extended result codes of SQLite and SQLSTATEs of PostgreSQL that matter here.
const (
	sqliteFull       = 13
	sqliteBusy       = 5
	sqliteUnique     = 2067
	sqlitePrimaryKey = 1555

	pgUnique        = "23505"
	pgSerialization = "40001"
	pgDeadlock      = "40P01"
	pgLocked        = "55P03"
)

// IsDuplicate reports whether err says that a row with this unique key exists.
func IsDuplicate(err error) bool {
	if e, ok := errors.AsType[*sqlitedriver.Error](err); ok {
		return e.Code() == sqliteUnique || e.Code() == sqlitePrimaryKey
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == pgUnique
	}
	return false
}

func retryable(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == pgSerialization || e.Code == pgDeadlock || e.Code == pgLocked)
}

// fatal reports whether a SQLite error means that the file can no longer be
// trusted to hold what was written: after a failed write or fsync the kernel may
// have dropped the pages and will report success the next time.
func fatal(err error) bool {
	e, ok := errors.AsType[*sqlitedriver.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff {
	case 8, 10, 11, 14, 26: // READONLY, IOERR, CORRUPT, CANTOPEN, NOTADB
		return true
	}
	return false
}

// Away says whether an error is that the database does not answer now, or that it ended
// a connection: the same may succeed later, and whether it was done nobody was told. The
// embedded database is never away.
func Away(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		// Connections lost, too many of them, the server going down or coming up.
		return strings.HasPrefix(e.Code, "08") || strings.HasPrefix(e.Code, "53") || strings.HasPrefix(e.Code, "57P")
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.ErrUnexpectedEOF) ||
		pgconn.SafeToRetry(err) || pgconn.Timeout(err)
}
