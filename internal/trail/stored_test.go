package trail

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// What was stored with a text is read with it: nobody edits one.
func TestTextIsTheReleasedOne(t *testing.T) {
	sum := sha256.Sum256(text1)
	if got := hex.EncodeToString(sum[:]); got != "54fee581ae66307740436c447662b297b6744b5eb4a833b67a846800816906af" {
		t.Errorf("text1.txt is another: %s", got)
	}
}

func TestEventsAreStoredShort(t *testing.T) {
	work := new(room)
	draw := rand.New(rand.NewPCG(5, 6))
	for i := range 500 {
		r := scaleRecord(draw, i)
		if err := r.complete(); err != nil {
			t.Fatal(err)
		}
		event, err := r.MarshalEvent()
		if err != nil {
			t.Fatal(err)
		}
		stored := work.compressed(event)
		if diff := cmp.Diff(string(event), string(expanded(stored))); diff != "" {
			t.Fatal(diff)
		}
		if len(stored) > len(event)/5*2 {
			t.Errorf("%d bytes are stored as %d", len(event), len(stored))
		}
	}
}

// FuzzStored holds any event against what comes back, and any bytes that somebody may
// write into the database against the bounds of an event.
func FuzzStored(f *testing.F) {
	bomb := []byte{byText1}
	for range 100 { // copies of nearly all of the text
		bomb = append(binary.AppendVarint(binary.AppendUvarint(bomb, 6000<<1|1), -6000), 0, 0)
	}
	for _, seed := range []string{"", "{", `{"eventVersion":"1.11"}`, string(text1), strings.Repeat("a", maxEvent-1), "\x01", "\x01\xff\xff\xff\xff\x0f", string(bomb)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= maxEvent {
			return
		}
		work := rooms.Get().(*room)
		defer rooms.Put(work)
		event := append([]byte("{"), data...)
		if got := expanded(work.compressed(event)); !bytes.Equal(got, event) {
			t.Errorf("%q comes back as %q", event, got)
		}
		if got := expanded(data); len(got) > maxEvent {
			t.Errorf("%d bytes become %d", len(data), len(got))
		}
	})
}

// Records of earlier releases lie there as they are, and are sealed, found and
// verified beside new ones.
func TestStoredAsItIs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		tr, err := New(s, signerOf(t), Options{})
		if err != nil {
			t.Fatal(err)
		}
		draw := rand.New(rand.NewPCG(7, 8))
		want := map[string]string{}
		err = s.Update(t.Context(), func(tx *store.Tx) error {
			clear(want)
			for i := range 20 {
				r := scaleRecord(draw, i)
				r.Account = "000000000001"
				if err := tr.Append(tx, r); err != nil {
					return err
				}
				event, err := r.MarshalEvent()
				if err != nil {
					return err
				}
				want[r.EventID] = string(event)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		err = s.Update(t.Context(), func(tx *store.Tx) error {
			rows, err := readRows(tx, 0, 20, 20)
			for _, r := range rows {
				if r.seq%2 == 0 {
					_, err := tx.Exec("UPDATE trail_records SET event = ?, mac = NULL WHERE seq = ?", r.event, r.seq)
					if err != nil {
						return err
					}
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		page, err := tr.Find(t.Context(), Query{Account: "000000000001"})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, e := range page.Entries {
			got[e.Record.EventID] = string(e.Event)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if err := tr.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
