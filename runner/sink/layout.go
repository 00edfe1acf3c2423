package sink

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// A local folder has a file for each mini-batch, unless its layout says
// otherwise:
//
//	single            output.jsonl: everything
//	per_input_file    iris.jsonl: what was predicted for iris.csv.gz
//	partition_by      country=DE/part-000001.jsonl: the records with that value
//
// Such files are made while the folder is assembled, of the same staged parts
// and in input order, so that their bytes follow from the plan and the
// predictions alone. No mini-batch can be taken out of them again: layout_kept.go
// tells where the next revision has its records from.
type layout struct {
	name        string
	partitionBy []string
}

func layoutOf(out api.OutputFiles) layout { return layout{out.Layout, out.PartitionBy} }

// merged tells whether a file may be of several mini-batches.
func (l layout) merged() bool {
	return len(l.partitionBy) > 0 || l.name == api.LayoutSingle || l.name == api.LayoutPerInputFile
}

// KeepsParts tells whether the parts of a published run stay staged, as the
// only place in which its next revision finds them, while there is something
// left that such a revision could better.
func KeepsParts(out api.OutputFiles, c api.Counts) bool { return layoutOf(out).keepsParts(c) }

func (l layout) keepsParts(c api.Counts) bool { return l.merged() && c.Committed < c.Planned }

// lay puts the files into publish/ that hold the parts' records, and gives
// their entries in the manifest.
func (f *Files) lay(now published, p Publication) ([]ManifestPart, error) {
	switch {
	case len(f.layout.partitionBy) > 0:
		return f.layPartitions(now, p)
	case f.layout.name == api.LayoutSingle:
		name := "output." + f.format
		return f.layMerged(now, p, []string{name}, func(PublishedPart) (string, error) { return name, nil })
	case f.layout.name == api.LayoutPerInputFile:
		names := inputNames(p.Inputs, f.format)
		return f.layMerged(now, p, slices.Sorted(maps.Values(names)), func(part PublishedPart) (string, error) {
			if part.Input < 0 || part.Input >= len(p.Inputs) {
				return "", fmt.Errorf("mini-batch %d is of no input file", part.MiniBatch)
			}
			return names[p.Inputs[part.Input]], nil
		})
	}
	return p.Manifest.Parts, f.layParts(now, p)
}

// layParts gives each part its own place.
func (f *Files) layParts(now published, p Publication) error {
	for i, part := range p.Manifest.Parts {
		from, err := f.locate(now, p.Parts[i])
		if err != nil {
			return err
		}
		if err := f.take(from, filepath.Join(f.publishing(), part.Name), part); err != nil {
			return err
		}
	}
	return nil
}

// checkOnce fails where a mini-batch is listed twice; parts are in order.
func checkOnce(parts []PublishedPart) error {
	for i, part := range parts {
		if i > 0 && part.MiniBatch == parts[i-1].MiniBatch {
			return fmt.Errorf("mini-batch %d has two parts", part.MiniBatch)
		}
	}
	return nil
}

// unlayable says that the predictions can't be laid out as the job wants it:
// trying again does not help.
func unlayable(hint, format string, args ...any) error {
	return api.Fail(api.ReasonPublish, hint+" and run the occurrence again", fmt.Errorf(format, args...))
}

// sameFingerprint is that of all the parts, none where they differ.
func sameFingerprint(parts []PublishedPart) string {
	for _, part := range parts {
		if part.Fingerprint != parts[0].Fingerprint {
			return ""
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return parts[0].Fingerprint
}
