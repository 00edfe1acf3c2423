package api

import "testing"

func TestAQueryThatGivesAPartOfItsRowsIsFound(t *testing.T) {
	for query, want := range map[string]string{
		"SELECT id FROM t":                                        "",
		"SELECT id FROM t LIMIT 2":                                "LIMIT",
		"select id from t order by at limit 2":                    "LIMIT",
		"SELECT id FROM t OFFSET 2 ROWS":                          "OFFSET",
		"SELECT id FROM t ORDER BY 1 FETCH FIRST ROW ONLY":        "FETCH",
		"SELECT id FROM t TABLESAMPLE SYSTEM (10)":                "TABLESAMPLE",
		"(SELECT id FROM t LIMIT 2)":                              "LIMIT",
		"SELECT * FROM (SELECT id FROM t LIMIT 2) AS q":           "LIMIT",
		"WITH q AS (SELECT id FROM t LIMIT 2) SELECT * FROM q":    "LIMIT",
		"SELECT id FROM t WHERE id IN (SELECT id FROM u LIMIT 2)": "LIMIT",
		// A value of each row is no part of the rows.
		"SELECT id, (SELECT p FROM u WHERE u.id = t.id ORDER BY at DESC LIMIT 1) AS p FROM t":    "",
		"SELECT id FROM t JOIN LATERAL (SELECT p FROM u WHERE u.id = t.id LIMIT 1) AS p ON true": "",
		"SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u LIMIT 1)":                                "",
		"SELECT id FROM t -- LIMIT 2":                                           "",
		"SELECT 'LIMIT 2' AS x, \"limit\", t.limit, offset, speed_limit FROM t": "",
	} {
		if got := partialBy(query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

func TestAMarkIsADateOrATimeInUTCUnlessItSaysAnotherZone(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-03": "2026-01-03T00:00:00Z", "2026-01-03T18:00:00Z": "2026-01-03T18:00:00Z", "2026-01-03T18:00:00.123456+01:00": "2026-01-03T17:00:00.123456Z",
		"2026-01-03 18:00": "2026-01-03T18:00:00Z", "2026-01-03 18:00:00.5": "2026-01-03T18:00:00.5Z", "2026-01-03 18:00:00+02:00": "2026-01-03T16:00:00Z",
	} {
		at, ok := ParseMark(text)
		if got := at.Format("2006-01-02T15:04:05.999999999Z07:00"); !ok || got != want {
			t.Errorf("%s: %s, %t", text, got, ok)
		}
	}
	for _, text := range []string{"soon", "03.01.2026", "7", "2026-13-01", "2026-01-03T18", ""} {
		if at, ok := ParseMark(text); ok {
			t.Errorf("%q is %s", text, at)
		}
	}
}
