package trail_test

import (
	"strings"
	"testing"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store/storetest"
)

// Of two heads of one size that were kept, each counts: that of a history which was
// forged since, in record.head say, does not hide the other.
func TestVerifyTwoHeadsOfOneSize(t *testing.T) {
	s, signer := storetest.SQLite(t), newSigner(t)
	tr := newTrail(t, s, signer)
	for i := range 5 {
		add(t, s, tr, minute(i))
	}
	must(t, tr.Seal(t.Context()))
	here, err := tr.Checkpoint(t.Context())
	must(t, err)
	elsewhere, err := signer.Sign(ledger.Checkpoint{Origin: signer.Origin(), Size: 5, Root: ledger.Hash{1}})
	must(t, err)
	must(t, tr.Verify(t.Context(), here, here))
	for _, known := range [][][]byte{{here, elsewhere}, {elsewhere, here}} {
		if err := tr.Verify(t.Context(), known...); err == nil || !strings.Contains(err.Error(), "the first 5 records are not those") {
			t.Error(err)
		}
	}
}
