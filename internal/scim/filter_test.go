package scim

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

const ada = `{"id":"1","externalId":"X-1","userName":"Ada@example.org","displayName":"Ada L","active":true,
	"name":{"familyName":"Lovelace"},"emails":[{"value":"ada@work.example","type":"work","primary":true},{"value":"ada@home.example","type":"home"}],
	"meta":{"lastModified":"2026-01-02T03:04:05Z"},
	"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Engines","manager":{"value":"2"}}}`

func parsed(t testing.TB, text string) object {
	t.Helper()
	var o object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestFilters(t *testing.T) {
	o := parsed(t, ada)
	for text, want := range map[string]bool{
		`userName eq "ADA@EXAMPLE.ORG"`:                                     true,
		`USERNAME Eq "ada@example.org"`:                                     true,
		`userName eq "ada"`:                                                 false,
		`userName ne "ada"`:                                                 true,
		`userName co "@EXAMPLE"`:                                            true,
		`userName sw "ada@" and userName ew ".org"`:                         true,
		`externalId eq "x-1"`:                                               false, // with case
		`externalId eq "X-1"`:                                               true,
		`title pr`:                                                          false,
		`not (title pr)`:                                                    true,
		`title eq null`:                                                     true,
		`displayName eq null`:                                               false,
		`active eq true`:                                                    true,
		`active eq "True"`:                                                  true,
		`active eq false or name.familyName eq "lovelace"`:                  true,
		`active eq false and title pr or displayName pr`:                    true, // and before or
		`active eq false and (title pr or displayName pr)`:                  false,
		`emails eq "ada@home.example"`:                                      true,
		`emails.value sw "ADA@home"`:                                        true,
		`emails[type eq "work" and value co "home"]`:                        false, // of one value, not of any
		`emails.type eq "work" and emails.value co "home"`:                  true,
		`emails[type eq "home"].value eq "ada@home.example"`:                true,
		`emails[type eq "work"].value eq "ada@home.example"`:                false,
		`emails[not (type eq "home") and primary eq true]`:                  true,
		`meta.lastModified gt "2026-01-01T00:00:00+02:00"`:                  true,
		`meta.lastModified le "2026-01-02T02:04:05-01:00"`:                  true,
		`urn:ietf:params:scim:schemas:core:2.0:User:userName pr`:            true,
		enterpriseURN + `:department eq "engines"`:                          true,
		enterpriseURN + `:manager.value eq "2"`:                             true,
		enterpriseURN + `:manager pr and ` + enterpriseURN + `:division pr`: false,
		`displayName eq "say \"hi\" \u0041"`:                                false,
		`userName gt "aaa"`:                                                 true,
	} {
		f, err := parseFilter(users, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.holds(o); got != want {
			t.Errorf("%s is %v", text, got)
		}
	}
}

// Nothing that is no filter is one: not what is cut short, not what would say
// something else to a database, not what costs more than its sender.
func TestFiltersRefused(t *testing.T) {
	for _, text := range []string{
		"", " ", "userName", `userName eq`, `userName eq "a`, `userName eq "a" and`, `userName eq "a" "b"`, `userName is "a"`, `eq "a"`,
		`userName eq 'a'`, `userName eq "a" OR 1=1`, `userName eq "a"; DROP TABLE identity_users`, `userName eq "a" -- `, `userName eq a`,
		`password pr`, `password eq "x"`, `groups pr`, `nothing eq "a"`, `id.value eq "a"`, `name eq "a"`, `userName.part eq "a"`,
		`(userName pr`, `userName pr)`, `emails[type eq "work"`, `emails[emails[type pr]]`, `userName[type eq "a"]`, `emails[nothing eq "a"]`,
		`active gt true`, `active co "tr"`, `userName eq true`, `userName eq 1`, `userName co null`, `not userName pr`, "userName eq \"\xff\"", "userName\x00pr",
		strings.Repeat("(", 1000) + "userName pr" + strings.Repeat(")", 1000),
		strings.Repeat("not (", 100) + "userName pr" + strings.Repeat(")", 100),
		strings.Repeat(`userName pr and `, 100) + "userName pr",
		`userName eq "` + strings.Repeat("a", maxFilter) + `"`,
	} {
		if f, err := parseFilter(users, text); err == nil {
			t.Errorf("%.60q is taken for %v", text, f)
		} else if asFault(err) == nil || asFault(err).kind != "invalidFilter" {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

// A letter that only looks like another does not pass for it, so that an identity
// provider that looks for kim is not led to one who signed up with a Kelvin sign.
func TestFiltersTellLettersApart(t *testing.T) {
	f, err := parseFilter(users, `userName eq "kim"`)
	if err != nil {
		t.Fatal(err)
	}
	if f.holds(object{"userName": "\u212aim"}) {
		t.Error("a Kelvin sign passes for a k")
	}
}

func TestIndexed(t *testing.T) {
	for text, want := range map[string]lookup{
		`userName eq "a"`:                                {"userName", "a"},
		`active eq true and userName eq "a"`:             {"userName", "a"},
		`emails[type eq "work" and value eq "a"]`:        {"emails", "a"},
		`emails[type eq "work"].value eq "a"`:            {"emails", "a"},
		`emails.value eq "a" and title pr`:               {"emails", "a"},
		`userName eq "a" or userName eq "b"`:             {},
		`not (userName eq "a")`:                          {},
		`userName co "a"`:                                {},
		`emails.type eq "work"`:                          {},
		`emails[type eq "work" or value eq "a"]`:         {},
		enterpriseURN + `:department eq "userName"`:      {},
		`(id eq "a" and title pr) and (userName sw "x")`: {"id", "a"},
	} {
		f, err := parseFilter(users, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got, _ := indexed(users, f); got != want {
			t.Errorf("%s is looked up by %v", text, got)
		}
	}
}

// Whatever is sent, the parser ends, and what it takes can be asked of a resource.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{`userName eq "a"`, `emails[type eq "work" and not (value co "x")].value pr`, `not (a pr) or (b eq 1.5)`, enterpriseURN + `:manager.value eq null`, `members eq "1"`} {
		f.Add(seed)
	}
	o := parsed(f, ada)
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []*resourceType{users, groups} {
			x, err := parseFilter(kind, text)
			if err != nil {
				if asFault(err) == nil {
					t.Fatalf("%q: %v", text, err)
				}
				continue
			}
			if len(text) > maxFilter {
				t.Fatalf("a filter of %d bytes is taken", len(text))
			}
			holds := x.holds(o)
			if (not{x}).holds(o) == holds {
				t.Fatalf("%q holds, and its contrary too", text)
			}
			// What an index would find is a condition of the whole.
			if l, ok := indexed(kind, x); ok && kind == users && holds && l.attribute == "userName" && !strings.EqualFold(l.value, "ada@example.org") {
				t.Fatalf("%q holds of one whom the look-up %v misses", text, l)
			}
		}
	})
}

// Whatever a patch says, a resource stays in the form of the schema.
func FuzzPatch(f *testing.F) {
	for _, seed := range []string{
		`{"Operations":[{"op":"Replace","path":"emails[type eq \"work\"].value","value":"x"}]}`,
		`{"Operations":[{"op":"add","value":{"name.givenName":"x","active":"False","members":[{"value":"1"}]}}]}`,
		`{"Operations":[{"op":"remove","path":"name"},{"op":"add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":"1"}]}`,
		`{"schemas":[],"Operations":[{"op":"remove","path":"addresses[country eq null]"},{"op":"replace","path":"roles","value":[]}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var body object
		if json.Unmarshal([]byte(text), &body) != nil {
			return
		}
		for _, kind := range []*resourceType{users, groups} {
			changes, err := readPatch(kind, body)
			o := parsed(t, ada)
			if kind == groups {
				o = object{"displayName": "team"}
			}
			for _, c := range changes {
				if err == nil {
					err = c.apply(o)
				}
			}
			if err != nil {
				if asFault(err) == nil {
					t.Fatalf("%s: %v", text, err)
				}
				continue
			}
			if kind == users && (o["id"] != "1" || o["meta"] == nil) {
				t.Fatalf("%s changes what is the server's", text)
			}
			delete(o, "id")
			delete(o, "meta")
			again, err := normal(kind, o)
			if err != nil {
				t.Fatalf("%s leaves %v: %v", text, o, err)
			}
			a, _ := json.Marshal(o, json.Deterministic(true))
			b, _ := json.Marshal(again, json.Deterministic(true))
			if string(a) != string(b) {
				t.Fatalf("%s leaves %s, not %s", text, a, b)
			}
		}
	})
}

func TestServicePolicy(t *testing.T) {
	if docs := ServicePolicy(); len(docs) != 1 || docs[0].Policy == nil {
		t.Error("the service's policy does not parse")
	}
}
