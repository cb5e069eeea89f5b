package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// when is a time that somebody typed: a date, a date and time of this machine's zone or
// with its own, or how long ago.
type when struct {
	at  time.Time
	day bool // at is a whole day's begin
	ago time.Duration
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *when) UnmarshalText(text []byte) error {
	s := string(text)
	for _, layout := range []string{time.DateOnly, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			*w = when{at: t, day: layout == time.DateOnly}
			return nil
		}
	}
	ago, err := time.ParseDuration(s)
	if days, isDays := strings.CutSuffix(s, "d"); isDays {
		n, bad := strconv.ParseUint(days, 10, 16)
		ago, err = time.Duration(n)*24*time.Hour, bad
	}
	if err != nil || ago <= 0 {
		return fmt.Errorf("%q is no time: say 2026-01-31, \"2026-01-31 15:04\", 2026-01-31T15:04:05Z, 24h or 7d", s)
	}
	*w = when{ago: ago}
	return nil
}

// IsZero says that nothing was typed.
func (w when) IsZero() bool { return w == when{} }

func (w when) begin(now time.Time) time.Time {
	if w.ago > 0 {
		return now.Add(-w.ago)
	}
	return w.at
}

// end is the last microsecond that is meant: the record knows no smaller. An event says
// its time in seconds: one that says the typed time is meant too.
func (w when) end(now time.Time) time.Time {
	switch {
	case w.day:
		return w.at.AddDate(0, 0, 1).Add(-time.Microsecond)
	case w.ago > 0 || w.IsZero():
		return w.begin(now)
	}
	return w.at.Truncate(time.Second).Add(time.Second - time.Microsecond)
}
