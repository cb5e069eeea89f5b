package job

import "testing"

func TestSmoke(t *testing.T) {
	h := open(t)
	name := h.start(t, order{command: []string{"sh", "-c", "echo hello; id; env"}, place: &h.first})
	h.completed(t, name)
	t.Log(h.lines(t, name))
}
