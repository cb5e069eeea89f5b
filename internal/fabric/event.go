package fabric

import (
	"context"
	"fmt"
	"time"
)

// Event tells that a network was found to be other than its model says, and what became of it.
type Event struct {
	Time     time.Time
	Network  string // the id of a VPC or a transit gateway
	What     string
	Repaired bool
	Why      string `json:",omitzero"` // it could not be repaired
}

// eventBuffer is how many events wait for a reader.
const eventBuffer = 1024

// Events calls emit, from one goroutine, with each drift that is found, until ctx ends or emit fails. What was found while
// nobody listened is told first. There is one reader at a time; a second one fails.
func (f *Fabric) Events(ctx context.Context, emit func(Event) error) error {
	if err := f.ready(ctx); err != nil {
		return err
	}
	return f.events.follow(ctx, nil, func(n uint64) Event {
		return Event{Time: time.Now(), What: fmt.Sprintf("%d events were lost, as nobody read them", n)}
	}, emit)
}
