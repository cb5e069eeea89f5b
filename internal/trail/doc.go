// Package trail is the audit of every call: it appends records in the
// transaction of the change that they tell of, seals them into the ledger within
// a second, and finds and follows them.
//
// Appending is one INSERT into a table without indexes, which those who wait for
// the same commit share; the event in it is compressed. The sealer gives leaf numbers
// in insertion order, stores the tree's hashes, signs a checkpoint and writes the
// lookup index, all in one later transaction, with rows that each hold many leaves,
// hashes or places of a term.
//
// Trust: package store for durability, the signer's key for proof. Strings in a
// record come from attackers; each is bounded and must be UTF-8, and none is
// interpreted. An attacker who can edit the database can hide a record only
// until [Trail.Verify] runs, which names the first wrong record; what was
// committed in the last second and is not sealed yet, he can take away or store again
// unseen.
package trail
