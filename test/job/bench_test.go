package job

import (
	"fmt"
	"strconv"
	"testing"
)

// From an accepted CreateTrainingJob to the first instruction of the user's code,
// with an image that is there: the job's own clock, which is the host's, against the
// creation time that Describe shows.
func BenchmarkFirstInstruction(b *testing.B) {
	h := open(b)
	for name, place := range map[string]*network{"alone": nil, "in a VPC": &h.first} {
		b.Run(name, func(b *testing.B) {
			total := 0.0
			for b.Loop() {
				job := h.start(b, order{command: []string{"date", "+AT %s.%N"}, place: place})
				s := h.completed(b, job)
				var at float64
				for _, l := range h.lines(b, job) {
					var text string
					if _, err := fmt.Sscanf(l, "AT %s", &text); err != nil {
						b.Fatal(err)
					}
					var err error
					if at, err = strconv.ParseFloat(text, 64); err != nil {
						b.Fatal(err)
					}
				}
				if at == 0 {
					b.Fatal("it did not run")
				}
				total += (at - s.CreationTime) * 1000
			}
			b.ReportMetric(total/float64(b.N), "ms/start")
		})
	}
}
