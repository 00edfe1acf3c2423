package source_test

import (
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// What is not text could be sent to no server and written to no file: the
// folder is named before anything is predicted.
func TestFoldersThatNameNoTextAreRefused(t *testing.T) {
	for _, folderName := range []string{"c=%ff", "c=\xff", "%ff=1", "c=%zz"} {
		t.Run(folderName, func(t *testing.T) {
			dir := folder(t, map[string]string{folderName + "/x.csv": "id\n1\n"})
			in := api.Input{Files: &api.InputFiles{URI: dir + "/*/*.csv", Format: api.FormatCSV, HivePartitions: new(true)}}
			_, err := inputs.Find(t.Context(), in, occasion, []string{"id"})
			if err == nil {
				t.Fatal("the folder was taken")
			}
			for _, want := range []string{dir, `folder "`, "input.files.hive_partitions = false"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v does not say %s", err, want)
				}
			}
		})
	}
}
