package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// TestTheExampleFromACronJob replaces the script by a job, and proves that
// nothing has changed, as its README does.
func TestTheExampleFromACronJob(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("the example wants python3, and there is none in PATH")
	}
	w := newWorkspace(t)
	w.dataDir = filepath.Join(w.dir, "runner")
	example := filepath.Join(w.dir, "example") // a copy: Python writes beside its modules
	if err := os.CopyFS(example, os.DirFS("../../examples/from-cronjob")); err != nil {
		t.Fatal(err)
	}
	iris, err := os.ReadFile("../../examples/quickstart/iris.csv")
	if err != nil {
		t.Fatal(err)
	}
	input, old := filepath.Join(w.dir, "iris.csv"), filepath.Join(w.dir, "old.csv")
	if err := os.WriteFile(input, iris, 0o600); err != nil {
		t.Fatal(err)
	}
	before := exec.CommandContext(t.Context(), filepath.Join(example, "before", "predict.py"), input, old)
	if output, err := before.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}

	w.example("from-cronjob/after/main.tf")
	w.writeTo("terraform.tfvars", `folder = "`+w.dir+`"`+"\n"+`program = "`+filepath.Join(example, "after", "score.py")+`"`)
	w.apply()
	w.nothingToDo()
	c := w.client()
	defer c.Close()
	status, err := c.Status(t.Context(), "iris-nightly")
	if err != nil || status.LastRun == nil || status.LastRun.State != api.RunSucceeded {
		t.Fatalf("the first run: %+v, %v", status.LastRun, err)
	}

	diff := func(against string) (string, int) {
		command := exec.CommandContext(t.Context(), installed.runner, "diff", status.LastRun.ID, "--against", against, "--key", "id", "--tolerance", "1e-9", "--fail-on", "any")
		command.Env = []string{"BATCH_ENDPOINT=" + w.endpoint(), "TMPDIR=" + os.TempDir()}
		output, err := command.CombinedOutput()
		if command.ProcessState == nil {
			t.Fatal(err)
		}
		return string(output), command.ProcessState.ExitCode()
	}
	output, code := diff(old)
	has(t, output, "equal 150", "differ 0", "missing 0", "extra 0", "compared: distance, label")
	if code != 0 {
		t.Errorf("diff ends with %d", code)
	}
	if err := os.WriteFile(old, []byte("id,label,distance\n1,virginica,0.5\n999,setosa,0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	output, code = diff(old)
	has(t, output, "equal 0", "differ 1", "missing 1", "extra 149", "differ id=1: distance is 0.14135062787267663, and 0.5 in", "missing id=999", "extra id=2")
	if code != 3 {
		t.Errorf("diff of what differs ends with %d", code)
	}
	w.terraform("destroy", "-auto-approve")
}
