package catalogue

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

//go:embed details.txt
var detailText string

// An Info is what the service authorization reference says of an action.
type Info struct {
	Name      string         // as AWS writes it, "s3:GetObject"
	Resources []ResourceType // none: the action is only allowed on "*"
	// Keys are the condition keys that requests for the action can carry beside the
	// global ones, as AWS writes them; ${Name} stands for what the request chooses,
	// ${Provider} for an identity provider.
	Keys []string
}

// A ResourceType is a kind of resource that an action works on.
type ResourceType struct {
	Name     string
	ARN      string // a pattern: "arn:${Partition}:s3:::${BucketName}"
	Required bool   // each request for the action names one
}

// Action tells what an action works on; its name may be in any case. The first
// call reads the details of all actions, which takes a few milliseconds.
func (c *Catalogue) Action(name string) (Info, bool) {
	canonical, ok := c.action(name)
	if !ok {
		return Info{}, false
	}
	return details()[canonical], true
}

// details are by name as AWS writes it.
var details = sync.OnceValue(func() map[string]Info {
	all := map[string]Info{}
	for block := range strings.SplitSeq(detailText, "\n\n") {
		service, lines, _ := strings.Cut(block, "\n")
		types := map[string]string{}
		for line := range strings.Lines(lines) {
			line = strings.TrimSuffix(line, "\n")
			if named, ok := strings.CutPrefix(line, "= "); ok {
				name, arn, _ := strings.Cut(named, " ")
				types[name] = arn
				continue
			}
			names, keys, _ := strings.Cut(line, " | ")
			name, on, _ := strings.Cut(names, " ")
			a := Info{Name: service + ":" + name, Keys: strings.Fields(keys)}
			for t := range strings.FieldsSeq(on) {
				r := ResourceType{Name: strings.TrimSuffix(t, "*"), Required: strings.HasSuffix(t, "*")}
				r.ARN = types[r.Name]
				a.Resources = append(a.Resources, r)
			}
			for i, k := range a.Keys {
				if k[0] == ':' {
					a.Keys[i] = service + k
				}
			}
			slices.Sort(a.Keys)
			all[a.Name] = a
		}
	}
	return all
})
