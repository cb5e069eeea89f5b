// Package store keeps Bawn's state in one SQL database, SQLite or PostgreSQL,
// behind one concrete type.
//
// It gives three things that the rest of the house is built on: a [Snapshot]
// (one consistent, read-only view for one call), an [Store.Update] (one change,
// answered only when it is durable) and versions (one number per entity that
// decisions read, so that a change can prove that what it was decided on still
// holds, and so that a cache can never serve yesterday's policy). Of the embedded
// database, which this process alone changes, it keeps versions in memory too: who
// needs no rows takes a [Store.Glance] and asks the database nothing.
//
// Queries use '?' placeholders and SQL that both databases take. Both are held
// to the stricter of their habits: while rows are open no second statement runs
// on the same snapshot or transaction ([ErrRowsOpen]; see [Collect]), and a
// statement that failed dooms its transaction, whatever the function returns.
// Text compares by bytes and LIKE is case-sensitive on both; text must be valid
// UTF-8 without NUL. Times are stored as integers.
//
// Trust: the store trusts the SQL that it is given (it comes from this module's
// source) and the database's file or server; it trusts no argument. An attacker
// who controls arguments can make rows, but no statement. An attacker who can
// write the database file owns the state; the ledger in package trail is what
// notices an edited audit record.
package store
