package netmodel

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// tables is what a kernel holds after scripts: chains and sets with their declarations, rules, and elements by key. It
// knows the words that scripts use and refuses what a kernel refuses.
type tables struct {
	chains, sets map[string]string
	rules        map[string][]string
	elements     map[string]map[string]string
}

var (
	reference = regexp.MustCompile(`(?:jump|goto) (\S+)|@(\S+)`)
	intervals = "flags interval"
)

func (x *tables) load(script string) error {
	for line := range strings.Lines(script) {
		if err := x.run(strings.TrimSpace(line)); err != nil {
			return fmt.Errorf("%.200s: %w", line, err)
		}
	}
	return nil
}

func (x *tables) run(line string) error {
	words := strings.SplitN(line, " ", 6)
	do, what := words[0], words[1]
	if what == "table" || what == "counter" || len(words) > 4 && (words[4] == "flood" || words[4] == "crowd") {
		if do == "delete" || x.chains == nil {
			*x = tables{map[string]string{}, map[string]string{}, map[string][]string{}, map[string]map[string]string{}}
		}
		return nil
	}
	if words[2] != "inet" || words[3] != Table {
		return fmt.Errorf("another table")
	}
	name, rest := words[4], strings.Join(words[5:], " ")
	declared := x.sets
	if what == "chain" || what == "rule" {
		declared = x.chains
	}
	_, is := declared[name]
	if creates := do == "add" && what != "element" && what != "rule"; creates == is {
		return fmt.Errorf("declared: %v", is)
	}
	switch do + " " + what {
	case "add chain":
		x.chains[name] = rest
	case "add set", "add map":
		x.sets[name], x.elements[name] = what+rest, map[string]string{}
	case "add rule":
		x.rules[name] = append(x.rules[name], rest)
		return x.refers(rest)
	case "add element":
		return x.put(name, rest)
	case "delete element":
		for e := range strings.SplitSeq(strings.Trim(rest, "{ }"), ", ") {
			if _, there := x.elements[name][e]; !there || strings.Contains(x.sets[name], intervals) {
				return fmt.Errorf("there is no %s", e)
			}
			delete(x.elements[name], e)
		}
	case "flush chain":
		delete(x.rules, name)
	case "flush set", "flush map":
		clear(x.elements[name])
	case "delete chain":
		delete(x.chains, name)
		if x.used(name, "(jump|goto) ") || len(x.rules[name]) > 0 {
			return fmt.Errorf("in use")
		}
	case "delete set", "delete map":
		delete(x.sets, name)
		delete(x.elements, name)
		if x.used(name, "@") {
			return fmt.Errorf("in use")
		}
	default:
		return fmt.Errorf("what is %s %s", do, what)
	}
	return nil
}

func (x *tables) put(set, list string) error {
	for e := range strings.SplitSeq(strings.Trim(list, "{ }"), ", ") {
		key, value, _ := strings.Cut(e, " : ")
		if _, there := x.elements[set][key]; there {
			return fmt.Errorf("%s is there", key)
		}
		x.elements[set][key] = value
		if err := x.refers(value); err != nil {
			return err
		}
	}
	return nil
}

func (x *tables) refers(text string) error {
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		chain, set := x.chains[m[1]], x.sets[m[2]]
		if _, isChain := x.chains[m[1]]; !isChain && set == "" && m[2] != "flood" && m[2] != "crowd" {
			return fmt.Errorf("no %s%s (%s)", m[1], m[2], chain)
		}
	}
	return nil
}

func (x *tables) used(name, how string) bool {
	by := regexp.MustCompile(how + name + `( |$)`)
	for _, rules := range x.rules {
		if slices.ContainsFunc(rules, by.MatchString) {
			return true
		}
	}
	for _, m := range x.elements {
		for _, v := range m {
			if by.MatchString(v) {
				return true
			}
		}
	}
	return false
}

func (x *tables) equal(y *tables) bool {
	return maps.Equal(x.chains, y.chains) && maps.Equal(x.sets, y.sets) && maps.EqualFunc(x.rules, y.rules, slices.Equal) &&
		maps.EqualFunc(x.elements, y.elements, maps.Equal)
}

// pairs draws two VPCs' rules, of which the second is a small change of the first, or has little to do with it, and the
// same of two transit gateways.
func pairs(t *rapid.T) [][2]Ruleset {
	c, d := randomCloud(t), randomCloud(t)
	changed := *c.VPCs[0]
	other := d.VPCs[0]
	switch rapid.IntRange(0, 6).Draw(t, "change") {
	case 0:
		changed.Interfaces = changed.Interfaces[1:]
	case 1:
		changed.SecurityGroups = slices.Clone(changed.SecurityGroups)
		changed.SecurityGroups[1] = other.SecurityGroups[1]
	case 2:
		changed.RouteTables = other.RouteTables
	case 3:
		changed.FlowLogs = !changed.FlowLogs
	case 4:
		changed.Attachments, changed.Dialers = nil, nil
	case 5:
		changed.PrefixLists = other.PrefixLists
	default:
		changed = *other
	}
	return [][2]Ruleset{{Compile(c.VPCs[0]), Compile(&changed)}, {Compile(&changed), Compile(c.VPCs[0])},
		{CompileTransit(c.Gateways[0]), CompileTransit(d.Gateways[0])}}
}

func TestChangesLeadToTheNewRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, p := range pairs(t) {
			var have, want tables
			changes := p[1].Changes(p[0])
			if err := have.load(p[0].Script()); err != nil {
				t.Fatal(err)
			}
			if err := have.load(changes); err != nil {
				t.Fatalf("%v\n%s", err, changes)
			}
			if err := want.load(p[1].Script()); err != nil {
				t.Fatal(err)
			}
			if !have.equal(&want) {
				t.Fatalf("after\n%s\nthere is\n%+v\nand not\n%+v", changes, have, want)
			}
			if again := p[1].Changes(p[1]); again != "" {
				t.Fatalf("no change is\n%s", again)
			}
		}
	})
}

// The kernel says the same: it takes scripts and changes, and lists the same after changes as after a fresh script.
func TestKernelTakesChanges(t *testing.T) {
	const nft = "/usr/sbin/nft"
	if _, err := os.Stat(nft); err != nil || os.Geteuid() != 0 {
		t.Skip("needs root and nft")
	}
	load := func(scripts ...string) string {
		var parts bytes.Buffer
		for _, s := range scripts {
			fmt.Fprintf(&parts, "%s -f - <<'END'\n%s\nEND\n", nft, s)
		}
		cmd := exec.Command("/usr/bin/unshare", "-n", "/bin/sh", "-e", "-c", parts.String()+nft+" -s list ruleset")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s\n%s", err, out, parts.String())
		}
		blocks := strings.Split(strings.TrimSuffix(string(out), "\n}\n"), "\n\n")
		slices.Sort(blocks)
		return strings.Join(blocks, "\n\n")
	}
	random := rapid.Custom(pairs)
	for seed := range 8 {
		for _, p := range random.Example(seed) {
			if have, want := load(p[0].Script(), p[1].Changes(p[0])), load(p[1].Script()); have != want {
				t.Fatalf("after changes\n%s\nafter the script\n%s", have, want)
			}
		}
	}
}

func TestScript(t *testing.T) {
	got := Compile(hospital()).Script()
	for _, want := range []string{
		"add table inet bawn\ndelete table inet bawn\nadd table inet bawn\n",
		"type filter hook forward priority filter; policy drop;",
		"before iifname . ip saddr @origins goto sent\n",
		"refuse_source limit rate over 2000/second burst 4000 packets counter name over_rate counter drop\n",
		"log prefix \"ingress vpce-kms\" group 17 snaplen 64",
		"out_sg_train ip daddr @members_sg_db meta l4proto 6 th dport 5432 goto arrive\n",
		"in_sg_db ip saddr @members_sg_train meta l4proto 6 th dport 5432 counter accept\n",
		"add element inet bawn routed_vpce_s3 { 10.50.0.0-10.50.0.255 }\n",
		"meta l4proto 6 counter reject with tcp reset\n",
		"{ \"" + Device("eni-train") + "\" . 10.50.0.10, ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the script lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// A rule that changes in a group of many is the filling of one chain; an interface that comes is elements.
func TestChangesAreSmall(t *testing.T) {
	v := crowd(1000)
	old := Compile(v)
	v.SecurityGroups[1].Ingress[0].FromPort--
	rule := Compile(v)
	for line := range strings.Lines(rule.Changes(old)) {
		if !strings.HasPrefix(line, "flush chain inet bawn in_sg_db\n") && !strings.HasPrefix(line, "add rule inet bawn in_sg_db ") {
			t.Errorf("a rule's change is also %s", line)
		}
	}
	v.Interfaces = v.Interfaces[:999]
	if got := Compile(v).Changes(rule); len(got) > 1000 || strings.Contains(got, "chain") {
		t.Errorf("an interface's end is\n%s", got)
	}
}
