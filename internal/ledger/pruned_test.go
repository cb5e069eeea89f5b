package ledger_test

import (
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/ledger"
)

// A statement of a pruning is no checkpoint, a checkpoint no statement, and neither is
// another log's.
func TestPrunings(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	signer, err := ledger.NewSigner("bawn.test/log", key)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := signer.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	want := ledger.Pruning{Leaves: 12, Newest: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)}
	signed, err := signer.SignPruning(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := verifier.OpenPruning(signed); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := verifier.Open(signed); err == nil {
		t.Error("it is taken for a checkpoint")
	}
	head, err := signer.Sign(ledger.Checkpoint{Origin: signer.Origin(), Size: 12})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a checkpoint": string(head), "more leaves": strings.Replace(string(signed), "\n12\n", "\n13\n", 1),
		"nothing": "", "no note": "bawn.test/log/pruned\n12\n2026-01-02T03:04:05Z\n",
	} {
		if _, err := verifier.OpenPruning([]byte(text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for _, name := range []string{"bawn.test/log2", "bawn.test/log/pruned", "bawn.test"} {
		other, err := ledger.NewSigner(name, key)
		if err != nil {
			t.Fatal(err)
		}
		foreign, err := other.SignPruning(want)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifier.OpenPruning(foreign); err == nil {
			t.Errorf("that of %s is taken", name)
		}
	}
	for _, none := range []ledger.Pruning{{}, {Leaves: -1}} {
		if _, err := signer.SignPruning(none); err == nil {
			t.Errorf("%+v is signed", none)
		}
	}
}

// Whatever a record says, nobody but the holder of the key states a pruning in it.
func FuzzPruningIn(f *testing.F) {
	signer, err := ledger.NewSigner("bawn.test/log", ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		f.Fatal(err)
	}
	verifier, err := signer.Verifier()
	if err != nil {
		f.Fatal(err)
	}
	want := ledger.Pruning{Leaves: 12, Newest: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	signed, err := signer.SignPruning(want)
	if err != nil {
		f.Fatal(err)
	}
	quoted, err := json.Marshal(string(signed))
	if err != nil {
		f.Fatal(err)
	}
	genuine := []byte(`{"eventName":"PruneRecord","requestParameters":{"statement":` + string(quoted) + `}}`)
	if p, ok := verifier.PruningIn(genuine); !ok || p != want {
		f.Errorf("%+v, %v", p, ok)
	}
	f.Add(genuine)
	f.Add([]byte(`{"eventName":"PruneRecord","requestParameters":null}`))
	f.Add([]byte(`"PruneRecord"`))
	f.Fuzz(func(t *testing.T, record []byte) {
		if p, ok := verifier.PruningIn(record); ok && p != want {
			t.Errorf("%s states %+v", record, p)
		}
	})
}
