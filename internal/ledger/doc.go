// Package ledger is the tamper-evident log as pure functions: leaves, tree
// heads, signed checkpoints and proofs, after RFC 6962 and the signed-note
// format of the Go checksum database (golang.org/x/mod/sumdb/tlog and note), so
// that existing tools can check it.
//
// It does no I/O and keeps nothing; callers store hashes and checkpoints.
//
// Trust: only the verifier's public key. An attacker who controls every stored
// record, hash and proof, but not the signing key, cannot make Verify accept a
// record that was not in the tree that was signed, nor two checkpoints of which
// the later is not an extension of the earlier. An attacker who has the signing
// key too can write another history from the start; a copy of a checkpoint kept
// elsewhere exposes it.
package ledger
