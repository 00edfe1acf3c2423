package source_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// spooled makes a file of the run's spool from ids.
func spooled(t *testing.T, in *source.Inputs, ids ...string) source.File {
	t.Helper()
	file := source.File{Path: source.QueryName, Format: api.FormatJSONL, StartLine: 1, SpoolRun: in.Run, Types: []api.Column{{Name: "id"}, {Name: "of"}}}
	var err error
	file.Spool, file.SpoolSize, err = in.Spool(t.Context(), "rows", ".jsonl", func(w io.Writer) error {
		_, err := io.WriteString(w, `{"id":`+strings.Join(ids, "}\n"+`{"id":`)+"}\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestNewerRecordsStandForOwedOnes(t *testing.T) {
	in := spooling(t)
	line := int64(len(`{"id":1}` + "\n"))
	old := spooled(t, in, "1", "2", "3", "4", "5", "6")
	lost := old
	lost.Spool = "spool/lost.jsonl"
	owed := []source.Owed{
		{old, source.Stretch{Offset: 0, Length: 2 * line, FirstLine: 1}},           // 1 2
		{lost, source.Stretch{Offset: 0, Length: 2 * line, FirstLine: 1}},          // nobody knows
		{old, source.Stretch{Offset: 2 * line, Length: line, FirstLine: 3}},        // 3
		{old, source.Stretch{Offset: 3 * line, Length: 3 * line, FirstLine: 4}},    // 4 5 6
		{spooled(t, in, "8", "4"), source.Stretch{Length: 2 * line, FirstLine: 1}}, // once more
	}
	found, err := in.Supersede(t.Context(), owed, []source.File{spooled(t, in, "7", "4"), spooled(t, in, `"6"`, "9", "3")}, []string{"id"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if found.Records != 4 || len(found.Stretches) != 3 || !found.Stretches[2] || !found.Stretches[3] || !found.Stretches[4] {
		t.Errorf("found %+v", found)
	}
	if got := rowsOf(t.Context(), t, in, []source.File{*found.Rest}, "id"); !slices.Equal(got, []string{"1:5", "2:8"}) {
		t.Errorf("the rest is %q", got)
	}
	found, err = in.Supersede(t.Context(), owed[2:3], []source.File{spooled(t, in, "3", "3")}, []string{"id"}, nil)
	if err != nil || found.Records != 1 || found.Rest != nil {
		t.Errorf("found %+v, %v", found, err)
	}
	found, err = in.Supersede(t.Context(), owed, []source.File{spooled(t, in, "10")}, []string{"id"}, nil)
	if err != nil || found.Records != 0 || len(found.Stretches) != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
}
