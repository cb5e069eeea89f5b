package server

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/shape"
)

// OperationsManual is docs/operations.md: every operation that a door serves, what
// it demands, and which members of AWS's input it refuses by name.
//
// demands are what each operation demanded in an example: the kinds of resources and
// the condition keys of its own that it sets. For open operations, which demand
// nothing of nobody, the catalogue says what their actions work on.
func OperationsManual(entries []api.Entry, demands map[string][]api.Demand, known *catalogue.Catalogue) string {
	var out strings.Builder
	out.WriteString(operationsPreface)
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b api.Entry) int {
		return cmp.Or(strings.Compare(a.Service.Model.Name, b.Service.Model.Name), strings.Compare(a.Model.Name, b.Model.Name))
	})
	for i, e := range entries {
		if s := e.Service; i == 0 || entries[i-1].Service != s {
			fmt.Fprintf(&out, "\n## %s\n\nActions begin with `%s:`; requests are signed for `%s` and written in %s.\n\n"+
				"| Operation | Demands | | On | Keys | Refused members | Notes |\n|---|---|---|---|---|---|---|\n", s.Model.ID, s.Prefix, s.Model.SigningName, s.Model.Protocol)
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s | %s |\n", e.Model.Name, quoted(e.Actions), access(e),
			strings.Join(kinds(e, demands[e.Name], known), ", "), quoted(keys(demands[e.Name])), quoted(refused(e.Model.Input)), strings.Join(remarks(e), " "))
	}
	return out.String()
}

const operationsPreface = `# Operations

Generated from the running registry by ` + "`go test ./internal/server -run TestOperationsManual -update`" + `; do not edit.

This is all that is served. An operation that is not listed is answered with AWS's error for unknown operations. A call must be
allowed every action that it comes to demand; where several are listed, the input decides which. **On** says which kinds of resources
are decided on (` + "`*`" + `: the action knows none), **Keys** which condition keys an example of the operation set beside the global ones, in
lower case; names that a request chooses (tags, encryption contexts) come with the request. A **refused** member exists at AWS
and not here: a request that sets it is refused by its name, never answered as if it had been heeded. A dot goes into a structure,
` + "`[]`" + ` into the members of a list, ` + "`{}`" + ` into the values of a map.
`

// kinds are the kinds of resources that demands are about.
func kinds(e api.Entry, demands []api.Demand, known *catalogue.Catalogue) []string {
	var list []string
	if e.Open && e.Undeniable == "" {
		for _, action := range e.Actions {
			info, _ := known.Action(action)
			for _, r := range info.Resources {
				list = append(list, r.Name)
			}
		}
		slices.Sort(list)
		return slices.Compact(list)
	}
	for _, d := range demands {
		kind := d.Resource.Type
		if d.Resource.ARN == "*" {
			kind = "`*`"
		}
		if kind != "" && !slices.Contains(list, kind) {
			list = append(list, kind)
		}
	}
	return list
}

// keys are the condition keys that demands set.
func keys(demands []api.Demand) []string {
	var list []string
	for _, d := range demands {
		for key := range d.Keys {
			list = append(list, key)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func access(e api.Entry) string {
	if e.ReadOnly {
		return "read"
	}
	return "write"
}

// remarks are what a security reviewer looks for.
func remarks(e api.Entry) []string {
	var list []string
	if e.Undeniable != "" {
		list = append(list, "**Undeniable**: "+strings.TrimSuffix(e.Undeniable, ".")+".")
	}
	if e.Open {
		list = append(list, "**Open**: the caller proves herself in the operation itself.")
	}
	if len(e.Model.Advisory) > 0 {
		list = append(list, "Answered as disabled: "+quoted(e.Model.Advisory)+".")
	}
	return list
}

func quoted(names []string) string {
	marked := make([]string, len(names))
	for i, n := range names {
		marked[i] = "`" + n + "`"
	}
	return strings.Join(marked, ", ")
}

// refused lists the members of a structure, and of the structures in it, that
// AWS knows and that are refused here.
func refused(input *shape.Struct) []string {
	var list []string
	inside := map[*shape.Struct]bool{} // structures may hold themselves
	var walk func(path string, st *shape.Struct)
	walk = func(path string, st *shape.Struct) {
		if st == nil || inside[st] {
			return
		}
		inside[st] = true
		defer delete(inside, st)
		for _, r := range st.Refused {
			list = append(list, path+r.Name)
		}
		for _, f := range st.Fields {
			step, t := path+f.Name, f.Type
			for t.Elem != nil {
				if t.Kind == shape.Map {
					step += "{}"
				} else {
					step += "[]"
				}
				t = t.Elem
			}
			walk(step+".", t.Struct)
		}
	}
	walk("", input)
	return list
}
