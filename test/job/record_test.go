package job

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// An event is what these tests read of a record.
type event struct {
	EventName, EventSource, EventType, ErrorCode string
	SharedEventID                                string `json:"sharedEventID"`
	VPCEndpointID                                string `json:"vpcEndpointId"`
	UserIdentity                                 struct {
		ARN, InvokedBy string
		OnBehalfOf     struct {
			UserID string `json:"userId"`
		}
	}
	Resources                              []struct{ ARN string }
	RequestParameters, AdditionalEventData map[string]any
}

func (e *event) names(arn string) bool {
	for _, r := range e.Resources {
		if r.ARN == arn {
			return true
		}
	}
	return false
}

// audit reads the record as an operator does.
func (h *house) audit(t testing.TB, flags ...string) (all []event) {
	t.Helper()
	out, err := exec.Command(h.binary(), append([]string{"audit", "--data", h.data, "--output", "json", "--limit", "10000"}, flags...)...).Output()
	if err != nil {
		t.Fatalf("bawn audit: %v: %s", err, err.(*exec.ExitError).Stderr)
	}
	for line := range strings.Lines(string(out)) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, e)
	}
	return all
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
