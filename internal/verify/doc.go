// Package verify checks what left the house: an exported log, one record with its
// proof, two checkpoints, the files of a trail. It needs public keys and files, no
// server and no database.
//
// Trust: the keys that it is given, which must not come from where the files do. The
// files are the attacker's: whoever can change all of them, but has none of the private
// keys, cannot have a change, a gap, an insertion or another order pass for the log that
// was signed. Cutting off the newest records shows against a checkpoint kept elsewhere
// only. What a file says is never interpreted, only hashed, compared and bounded.
package verify
