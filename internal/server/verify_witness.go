package server

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"bawn.dev/internal/config"
	"bawn.dev/internal/export"
	"bawn.dev/internal/witness"
)

// cosignedFile holds the newest head that witnesses co-signed, with their lines.
const cosignedFile = "record.cosigned"

// cosigned keeps what witnesses signed of a head, if any did.
func (s *Server) cosigned(head []byte, lines [][]byte) error {
	whole := bytes.Join(append([][]byte{head}, lines...), nil)
	if len(whole) == len(head) {
		return nil
	}
	return config.WriteFile(s.cfg.Path(cosignedFile), whole)
}

// Remembered is what one memory of the record's heads holds, as far as is known.
type Remembered struct {
	Name    string     `json:"name"`           // a file, or a witness
	Size    int64      `json:"size,omitempty"` // records under the head
	At      *time.Time `json:"at,omitempty"`   // when it said so
	Trouble string     `json:"trouble,omitempty"`
}

// RememberedRequest asks who remembers which head.
type RememberedRequest struct {
	Operator string `json:"operator"`
}

// RecordMemories is the answer: of a running server, for others ask nobody.
type RecordMemories struct {
	Size     int64        `json:"size"` // records under the newest checkpoint
	Memories []Remembered `json:"memories"`
	// Export is how far the export of the record is, if there is one.
	Export *export.Status `json:"export,omitempty"`
}

// RecordMemories says what remembers the record's heads outside the database.
func (s *Server) RecordMemories(ctx context.Context, in RememberedRequest) (*RecordMemories, error) {
	if err := s.administered(ctx, "RecordMemories", in.Operator, in); err != nil {
		return nil, err
	}
	_, c, err := s.newest(ctx)
	if err != nil {
		return nil, err
	}
	out := &RecordMemories{Size: c.Size}
	if out.Export, err = s.exported(ctx); err != nil {
		return nil, err
	}
	for _, memories := range s.remembering {
		for _, m := range memories {
			out.Memories = append(out.Memories, m.status())
		}
	}
	return out, nil
}

func (m *memory) status() Remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.told
}

// tell keeps what is known of a memory, and logs when it goes and when it comes back.
func (s *Server) tell(ctx context.Context, m *memory, trouble error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.told.Trouble
	if trouble == nil {
		now := s.now()
		m.told.Size, m.told.At, m.told.Trouble = m.size, &now, ""
		if before != "" {
			s.log.Info("the record's head is remembered again", "by", m.name)
		}
		return
	}
	if ctx.Err() != nil {
		return
	}
	m.told.Trouble = trouble.Error()
	if before == "" {
		s.log.Warn("the record's head is not remembered; this is tried again", "by", m.name, "err", trouble)
	}
}

// knownHeads are the heads that are kept in files: of the data directory, of --pin, and
// what whoever runs fsck brings. What is no head of this log is a problem.
func (s *Server) knownHeads(brought []string) (heads [][]byte, problems []string) {
	key := s.trail.Public()
	for _, name := range append([]string{s.cfg.Path(headFile), s.cfg.Path(cosignedFile)}, s.cfg.Pins...) {
		head, err := witness.File{Path: name, Log: key, Make: true}.Read()
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", name, err))
		} else if head != nil {
			heads = append(heads, head)
		}
	}
	for i, text := range brought {
		if _, err := key.Open([]byte(text)); err != nil {
			problems = append(problems, fmt.Sprintf("pin %d is not a head of this log: %v", i+1, err))
			continue
		}
		heads = append(heads, []byte(text))
	}
	return heads, problems
}

// checkRecord verifies the whole record, and that it extends the heads that are kept
// elsewhere.
func (s *Server) checkRecord(ctx context.Context, brought []string) ([]string, error) {
	heads, problems := s.knownHeads(brought)
	found, err := faults(s.trail.Verify(ctx, heads...))
	return append(problems, found...), err
}
