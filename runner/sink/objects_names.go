package sink

import (
	"fmt"
	"iter"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// objectForm are the names, beside those of every published folder, that runs
// give to objects; most hold a revision.
var objectForm = regexp.MustCompile(`^(?:(?:[^._][^/]*|_DEAD_LETTERS|_CLAIM)\.r([0-9]{1,18})\.(?:csv|jsonl|json|parquet)|` + regexp.QuoteMeta(probePrefix) + `.*)$`)

// revised is a file's name with its revision.
func revised(name string, revision int64) string {
	at := strings.LastIndexByte(name, '.')
	return fmt.Sprintf("%s.r%d%s", name[:at], revision, name[at:])
}

// revisionOf is the revision in a name; 0: there is none.
func revisionOf(name string) int64 {
	form := objectForm.FindStringSubmatch(path.Base(name))
	if form == nil || form[1] == "" {
		return 0
	}
	revision, _ := strconv.ParseInt(form[1], 10, 64) // so few digits always fit
	return revision
}

// partitionKeys are the columns that the folders of a name are partitions by, as
// "country=/kind="; ok: all of its folders are partitions.
func partitionKeys(name string) (keys string, ok bool) {
	folders := strings.Split(name, "/")
	for _, folder := range folders[:len(folders)-1] {
		column, _, is := strings.Cut(folder, "=")
		if !is {
			return "", false
		}
		keys += column + "=/"
	}
	return keys, true
}

// ownNames tells what runs of a job may have written into a folder: of the
// folders in it only those that are partitions by the job's columns, since any
// others may be another job's.
type ownNames map[string]bool // of partitionKeys

func (o ownNames) wrote(name string) bool {
	keys, ok := partitionKeys(name)
	return ok && o[keys] && objectForm.MatchString(path.Base(name))
}

// with are the names by the folder's own layout, and by that of what is
// published there.
func (f objectFolder) with(m *Manifest) ownNames {
	own := ownNames{"": true}
	for _, keys := range append(m.partitions(), f.partitions...) {
		own[keys] = true
	}
	return own
}

// partitions are the partitionKeys of the parts.
func (m *Manifest) partitions() (all []string) {
	for name := range m.names() {
		if keys, ok := partitionKeys(name); ok && !slices.Contains(all, keys) {
			all = append(all, keys)
		}
	}
	return all
}

// names are those of the parts; of no manifest none.
func (m *Manifest) names() iter.Seq[string] {
	return func(yield func(string) bool) {
		if m == nil {
			return
		}
		for _, part := range m.Parts {
			if !yield(part.Name) {
				return
			}
		}
	}
}

// partitions are the partitionKeys of what a layout makes.
func (l layout) partitions() (keys string) {
	for _, column := range l.partitionBy {
		keys += string(appendEscaped(nil, column, hiveEscaped)) + "=/"
	}
	return keys
}
