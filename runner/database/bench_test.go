package database_test

import (
	"fmt"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
)

// The rate at which rows of a table of 40,000 are updated, in mini-batches of
// 1,000 and of 10,000 rows, one after the other.
func BenchmarkUpdate(b *testing.B) {
	for _, kind := range databasetest.Kinds {
		for _, size := range []int{1000, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) {
				dsn := databasetest.New(b, kind)
				db, table := open(b, dsn), items(b, dsn, 40_000)
				check(b, db, table)
				n := 0
				for b.Loop() {
					c := commit(table)
					c.Unit, c.Rows, c.Records = fmt.Sprint(n), numbered(1+n*size%40_000, size), int64(size)
					wrote(b, db, c, database.Result{Written: int64(size)})
					n++
				}
				b.ReportMetric(float64(n*size)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, kind := range databasetest.Kinds {
		b.Run(kind, func(b *testing.B) {
			dsn := databasetest.New(b, kind)
			db := open(b, dsn)
			const n = 100_000
			query := database.Query{Text: series(dsn, "SELECT n, n + 1 AS a, n + 2 AS b, n + 0.5 AS c", n)}
			for b.Loop() {
				rows, err := db.Read(b.Context(), query)
				if err != nil {
					b.Fatal(err)
				}
				var line []byte
				for rows.Next() {
					line = rows.AppendJSON(line[:0])
				}
				if rows.Err() != nil {
					b.Fatal(rows.Err())
				}
				_ = rows.Close()
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
