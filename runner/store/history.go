package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// generation is one version of a job as it was declared.
type generation struct {
	api.Generation
	spec     json.RawMessage
	settings json.RawMessage
}

const generationsOf = `SELECT generation, at, actor, owner, reason, spec, settings FROM job_generations
	WHERE uid = $1 AND generation < $2 ORDER BY generation DESC LIMIT $3`

// History tells how a job's specification came about, the newest generation
// first: those before one, or from the newest on where before is 0.
func (s *Store) History(uid string, before int64, limit int) ([]api.Generation, error) {
	if before <= 0 {
		before = 1 << 62
	}
	// One more, to compare the oldest of them with.
	all, err := list(s.reader(), scanGeneration, generationsOf, uid, before, limit+1)
	if err != nil {
		return nil, fmt.Errorf("read the history of job %s: %w", uid, err)
	}
	told := make([]api.Generation, 0, len(all))
	for i := range all[:min(len(all), limit)] {
		g := all[i].Generation
		g.Changes = []api.Change{}
		if i+1 < len(all) {
			if g.Changes, err = changes(all[i+1], all[i]); err != nil {
				return nil, fmt.Errorf("compare generation %d of job %s with the one before: %w", g.Generation, uid, err)
			}
		}
		told = append(told, g)
	}
	return told, nil
}

func scanGeneration(rows *sql.Rows) (g generation, err error) {
	err = rows.Scan(&g.Generation.Generation, instant{&g.At}, &g.Actor, &g.Owner, &g.Reason, document{&g.spec}, document{&g.settings})
	return g, err
}

// keepGeneration records what a job is declared to be from now on, who
// declared it and why.
func (t *Tx) keepGeneration(j Job) error {
	return t.exec(`INSERT INTO job_generations (uid, generation, spec, settings, owner, actor, reason, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		j.UID, j.Generation, encode(j.Spec), encode(j.Settings), j.Owner, j.Actor, j.Reason, nanos(t.Now))
}

// changes are the values that differ between two generations, by path: those
// of the specification, then settings.… and owner.
func changes(old, now generation) ([]api.Change, error) {
	changed, err := diff("", old.spec, now.spec)
	if err != nil {
		return nil, err
	}
	settings, err := diff("settings", old.settings, now.settings)
	if err != nil {
		return nil, err
	}
	changed = append(changed, settings...)
	if old.Owner != now.Owner {
		changed = append(changed, api.Change{Path: "owner", From: old.Owner, To: now.Owner})
	}
	return changed, nil
}

// diff compares two documents value by value.
func diff(root string, old, now json.RawMessage) ([]api.Change, error) {
	before, after := map[string]string{}, map[string]string{}
	for text, values := range map[*json.RawMessage]map[string]string{&old: before, &now: after} {
		if len(*text) == 0 {
			continue
		}
		var document any
		if err := json.Unmarshal(*text, &document); err != nil {
			return nil, err
		}
		flatten(root, document, values)
	}
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	changed := []api.Change{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if before[path] != after[path] && !opened(path, before, after) && !opened(path, after, before) {
			changed = append(changed, api.Change{Path: path, From: before[path], To: after[path]})
		}
	}
	return changed, nil
}

// opened tells that a list or map is empty on one side and has members on the
// other, which say it all.
func opened(path string, empty, other map[string]string) bool {
	if value := empty[path]; value != "[]" && value != "{}" {
		return false
	}
	for member := range other {
		if strings.HasPrefix(member, path+"[") || strings.HasPrefix(member, path+".") {
			return true
		}
	}
	return false
}

// flatten lists a document's values by dotted path. An empty one is written as
// JSON, so that it can be told from one that is absent.
func flatten(path string, value any, into map[string]string) {
	switch value := value.(type) {
	case map[string]any:
		if len(value) == 0 && path != "" {
			into[path] = "{}"
		}
		for name, member := range value {
			inner := name
			if path != "" {
				inner = path + "." + name
			}
			flatten(inner, member, into)
		}
	case []any:
		if len(value) == 0 {
			into[path] = "[]"
		}
		for i, element := range value {
			flatten(path+"["+strconv.Itoa(i)+"]", element, into)
		}
	case string:
		if into[path] = value; value == "" {
			into[path] = `""`
		}
	case float64:
		into[path] = strconv.FormatFloat(value, 'f', -1, 64)
	case nil:
		into[path] = "null"
	default:
		into[path] = fmt.Sprint(value)
	}
}
