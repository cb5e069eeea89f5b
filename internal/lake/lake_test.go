package lake_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/lake"
)

const store = "0123abcd-1234-4abc-8def-0123456789ab"

var now = time.Date(2026, 1, 5, 12, 30, 0, 0, time.UTC)

var events = []string{
	`{"eventTime":"2026-01-01T10:00:00Z","eventName":"GetObject","eventSource":"s3.amazonaws.com","readOnly":true,"userIdentity":{"type":"IAMUser","userName":"ada"},"requestParameters":{"key":"a","bucketName":"scans"},"resources":[{"ARN":"arn:aws:s3:::scans/a"}]}`,
	`{"eventTime":"2026-01-02T10:00:00Z","eventName":"PutObject","eventSource":"s3.amazonaws.com","readOnly":false,"userIdentity":{"type":"IAMUser","userName":"bob"},"requestParameters":{"key":"b","bucketName":"scans","size":7}}`,
	`{"eventTime":"2026-01-03T10:00:00Z","eventName":"GetObject","eventSource":"s3.amazonaws.com","readOnly":true,"errorCode":"AccessDenied","userIdentity":{"type":"IAMUser","userName":"bob"},"requestParameters":null}`,
	`{"eventTime":"2026-01-04T10:00:00Z","eventName":"Decrypt","eventSource":"kms.amazonaws.com","readOnly":true,"userIdentity":{"type":"AWSService","invokedBy":"it's"},"requestParameters":{"size":9}}`,
}

func source(_ context.Context, _ lake.Hint, fn func([]byte) error) error {
	for _, e := range events {
		if err := fn([]byte(e)); err != nil {
			return err
		}
	}
	return nil
}

var limits = lake.Limits{Events: 1000, Rows: 100, Bytes: 1 << 20, Memory: 1 << 20}

func ask(statement string, source lake.Source, limits lake.Limits) (string, error) {
	s, err := lake.Parse(strings.ReplaceAll(statement, "$", store))
	if err != nil {
		return "", err
	}
	if s.Store != store {
		return "", fmt.Errorf("of %q", s.Store)
	}
	r, err := s.Run(context.Background(), source, limits, now)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, row := range append([][]string{r.Columns}, r.Rows...) {
		lines = append(lines, strings.Join(row, ","))
	}
	return strings.Join(lines, "|"), nil
}

func TestAnswers(t *testing.T) {
	for statement, want := range map[string]string{
		"SELECT eventName FROM $":                                                                                      "eventName|GetObject|PutObject|GetObject|Decrypt",
		"select EVENTNAME from $ where useridentity.USERNAME = 'ada'":                                                  "EVENTNAME|GetObject",
		"SELECT DISTINCT eventName FROM $ ORDER BY eventName DESC":                                                     "eventName|PutObject|GetObject|Decrypt",
		"SELECT eventName, count(*) AS n FROM $ GROUP BY eventName ORDER BY n DESC, eventName LIMIT 2":                 "eventName,n|GetObject,2|Decrypt,1",
		"SELECT eventName, count(*) FROM $ GROUP BY 1 ORDER BY 2 DESC, 1":                                              "eventName,_col1|GetObject,2|Decrypt,1|PutObject,1",
		"SELECT count(*), count(errorCode), count(DISTINCT userIdentity.userName), sum(requestParameters.size) FROM $": "_col0,_col1,_col2,_col3|4,1,2,16",
		"SELECT min(eventTime) a, max(eventTime), avg(requestParameters.size) FROM $":                                  "a,_col1,_col2|2026-01-01 10:00:00.000,2026-01-04 10:00:00.000,8",
		"SELECT sum(substr(eventTime, 9, 2)), avg(length(eventName)) FROM $":                                           "_col0,_col1|10,8.5",
		"SELECT max(requestParameters.none), sum(errorCode) FROM $":                                                    "_col0,_col1|,",
		"SELECT upper(eventName), count(*) FROM $ GROUP BY upper(eventName) HAVING count(*) = 2":                       "_col0,_col1|GETOBJECT,2",

		"SELECT eventName FROM $ WHERE errorCode IS NULL AND eventTime > '2026-01-02 00:00:00'":                        "eventName|PutObject|Decrypt",
		"SELECT eventTime FROM $ WHERE eventTime BETWEEN timestamp '2026-01-02' AND '2026-01-03 10:00:00.000'":         "eventTime|2026-01-02 10:00:00.000|2026-01-03 10:00:00.000",
		"SELECT eventName FROM $ WHERE requestParameters.size NOT BETWEEN 8 AND 10":                                    "eventName|PutObject",
		"SELECT eventName FROM $ WHERE (requestParameters.size BETWEEN NULL AND 8) IS NULL AND eventName LIKE 'P%'":    "eventName|PutObject",
		"SELECT eventName FROM $ WHERE NOT 9 BETWEEN NULL AND 8 AND eventName LIKE 'P%'":                               "eventName|PutObject",
		"SELECT eventName FROM $ WHERE eventTime < '2026-01-01 10:00:00.500'":                                          "eventName|GetObject",
		"SELECT eventName FROM $ WHERE '2026-01-04T10:00:00Z' = eventTime":                                             "eventName|Decrypt",
		"SELECT eventName FROM $ WHERE eventTime > date_add('day', -2, now())":                                         "eventName|Decrypt",
		"SELECT date_trunc('month', eventTime) m, count(*) FROM $ GROUP BY date_trunc('month', eventTime)":             "m,_col1|2026-01-01 00:00:00.000,4",
		"SELECT date_trunc('week', current_timestamp) FROM $ LIMIT 1":                                                  "_col0|2026-01-05 00:00:00.000",
		"SELECT eventName FROM $ WHERE eventTime IN ('2026-01-01 10:00', from_iso8601_timestamp('nothing'))":           "eventName|GetObject",
		"SELECT eventName FROM $ WHERE errorCode IS DISTINCT FROM 'AccessDenied' AND eventSource = 's3.amazonaws.com'": "eventName|GetObject|PutObject",
		"SELECT eventName FROM $ WHERE errorCode IS NOT DISTINCT FROM NULL AND readOnly = 'false'":                     "eventName|PutObject",

		"SELECT eventName FROM $ WHERE NOT (errorCode = 'x')":                                                                                   "eventName|GetObject",
		"SELECT eventName FROM $ WHERE errorCode NOT IN ('x')":                                                                                  "eventName|GetObject",
		"SELECT eventName FROM $ WHERE errorCode NOT IN ('x', NULL)":                                                                            "eventName",
		"SELECT eventName FROM $ WHERE errorCode = NULL OR NOT errorCode = NULL":                                                                "eventName",
		"SELECT eventName FROM $ WHERE errorCode = 'x' OR readOnly":                                                                             "eventName|GetObject|GetObject|Decrypt",
		"SELECT eventName FROM $ WHERE NOT (errorCode = 'x' AND readOnly)":                                                                      "eventName|PutObject|GetObject",
		"SELECT userIdentity.userName FROM $ WHERE eventName LIKE 'P_t%' OR userIdentity.invokedBy = 'it''s'":                                   "userName|bob|",
		"SELECT element_at(requestParameters, 'key') AS k, resources[1].arn FROM $ WHERE requestParameters['bucketName'] = 'scans'":             "k,arn|a,arn:aws:s3:::scans/a|b,",
		"SELECT upper(eventName) FROM $ WHERE readOnly = false":                                                                                 "_col0|PUTOBJECT",
		"SELECT eventName FROM $ WHERE requestParameters.size = '7'":                                                                            "eventName|PutObject",
		"SELECT eventName FROM $ WHERE requestParameters.size > '8'":                                                                            "eventName|Decrypt",
		"SELECT eventName FROM $ WHERE requestParameters LIKE '%\"scans\"%' LIMIT 1":                                                            "eventName|GetObject",
		"SELECT substr(eventName, -6), substring(eventName, 1, 3), length(eventName), greatest(1, 3, 2), cardinality(resources) FROM $ LIMIT 1": "_col0,_col1,_col2,_col3,_col4|Object,Get,9,3,1",
		"SELECT eventName FROM $ WHERE any_match(resources, r -> r.arn = 'arn:aws:s3:::scans/a')":                                               "eventName|GetObject",
		"SELECT eventName FROM $ WHERE any_match(resources, x -> x.ARN LIKE '%/b' OR x.type = '')":                                              "eventName",
		"SELECT count(*) FROM $ WHERE any_match(resources, x -> x.ARN = 'y') IS NULL":                                                           "_col0|3",
		"SELECT any_match(resources, x -> x.ARN LIKE '%a'), count(*) FROM $ GROUP BY any_match(resources, x -> x.ARN LIKE '%a')":                "_col0,_col1|,3|true,1",
		"SELECT eventName FROM $ LIMIT 0":                                                                                                       "eventName",
		"SELECT count(*) FROM $ WHERE eventName = 'none'":                                                                                       "_col0|0",
		"SELECT eventName FROM $ ORDER BY errorCode NULLS FIRST, eventTime DESC":                                                                "eventName|Decrypt|PutObject|GetObject|GetObject",
		"SELECT eventTime FROM $ ORDER BY eventTime DESC LIMIT 1":                                                                               "eventTime|2026-01-04 10:00:00.000",
		"SELECT userIdentity.userName, count(*) FROM $ GROUP BY userIdentity.userName HAVING count(*) > 1":                                      "userName,_col1|bob,2",
		"SELECT eventName FROM $ GROUP BY eventName -- a remark":                                                                                "eventName|Decrypt|GetObject|PutObject",
		"SELECT userIdentity FROM $ WHERE eventName = 'PutObject';":                                                                             `userIdentity|{"type":"IAMUser","userName":"bob"}`,
		"SELECT \"eventName\" FROM \"$\" WHERE requestParameters.size >= 8":                                                                     "eventName|Decrypt",
	} {
		got, err := ask(statement, source, limits)
		if err != nil || got != want {
			t.Errorf("%s\n  is %s, %v\nwant %s", statement, got, err, want)
		}
	}
}

// What is no question is refused with words, and nothing but a question is one.
func TestOnlyQuestions(t *testing.T) {
	deep := strings.Repeat("(", 4000) + "1" + strings.Repeat(")", 4000)
	for _, statement := range []string{
		"", "SELECT", "DELETE FROM $", "DROP TABLE trail_records", "SELECT eventName FROM $; DROP TABLE x", "INSERT INTO $ VALUES (1)",
		"SELECT 'a FROM $", "SELECT eventName FROM $ WHERE eventName LIKE", "SELECT 1 FROM $ WHERE " + deep,
		"SELECT \xff FROM $", "SELECT 1 FROM $ WHERE eventName = \x00", "SELECT 1 FROM $ WHERE eventName ~ 'b'",
		"SELECT " + strings.Repeat("1,", 150) + "1 FROM $", "SELECT " + strings.Repeat("1,", 3000) + "1 FROM $", strings.Repeat("SELECT ", 2000),
		"SELECT lower(" + strings.Repeat("lower(", 60) + "eventName" + strings.Repeat(")", 61) + " FROM $",
		"SELECT 1 FROM $ GROUP BY " + strings.Repeat("eventName,", 30) + "eventName", "SELECT load_extension('x') FROM $",
		"SELECT 1 FROM $ WHERE count(*) > 1", "SELECT eventName, count(*) FROM $", "SELECT * FROM $ GROUP BY eventName",
		"SELECT 1 FROM $ GROUP BY count(*)", "SELECT count(count(*)) FROM $", "SELECT eventName FROM $ ORDER BY count(*)",
		"SELECT eventName FROM $ LIMIT -1", "SELECT eventName FROM $ LIMIT x", "SELECT eventName FROM $ LIMIT 99999999999999999999",
		"SELECT eventName FROM $ ORDER BY 2", "SELECT eventName FROM $ ORDER BY 0", "SELECT eventName FROM $ ORDER BY 'eventTime'",
		"SELECT eventName FROM $ WHERE requestParameters.size = 1e999", "SELECT substr(eventName) FROM $", "SELECT now(1) FROM $",
		// What an auditor would take for "nothing happened".
		"SELECT eventNme FROM $", "SELECT 1 FROM $ WHERE userIdentity.user = 'ada'", "SELECT 1 FROM $ WHERE eventTime > 'yesterday'",
		"SELECT 1 FROM $ WHERE eventTime > 5", "SELECT 1 FROM $ WHERE eventTime BETWEEN '2026-01-01' AND '2026-13-01'",
		"SELECT resources.ARN FROM $", "SELECT any_match(resources, r -> r.name = 'x') FROM $", "SELECT any_match(resources, 'x') FROM $",
		"SELECT any_match(resources, r -> any_match(resources, s -> s.ARN = r.ARN)) FROM $", "SELECT any_match(resources, r -> count(*) > 1) FROM $",
		"SELECT any_match(resources, r -> r.ARN = 'x'), r.ARN FROM $", "SELECT any_match(resources, FROM -> true) FROM $", "SELECT date_trunc('fortnight', eventTime) FROM $", "SELECT eventTime.x FROM $", "SELECT TIMESTAMP 'x' FROM $",
	} {
		s, err := lake.Parse(strings.ReplaceAll(statement, "$", store))
		var bad *lake.Invalid
		if !errors.As(err, &bad) || bad.Why == "" || len(bad.Why) > 300 {
			t.Errorf("%.80s is %+v, %v", statement, s, err)
		}
	}
	for statement, name := range map[string]string{
		"SELECT eventName FROM $ UNION SELECT eventName FROM $":                "UNION",
		"SELECT eventName FROM $ JOIN $ ON 1 = 1":                              "JOIN",
		"SELECT eventName FROM $ LEFT JOIN $ ON 1 = 1":                         "LEFT",
		"SELECT eventName FROM $, $":                                           "one event data store",
		"SELECT eventName FROM (SELECT eventName FROM $)":                      "FROM takes the id",
		"SELECT eventName FROM $ WHERE eventName IN (SELECT eventName FROM $)": "SELECT",
		"WITH x AS (SELECT 1) SELECT eventName FROM x":                         "only reads",
		"SELECT CASE WHEN true THEN 1 END FROM $":                              "CASE",
		"SELECT eventName FROM $ WHERE eventTime > now() - interval '7' day":   "-",
		"SELECT eventName FROM $ WHERE eventName LIKE 'a' ESCAPE 'b'":          "ESCAPE",
	} {
		if _, err := lake.Parse(strings.ReplaceAll(statement, "$", store)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v does not name %s", statement, err, name)
		}
	}
}

// endless has events without end, of which much is the same and much is not.
func endless(_ context.Context, _ lake.Hint, fn func([]byte) error) error {
	for i := 0; ; i++ {
		if err := fn(fmt.Appendf(nil, `{"eventName":"E%d","userAgent":"%s%d","requestParameters":{"n":%d}}`, i, strings.Repeat("x", 1000), i, i)); err != nil {
			return err
		}
	}
}

// A question ends at its limits, whatever it asks and however much there is.
func TestLimits(t *testing.T) {
	for _, statement := range []string{
		"SELECT count(*) FROM $", "SELECT eventName FROM $", "SELECT eventName, count(*) FROM $ GROUP BY eventName",
		"SELECT count(DISTINCT userAgent), eventName FROM $ GROUP BY eventName", "SELECT min(userAgent), max(userAgent), eventName FROM $ GROUP BY eventName",
		"SELECT DISTINCT eventName FROM $", "SELECT userAgent FROM $ ORDER BY userAgent", "SELECT userAgent FROM $ ORDER BY userAgent LIMIT 5000000000",
		"SELECT count(DISTINCT eventName) FROM $", "SELECT eventName FROM $ WHERE eventName = 'none'", "SELECT userAgent FROM $ ORDER BY userAgent LIMIT 10",
		"SELECT requestParameters, count(*) FROM $ GROUP BY requestParameters",
	} {
		for _, l := range []lake.Limits{
			{Events: 3000, Rows: 100, Bytes: 1 << 30, Memory: 1 << 30}, {Events: 3000, Rows: 1 << 30, Bytes: 1 << 30, Memory: 10_000},
			{Events: 3000, Rows: 1 << 30, Bytes: 1 << 30, Memory: 1 << 30},
		} {
			if got, err := ask(statement, endless, l); !errors.Is(err, lake.ErrTooMuch) {
				t.Errorf("%s: %.80s, %v", statement, got, err)
			}
		}
	}
	some := func(n int) lake.Source {
		return func(ctx context.Context, h lake.Hint, fn func([]byte) error) error {
			stop := errors.New("stop")
			err := endless(ctx, h, func(e []byte) error {
				if n--; n < 0 {
					return stop
				}
				return fn(e)
			})
			if errors.Is(err, stop) {
				return nil
			}
			return err
		}
	}
	if _, err := ask("SELECT userAgent FROM $", some(50), lake.Limits{Events: 100, Rows: 100, Bytes: 10_000, Memory: 1 << 20}); !errors.Is(err, lake.ErrTooMuch) {
		t.Errorf("a result of too many bytes: %v", err)
	}
	// What is ordered and cut fits where the whole does not.
	if got, err := ask("SELECT requestParameters.n AS n, userAgent u FROM $ ORDER BY n DESC LIMIT 1", some(5000), lake.Limits{Events: 5000, Rows: 100, Bytes: 10_000, Memory: 1 << 20}); err != nil || !strings.HasPrefix(got, "n,u|4999,xxx") {
		t.Errorf("%.50s, %v", got, err)
	}
	if got, err := ask("SELECT DISTINCT length(eventName) AS l FROM $ ORDER BY l DESC LIMIT 2", some(5000), lake.Limits{Events: 5000, Rows: 100, Bytes: 10_000, Memory: 1 << 20}); err != nil || got != "l|5|4" {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := ask("SELECT eventName FROM $ LIMIT 2", endless, limits); err != nil || got != "eventName|E0|E1" {
		t.Errorf("%s, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := lake.Parse("SELECT count(*) FROM " + store)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(ctx, endless, lake.Limits{Events: 1 << 60, Rows: 10, Bytes: 1 << 30, Memory: 1 << 30}, now); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A pattern that is made to take long on a text that is made for it ends the question.
func TestPatternsEnd(t *testing.T) {
	hostile := func(_ context.Context, _ lake.Hint, fn func([]byte) error) error {
		return fn(fmt.Appendf(nil, `{"eventName":"E","requestParameters":{"key":%q}}`, strings.Repeat("a", 200_000)))
	}
	for _, where := range []string{"requestParameters.key LIKE '%" + strings.Repeat("a", 9000) + "b'", "eventName = 'E' AND NOT requestParameters LIKE '%" + strings.Repeat("_a", 4000) + "b'"} {
		for _, statement := range []string{"SELECT count(*) FROM $ WHERE " + where, "SELECT " + where + " FROM $", "SELECT count(*) FROM $ GROUP BY " + where} {
			if got, err := ask(statement, hostile, limits); !errors.Is(err, lake.ErrTooMuch) {
				t.Errorf("%.40s: %.50s, %v", statement, got, err)
			}
		}
	}
}

// A condition on the elements of a list costs no more than its bound, whatever it shows,
// looks for and compares for each of them.
func TestConditionsOnElementsEnd(t *testing.T) {
	var members strings.Builder
	for i := range 700 {
		fmt.Fprintf(&members, `,"k%d":1`, i)
	}
	event := `{"eventName":"E","requestParameters":{"list":[1` + strings.Repeat(",1", 4000) + `]` + members.String() + `}}`
	hostile := func(_ context.Context, _ lake.Hint, fn func([]byte) error) error { return fn([]byte(event)) }
	for _, part := range []string{
		"requestParameters = 'a'", "'~' < requestParameters", "lower(requestParameters) = 'a'", "requestParameters IN ('a', 'b')",
		"requestParameters.none = 'a'", "requestParameters LIKE 'a%'", "element_at(x, requestParameters) = 'a'", "x LIKE requestParameters", "requestParameters IS DISTINCT FROM 'a' AND x = 2",
		"length('" + strings.Repeat("a", 30) + "') = 'a'",
	} {
		where := "any_match(requestParameters.list, x -> " + part + strings.Repeat(" OR "+part, min(100, 3600/len(part))) + ")"
		if got, err := ask("SELECT count(*) FROM $ WHERE "+where, hostile, limits); !errors.Is(err, lake.ErrTooMuch) {
			t.Errorf("%s: %.50s, %v", part, got, err)
		}
	}
	if got, err := ask("SELECT count(*) FROM $ WHERE any_match(requestParameters.list, x -> x = 2 OR x = 1 AND requestParameters LIKE '%k699%')", hostile, limits); err != nil || got != "_col0|1" {
		t.Errorf("%.50s, %v", got, err)
	}
}

// Members that differ in case alone, which a caller can send, have one answer.
func TestAmbiguousMembers(t *testing.T) {
	twice := func(_ context.Context, _ lake.Hint, fn func([]byte) error) error {
		return fn([]byte(`{"eventName":"E","requestParameters":{"Key":"1","kEy":"2","keY":"3"}}`))
	}
	for range 50 {
		if got, err := ask("SELECT requestParameters.key FROM $", twice, limits); err != nil || got != "key|1" {
			t.Fatalf("%s, %v", got, err)
		}
	}
}

// What nests is asked once, however it nests.
func TestNestedQuestionsEnd(t *testing.T) {
	for _, part := range []string{" BETWEEN 1 AND 2)", " IN (1, 2))", " IS DISTINCT FROM 1)", " IS NULL)"} {
		const deep = 45
		nested := strings.Repeat("(", deep) + "eventName" + strings.Repeat(part, deep)
		for _, statement := range []string{"SELECT 1 FROM $ WHERE " + nested, "SELECT count(" + nested + ") FROM $", "SELECT count(*), " + nested + " FROM $ GROUP BY " + nested + " ORDER BY " + nested} {
			if _, err := ask(statement, source, limits); err != nil {
				t.Errorf("%.60s: %v", statement, err)
			}
		}
	}
}

// An event that is made to be unreadable is seen, and keeps no other from being seen.
func TestUnreadableEvents(t *testing.T) {
	for _, hostile := range []string{`{"n":1e999}`, `{"a":1,"a":2}`, "{\"a\":\"\xff\"}"} {
		among := func(ctx context.Context, h lake.Hint, fn func([]byte) error) error {
			if err := fn([]byte(`{"eventName":"Hostile","requestParameters":` + hostile + `}`)); err != nil {
				return err
			}
			return source(ctx, h, fn)
		}
		if got, err := ask("SELECT eventName FROM $ WHERE eventName = 'Hostile' AND requestParameters IS NOT NULL OR readOnly = false", among, limits); err != nil || got != "eventName|Hostile|PutObject" {
			t.Errorf("%q: %s, %v", hostile, got, err)
		}
	}
}

// A hint leaves out nothing that is asked for.
func TestHints(t *testing.T) {
	for where, want := range map[string]lake.Hint{
		"eventName = 'A' AND eventTime >= '2026-01-01' AND (errorCode = 'y' OR errorMessage = 'w')": {Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Equal: map[string]string{"eventname": "A"}},
		"eventName = 'A' OR userIdentity.accessKeyId = 'B'":                                         {Equal: map[string]string{}},
		"NOT (eventName = 'A')": {Equal: map[string]string{}},
		"eventName = errorCode": {Equal: map[string]string{}},
		"eventName <> 'A'":      {Equal: map[string]string{}},
		"eventName IN ('A')":    {Equal: map[string]string{}},
		"any_match(resources, r -> r.arn = 'C' AND r.type = 'D') AND readOnly": {Equal: map[string]string{"resources.*.arn": "C", "resources.*.type": "D"}},
		"any_match(resources, r -> r.ARN = 'C' OR r.type = 'D')":               {Equal: map[string]string{}},
		"NOT any_match(resources, r -> r.ARN = 'C')":                           {Equal: map[string]string{}},
		"any_match(resources, r -> r.ARN = r.type)":                            {Equal: map[string]string{}},
		"'A' = eventName": {Equal: map[string]string{"eventname": "A"}},
		"eventTime BETWEEN '2026-01-01' AND '2026-01-02'":                                        {Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Equal: map[string]string{}},
		"NOT eventTime BETWEEN '2026-01-01' AND '2026-01-02'":                                    {Equal: map[string]string{}},
		"eventTime > date_add('day', -1, now())":                                                 {Since: now.AddDate(0, 0, -1), Equal: map[string]string{}},
		"'2026-01-02' > eventTime AND eventTime > '2026-01-01' AND '2025-01-01' < eventTime":     {Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Equal: map[string]string{}},
		"userIdentity.accessKeyId = 'B' AND resources[1].ARN = 'C' AND eventTime = '2026-01-02'": {Since: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Equal: map[string]string{"useridentity.accesskeyid": "B", "resources.1.arn": "C"}},
	} {
		s, err := lake.Parse("SELECT count(*) FROM " + store + " WHERE " + where)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Run(t.Context(), func(_ context.Context, h lake.Hint, _ func([]byte) error) error {
			if fmt.Sprint(h) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v", where, h, want)
			}
			return nil
		}, limits, now)
		if err != nil {
			t.Error(err)
		}
	}
}

// The queries that AWS's guide shows are understood.
func TestGuide(t *testing.T) {
	for _, statement := range []string{
		"SELECT userIdentity.principalid, eventName FROM $ WHERE userIdentity.principalid IS NOT NULL AND eventTime > '2023-01-22 00:00:00' AND eventTime < '2023-01-23 00:00:00' AND eventName='CreateBucket'",
		"SELECT eventID, eventName, eventSource, eventTime FROM $ WHERE userIdentity.username = 'bob' AND eventTime > '2023-01-22 00:00:00'",
		"SELECT eventSource, eventName, COUNT(*) AS apiCount FROM $ WHERE eventTime > '2023-01-01 00:00:00' GROUP BY eventSource, eventName ORDER BY apiCount DESC",
		"SELECT eventTime, useridentity.arn, awsRegion FROM $ WHERE awsRegion in ('us-east-1', 'us-west-2') AND eventName = 'ConsoleLogin'",
		"SELECT element_at(responseElements, 'queryId'), element_at(requestParameters, 'queryStatement') FROM $ WHERE eventName='StartQuery' AND eventSource = 'cloudtrail.amazonaws.com' AND responseElements IS NOT NULL",
	} {
		if got, err := ask(statement, source, limits); err != nil {
			t.Errorf("%s: %s, %v", statement, got, err)
		}
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add("SELECT userIdentity.arn, requestParameters['c'], count(DISTINCT errorCode) FROM "+store+" WHERE eventName LIKE '%f' AND NOT userAgent IN (1, 'h') GROUP BY 1, 2 HAVING count(*) > -1 ORDER BY 1 DESC LIMIT 3;", events[0])
	f.Add("SELECT date_add('day', -2147483647, eventTime) t, greatest(1, '2'), substr(eventName, -2, 9) FROM "+store+" WHERE eventTime BETWEEN '2026-01-01' AND now() ORDER BY t NULLS FIRST", events[1])
	f.Add("SELECT any_match(resources, r -> r.ARN = 'x' AND r.type IS NULL) FROM "+store, events[0])
	f.Add("SELECT DISTINCT * FROM "+store+" WHERE errorCode IS DISTINCT FROM NULL OR resources[1].ARN <> 'x'", events[2])
	f.Fuzz(func(t *testing.T, statement, event string) {
		s, err := lake.Parse(statement)
		if err != nil {
			var bad *lake.Invalid
			if !errors.As(err, &bad) {
				t.Fatal(err)
			}
			return
		}
		one := func(ctx context.Context, h lake.Hint, fn func([]byte) error) error {
			if err := source(ctx, h, fn); err != nil {
				return err
			}
			if !strings.HasPrefix(event, "{") {
				return nil
			}
			return fn([]byte(event))
		}
		r, err := s.Run(context.Background(), one, limits, now)
		if err != nil {
			return
		}
		for _, row := range r.Rows {
			if len(row) != len(r.Columns) {
				t.Fatalf("a row of %d cells under %d columns", len(row), len(r.Columns))
			}
		}
	})
}
