package sourcetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

func foldersNameColumns(t *testing.T, p Place) {
	records := [][]format.Value{record("1", "a", "0.5"), record("2", "b", "1.5")}
	for _, s := range stored {
		t.Run(s.format+" "+s.compression, func(t *testing.T) {
			folder := s.format + s.compression
			p.Write(t, folder+"/country=DE/city=K%C3%B6ln/a", encode(t, s.format, s.compression, records))
			p.Write(t, folder+"/country=__HIVE_DEFAULT_PARTITION__/city=a%2Fb/a", encode(t, s.format, s.compression, records[:1]))
			in := p.files(folder+"/**/a", s.format, s.compression)
			in.Files.HivePartitions = new(true)
			files := p.find(t, in, "country", "id")
			got := p.read(t, files, 10, "city", "id", "country", "text")
			if want := []string{"Köln|1|DE|a", "Köln|2|DE|b", "a/b|1|<null>|a"}; !slices.Equal(got, want) {
				t.Errorf("read %q, want %q", got, want)
			}
			if got := p.read(t, files, 10, "country"); !slices.Equal(got, []string{"DE", "DE", "<null>"}) {
				t.Errorf("read %q of the folders alone", got)
			}
			if got, err := p.Inputs.Columns(t.Context(), files); err != nil || strings.Join(got, " ") != "id text x country city" {
				t.Errorf("columns %q, %v", got, err)
			}
			p.Write(t, folder+"/other/x=1/a", encode(t, s.format, s.compression, records))
			in.Files.URI = p.Root + "/" + folder + "/other/**"
			_, err := p.Inputs.Find(t.Context(), in, occasion, nil)
			wantFailure(t, err, api.Reason(api.ClassConfig), folder+"/other/x=1/a", `column "x" is in the file, and its folder names it, too`)
		})
	}
}

func brokenFiles(t *testing.T, p Place) {
	whole := encode(t, api.FormatCSV, api.CompressionGzip, many())
	parquet := encode(t, api.FormatParquet, "", many())
	for name, test := range map[string]struct {
		content             []byte
		format, compression string
		text                string
	}{
		"short.csv.gz":  {whole[:len(whole)-100], api.FormatCSV, api.CompressionGzip, "gzip"},
		"plain.csv.zst": {[]byte("id\n1\n"), api.FormatCSV, api.CompressionZstd, "zstd"},
		"cut.parquet":   {parquet[:len(parquet)-3], api.FormatParquet, "", "Parquet"},
		"text.parquet":  {[]byte("id,text\n1,this is not one\n"), api.FormatParquet, "", "not a Parquet file"},
		"twice.csv":     {[]byte("id,id\n1,2\n"), api.FormatCSV, "", `named "id"`},
	} {
		p.Write(t, "broken/"+name, test.content)
		_, err := p.Inputs.Find(t.Context(), p.files("broken/"+name, test.format, test.compression), occasion, nil)
		wantFailure(t, err, api.Reason(api.ClassConfig), p.Root+"/broken/"+name, test.text)
	}
}

func looks(t *testing.T, p Place) {
	for _, s := range stored {
		name := "a." + s.format + "." + s.compression
		p.Write(t, name, encode(t, s.format, s.compression, many()))
		files, err := p.Inputs.Look(t.Context(), p.files(name, s.format, s.compression), occasion, []string{"id"})
		if err != nil || len(files) != 1 || files[0].Size == 0 {
			t.Errorf("%s: %v, %v", name, files, err)
		}
	}
	if p.Inputs.HasSpooled() {
		t.Error("something was copied")
	}
}
