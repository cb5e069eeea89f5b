package api

import (
	"maps"

	"bawn.dev/internal/trail"
	"bawn.dev/internal/uuid"
)

// An Item is one of many things that a call was about, and what became of it.
type Item struct {
	Resource
	Fate map[string]any // for the record: never a secret
}

// Itemize names what a call did one by one, instead of what its decisions were about.
// All of it is recorded: where one record has no room, the call leaves several with
// its request id, the first of which tells what was asked.
func (c *Call) Itemize(items []Item) { c.items = items }

// The room for items in a record: far below what a record may hold.
const (
	itemsPerRecord = 100
	itemBytes      = 12 << 10
)

// itemized is the record of a call that succeeded, with its items.
func (c *Call) itemized(r *trail.Record) []*trail.Record {
	if r.ErrorCode != "" || len(c.items) == 0 {
		return []*trail.Record{r}
	}
	var all []*trail.Record
	for left := c.items; len(left) > 0; {
		n, size := 0, 0
		for n < len(left) && n < itemsPerRecord {
			size += len(object(left[n].Fate)) + len(left[n].ARN)
			if n > 0 && size > itemBytes {
				break
			}
			n++
		}
		part := r
		if len(all) > 0 {
			other := *r
			other.EventID, other.RequestParameters, other.ResponseElements = uuid.At(c.Now), nil, nil
			part = &other
		}
		resources, fates := make([]Resource, n), make([]any, n)
		for i, item := range left[:n] {
			resources[i], fates[i] = item.Resource, item.Fate
		}
		notes := maps.Clone(c.notes)
		if notes == nil {
			notes = map[string]any{}
		}
		notes["items"] = fates
		if n < len(c.items) {
			notes["firstItem"], notes["itemsInAll"] = len(c.items)-len(left)+1, len(c.items)
		}
		part.Resources, part.AdditionalEventData = recordResources(resources, c.Account), object(notes)
		all, left = append(all, part), left[n:]
	}
	return all
}
