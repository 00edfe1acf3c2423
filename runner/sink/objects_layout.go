package sink

import "path/filepath"

// laid are the files of one revision that are made of staged parts.
type laid struct {
	revision int64
	parts    []ManifestPart // named as in the store
	files    []string       // local ones of the same content
}

// disk is the output as a local folder that is assembled in staging, for layouts
// whose files are of several mini-batches: nothing but its layout is used.
func (o *Objects) disk() *Files { return &Files{staging: o.staging, layout: o.layout} }

// lay gives what the manifest names, and the local files to upload for it; no
// file: what is in the store stays.
func (o *Objects) lay(p Publication, now publishedObjects) (laid, error) {
	if o.layout.merged() {
		return o.merge(p)
	}
	l := laid{revision: p.Manifest.Revision, parts: make([]ManifestPart, len(p.Parts)), files: make([]string, len(p.Parts))}
	for i, part := range p.Parts {
		entry := o.disk().partOf(part)
		entry.Name = revised(entry.Name, p.Manifest.Revision)
		if part.Path == "" {
			old, err := now.keep(part)
			if err != nil {
				return l, err
			}
			entry.Name = old.Name
		} else {
			l.files[i] = o.local(part.Path)
		}
		l.parts[i] = entry
	}
	return l, nil
}

// merge assembles the files on the local disk. The parts that they are made of
// stay beyond the publish, while the run may be revised: see layout_kept.go.
func (o *Objects) merge(p Publication) (laid, error) {
	if o.merged.revision == p.Manifest.Revision { // by an earlier try
		return o.merged, nil
	}
	disk := o.disk()
	if err := disk.fs.RemoveAll(disk.publishing()); err != nil {
		return laid{}, err
	}
	if err := disk.fs.MkdirAll(disk.publishing()); err != nil {
		return laid{}, err
	}
	parts, err := disk.lay(published{}, p)
	if err != nil {
		return laid{}, err
	}
	if err := disk.keep(p); err != nil {
		return laid{}, err
	}
	l := laid{revision: p.Manifest.Revision, parts: parts}
	for i, part := range parts {
		l.files = append(l.files, filepath.Join(disk.publishing(), filepath.FromSlash(part.Name)))
		l.parts[i].Name = revised(part.Name, l.revision)
	}
	o.merged = l
	return l, nil
}

// forget removes what was merged, and the parts that the published files are not
// made of any more.
func (o *Objects) forget(p Publication) error {
	if !o.layout.merged() {
		return nil
	}
	disk := o.disk()
	if err := disk.fs.RemoveAll(disk.publishing()); err != nil {
		return err
	}
	return disk.forget(p)
}
