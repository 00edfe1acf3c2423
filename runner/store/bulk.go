package store

import "strings"

// bulkSizes are the numbers of rows that one statement writes, largest first:
// few, so that statements stay prepared. A row in a large statement costs a
// fraction of a statement of its own.
var bulkSizes = [...]int{200, 20, 1}

// bulk is rows of values that one kind of statement writes.
type bulk struct {
	// row is what stands for one, where not all its values are bound.
	row     string
	columns int // that are bound
	values  []any
}

func (b *bulk) add(values ...any) {
	b.columns = len(values)
	b.values = append(b.values, values...)
}

// write executes a statement over all rows, several at a time. The statement
// reads them from {rows}, as column1, column2, …; each row must make it touch
// one row, or the error is ErrFenced.
func (b *bulk) write(t *Tx, statement string) error {
	rest := b.values
	for _, rows := range bulkSizes {
		for size := rows * b.columns; len(rest) >= size && len(rest) > 0; rest = rest[size:] {
			n, err := t.changed(b.expand(statement, rows), rest[:size]...)
			if err == nil && n != int64(rows) {
				err = ErrFenced
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// expand puts in the rows. Binds have no numbers here: SQLite would look each
// up by its name, among all of them.
func (b *bulk) expand(statement string, rows int) string {
	row := b.row
	if row == "" {
		row = "(" + strings.Repeat("?, ", b.columns-1) + "?)"
	}
	return strings.Replace(statement, "{rows}", "VALUES "+strings.Repeat(row+", ", rows-1)+row, 1)
}
