// Package lake answers questions in SQL over the events of one account.
//
// The text comes from callers, and no database ever sees it: it is parsed here into a
// small tree, and the tree is walked for each event. A question only reads, names one
// event data store, and ends after a bounded number of events, rows, bytes and steps,
// or with its context. What it may see is its source's to say: package lake knows
// neither accounts nor permissions. Events are hostile too: who made a call chose much
// of its text.
//
// An auditor must not take a slip for an answer: a column that events do not have, a
// time that is none and a limit that is met are errors, never an empty or short answer.
//
// It is a part of Trino's dialect, which AWS CloudTrail Lake speaks: SELECT with
// DISTINCT, WHERE, GROUP BY, HAVING, ORDER BY and LIMIT over one store; no joins, no
// subqueries, no writing.
package lake
