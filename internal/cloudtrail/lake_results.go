package cloudtrail

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/lake"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/store"
)

// A part of a result is sealed by itself: as much as one change holds the writer for.
const (
	partRows  = 1000
	partBytes = 256 << 10
)

// pageBytes is about how long one page of a result is.
const pageBytes = 1 << 20

// part is what a part of a result is sealed as.
type part struct {
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// boundPart is what a part is sealed with: whose it is, where it stands, and of how many
// rows.
func boundPart(query string, first, of int64) []byte {
	return fmt.Appendf(nil, "%s %d %d", query, first, of)
}

// keepResult stores the rows of an answer, each part in a change of its own.
func (s *Service) keepResult(ctx context.Context, st *store.Store, query string, r *lake.Result) error {
	for first := 0; first < len(r.Rows); {
		n, bytes := 0, 0
		for first+n < len(r.Rows) && n < partRows && bytes < partBytes {
			bytes += rowBytes(r.Rows[first+n])
			n++
		}
		plain, err := json.Marshal(part{r.Columns, r.Rows[first : first+n]})
		if err != nil {
			return err
		}
		sealed, err := questions.Seal(s.Key[:], plain, boundPart(query, int64(first), int64(len(r.Rows))))
		if err != nil {
			return err
		}
		err = st.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec("INSERT INTO cloudtrail_results (query, first, results, content) VALUES (?, ?, ?, ?)", query, first, n, sealed)
			return err
		})
		if err != nil {
			return err
		}
		first += n
	}
	return nil
}

func rowBytes(row []string) (n int) {
	for _, cell := range row {
		n += len(cell) + 8
	}
	return n
}

func (s *Service) wantedResults(_ context.Context, c *api.Call, in *shape.GetQueryResultsInput) (*foundQuery, []api.Demand, error) {
	return s.query(c, "GetQueryResults", in.QueryId, in.EventDataStore)
}

func (s *Service) getQueryResults(_ context.Context, c *api.Call, in *shape.GetQueryResultsInput, f *foundQuery) (*shape.GetQueryResultsOutput, error) {
	if err := f.active(); err != nil {
		return nil, err
	}
	k := f.query
	from, err := offset(in.NextToken, k.id)
	if err != nil {
		return nil, err
	}
	limit := 1000
	if in.MaxQueryResults != nil {
		limit = int(*in.MaxQueryResults)
	}
	out := &shape.GetQueryResultsOutput{QueryStatus: shape.QueryStatus(k.status), ErrorMessage: k.failure, QueryResultRows: [][]map[string]string{}}
	if k.status == string(shape.QueryStatusFinished) {
		if out.QueryResultRows, err = s.resultRows(c.Snapshot, k, int64(from), limit); err != nil {
			return nil, err
		}
		if next := from + len(out.QueryResultRows); next < int(k.results) {
			out.NextToken = token(k.id, next)
		}
	}
	n, all := int32(len(out.QueryResultRows)), int32(k.results)
	out.QueryStatistics = &shape.QueryStatistics{BytesScanned: &k.bytes, ResultsCount: &n, TotalResultsCount: &all}
	return out, nil
}

// resultRows are up to limit rows of a result, and fewer where they are long.
func (s *Service) resultRows(q store.Querier, k *queryRow, from int64, limit int) ([][]map[string]string, error) {
	out, bytes := [][]map[string]string{}, 0
	for len(out) < limit && bytes < pageBytes {
		at := from + int64(len(out))
		if at >= k.results {
			return out, nil
		}
		type stored struct {
			first   int64
			content []byte
		}
		found, err := store.Collect(q, func(r *store.Rows) (p stored, err error) { return p, r.Scan(&p.first, &p.content) },
			"SELECT first, content FROM cloudtrail_results WHERE query = ? AND first <= ? AND first + results > ?", k.id, at, at)
		if err != nil {
			return nil, err
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("cloudtrail: the result of query %s lacks row %d", k.id, at)
		}
		plain, err := questions.Open(s.Key[:], found[0].content, boundPart(k.id, found[0].first, k.results))
		if err != nil {
			return nil, fmt.Errorf("cloudtrail: the result of query %s: %w", k.id, err)
		}
		var p part
		if err := json.Unmarshal(plain, &p); err != nil {
			return nil, fmt.Errorf("cloudtrail: the result of query %s: %w", k.id, err)
		}
		if at-found[0].first >= int64(len(p.Rows)) {
			return nil, fmt.Errorf("cloudtrail: the result of query %s lacks row %d", k.id, at)
		}
		rows, names := p.Rows[at-found[0].first:], rowBytes(p.Columns)
		for _, row := range rows[:min(len(rows), limit-len(out))] {
			if bytes += names + rowBytes(row); bytes > pageBytes && len(out) > 0 {
				return out, nil
			}
			out = append(out, cells(p.Columns, row))
		}
	}
	return slices.Clip(out), nil
}

// cells are a row as answers have it: a map for each column.
func cells(columns, row []string) []map[string]string {
	out := make([]map[string]string, len(row))
	for i, cell := range row {
		out[i] = map[string]string{columns[i]: cell}
	}
	return out
}
