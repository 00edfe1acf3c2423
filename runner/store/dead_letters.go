package store

import (
	"database/sql"
	"encoding/json"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// PlacedDeadLetter is a dead letter with its record's place in the mini-batch.
type PlacedDeadLetter struct {
	api.DeadLetter
	Position int64
	Row      RowHashes // in mode "predicate"
}

func (t *Tx) insertDeadLetters(run string, miniBatch int64, letters []PlacedDeadLetter) error {
	for _, letter := range letters {
		if err := t.exec(`INSERT INTO dead_letters (run_id, mini_batch, line, position, key, input, body) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			run, miniBatch, letter.Source.Line, letter.Position, letter.Row.Key, letter.Row.Input, encode(letter.DeadLetter)); err != nil {
			return err
		}
	}
	return nil
}

// DeadPlaces are the places in a mini-batch of its dead letters.
func (s *Store) DeadPlaces(run string, miniBatch int64) (map[int64]bool, error) {
	return s.places(`SELECT position FROM dead_letters WHERE run_id = $1 AND mini_batch = $2`, run, miniBatch)
}

// RedrivenPlaces are those of dead letters that were predicted when they were
// sent again, which is not visible yet.
func (s *Store) RedrivenPlaces(run string, miniBatch int64) (map[int64]bool, error) {
	return s.places(`SELECT position FROM dead_letters WHERE run_id = $1 AND mini_batch = $2 AND redriven = 1`, run, miniBatch)
}

func (s *Store) places(query, run string, miniBatch int64) (map[int64]bool, error) {
	places, err := list(s.reader(), func(rows *sql.Rows) (place int64, err error) {
		err = rows.Scan(&place)
		return place, err
	}, query, run, miniBatch)
	set := map[int64]bool{}
	for _, place := range places {
		set[place] = true
	}
	return set, err
}

// DeadLetters calls yield for each dead letter of a run, in input order.
func (s *Store) DeadLetters(run string, yield func(api.DeadLetter) error) error {
	rows, err := s.readDB.Query(`SELECT body FROM dead_letters WHERE run_id = $1 AND redriven = 0 ORDER BY mini_batch, position`, run)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	for rows.Next() {
		var (
			body   string
			letter api.DeadLetter
		)
		if err := rows.Scan(&body); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(body), &letter); err != nil {
			return err
		}
		if err := yield(letter); err != nil {
			return err
		}
	}
	return rows.Err()
}
