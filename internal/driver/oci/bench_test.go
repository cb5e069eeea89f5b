package oci_test

import (
	"testing"

	"bawn.dev/internal/driver/drivertest"
)

// BenchmarkStart is from Start to the first line that the workload wrote, with
// a warm image and a volume that is ready.
func BenchmarkStart(b *testing.B) {
	b.ReportAllocs()
	h := machine(b)
	for b.Loop() {
		b.StopTimer()
		w, r := h.Prepare(b, "wait")
		d := h.Open()
		b.StartTimer()
		handle, err := d.Start(b.Context(), w, r)
		if err != nil {
			b.Fatal(err)
		}
		drivertest.Await(b, handle, "ready")
		b.StopTimer()
		if err := d.Remove(b.Context(), w.ID); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
