package store

import (
	"context"
	"errors"
	"math/bits"
	"strings"
)

// rowsAtOnce bounds the rows of one statement.
const rowsAtOnce = 64

// Insert adds rows to a table, given as "table (column, column)" and their values one
// after another.
func (t *Tx) Insert(into string, columns int, values []any) error {
	return insertAll(into, columns, values, func(query string, args []any) error {
		_, err := t.Exec(query, args...)
		return err
	})
}

// insertAll makes few statements of many rows, and few different ones: each takes a
// power of two.
func insertAll(into string, columns int, values []any, exec func(string, []any) error) error {
	for len(values) > 0 {
		n := min(rowsAtOnce, 1<<(bits.Len(uint(len(values)/columns))-1))
		if err := exec(insertion(into, columns, n), values[:n*columns]); err != nil {
			return err
		}
		values = values[n*columns:]
	}
	return nil
}

func insertion(into string, columns, rows int) string {
	row := "(?" + strings.Repeat(",?", columns-1) + ")"
	return "INSERT INTO " + into + " VALUES " + row + strings.Repeat(","+row, rows-1)
}

// Insert is an Update that only adds rows, which may be any: nothing is read and no
// key touched. Those that wait for the same table share their statements. gate is the
// name under which Settle waits for it.
func (s *Store) Insert(ctx context.Context, gate, into string, columns int, values []any) error {
	fn := func(tx *Tx) error {
		if err := tx.Enter(gate); err != nil {
			return err
		}
		return tx.Insert(into, columns, values)
	}
	if s.dialect == postgres {
		return s.Update(ctx, fn)
	}
	if err := errors.Join(s.Healthy(), ctx.Err()); err != nil {
		return err
	}
	_, err := s.writer.update(&change{ctx: ctx, fn: fn, into: into, columns: columns, values: values})
	return err
}

// rows adds the rows of the group's members that only add rows.
func (w *writer) rows(members []*change) error {
	var todo []*change
	for _, c := range members {
		if c.err = c.ctx.Err(); c.err == nil {
			todo = append(todo, c)
		}
	}
	if len(todo) == 0 {
		return nil
	}
	if err := w.control("SAVEPOINT rows"); err != nil {
		return err
	}
	err := w.together(todo)
	if err == nil || fatal(err) {
		return errors.Join(err, w.control("RELEASE rows"))
	}
	// Some row cannot be: each by itself tells whose.
	if err := errors.Join(w.control("ROLLBACK TO rows"), w.control("RELEASE rows")); err != nil {
		return err
	}
	for _, c := range todo {
		if err := w.one(c); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) together(all []*change) error {
	for len(all) > 0 {
		first, n := all[0], 1
		for n < len(all) && all[n].into == first.into {
			n++
		}
		values := make([]any, 0, 2*n*len(first.values))
		for _, c := range all[:n] {
			values = append(values, c.values...)
		}
		if err := insertAll(first.into, first.columns, values, func(query string, args []any) error {
			_, err := w.conn.exec(context.Background(), query, args)
			return err
		}); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}
