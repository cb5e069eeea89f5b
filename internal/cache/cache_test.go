package cache

import "testing"

// A value that was made from other rows than the caller sees is never answered.
func TestOnlyTheVersionThatWasAskedFor(t *testing.T) {
	c := New[string, string](2, nil)
	c.Put("a", 2, "new")
	for _, version := range []int64{0, 1, 3} {
		if v, ok := c.Get("a", version); ok {
			t.Errorf("version %d answers %q", version, v)
		}
	}
	if v, ok := c.Get("a", 2); !ok || v != "new" {
		t.Errorf("%q, %v", v, ok)
	}
	if _, ok := c.Get("b", 0); ok {
		t.Error("what was never put is there")
	}
}

// It stays bounded, tells of everything that leaves, and keeps the first of equals.
func TestBoundAndEviction(t *testing.T) {
	var left []int
	c := New[int, int](3, func(v int) { left = append(left, v) })
	for i := range 10 {
		c.Put(i, 1, i)
	}
	if len(c.items) != 3 || len(left) != 7 {
		t.Errorf("%d kept, %d left", len(c.items), len(left))
	}
	left = nil
	c.Put(100, 1, 100)
	if kept := c.Put(100, 1, 101); kept != 100 || left[len(left)-1] != 101 {
		t.Errorf("%d is kept, %v left", kept, left)
	}
	c.Put(100, 2, 102)
	if left[len(left)-1] != 100 {
		t.Errorf("%v left", left)
	}
}

// What is dropped is gone in every version, and told to whoever wants to know.
func TestDrop(t *testing.T) {
	var left []string
	c := New[string, string](3, func(v string) { left = append(left, v) })
	c.Put("a", 1, "one")
	c.Put("b", 1, "two")
	c.Drop("a")
	c.Drop("none")
	if _, ok := c.Get("a", 1); ok || len(left) != 1 || left[0] != "one" {
		t.Errorf("%v left", left)
	}
	if keys := c.Keys(); len(keys) != 1 || keys[0] != "b" {
		t.Errorf("%v are kept", keys)
	}
}

// However many heavy values come, few are kept, and they push out no light one.
func TestFewOfTheHeavyAreKept(t *testing.T) {
	c := NewWeighed(100, 3, func(_ int, value string) bool { return value == "heavy" })
	for i := range 10 {
		c.Put(i, 1, "light")
	}
	for i := range 20 {
		c.Put(100+i, 1, "heavy")
	}
	light, heavy := 0, 0
	for _, k := range c.Keys() {
		if k < 100 {
			light++
		} else {
			heavy++
		}
	}
	if light != 10 || heavy != 3 {
		t.Fatalf("%d light and %d heavy ones are kept", light, heavy)
	}
	if _, ok := c.Get(119, 1); !ok {
		t.Error("the newest heavy one made room for itself")
	}
	// What was heavy and is not any more makes room.
	c.Put(119, 2, "light")
	for i := range 3 {
		c.Put(200+i, 1, "heavy")
	}
	if _, ok := c.Get(119, 2); !ok {
		t.Error("a value that has become light counts as heavy")
	}
}
