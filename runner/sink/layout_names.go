package sink

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// longestName is how long the name of a file or folder may be, in bytes, on
	// every file system in use.
	longestName = 255
	// longestStem leaves room for a suffix and the extension.
	longestStem = 200
)

// The extensions that a name loses: first of compression, then of the format.
var (
	compressionExtensions = []string{".gz", ".gzip", ".zst", ".zstd"}
	formatExtensions      = []string{".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".pq"}
)

// inputNames gives the name of the file that holds what was predicted for each
// of the inputs, paths or uris. Two of one base name, be it in another case, are
// told apart by a suffix that depends on the path alone. The names are those of
// all inputs of a plan, so that none changes from one revision to the next.
func inputNames(inputs []string, format string) map[string]string {
	inputs = slices.Clone(inputs)
	slices.Sort(inputs)
	inputs = slices.Compact(inputs)
	shared := map[string]int{}
	for _, input := range inputs {
		shared[strings.ToLower(stem(input))]++
	}
	names, taken := map[string]string{}, map[string]bool{}
	give := func(input, name string) {
		names[input], taken[strings.ToLower(name)] = name+"."+format, true
	}
	for _, input := range inputs {
		if name := stem(input); shared[strings.ToLower(name)] == 1 && len(name) <= longestStem {
			give(input, name)
		}
	}
	for _, input := range inputs {
		if names[input] != "" {
			continue
		}
		name, sum := stem(input), sha256.Sum256([]byte(input))
		for length := 4; ; length++ { // another input may be named as the suffixed name
			suffixed := shortened(name) + "-" + hex.EncodeToString(sum[:length])
			if !taken[strings.ToLower(suffixed)] {
				give(input, suffixed)
				break
			}
		}
	}
	return names
}

func shortened(name string) string {
	if len(name) <= longestStem {
		return name
	}
	end := longestStem
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}

// stem is an input's base name without its extensions, as one of our files may
// be named: nothing that a manifest can't say, and no first character that
// makes readers pass a file over.
func stem(input string) string {
	name := path.Base(input)
	for _, extensions := range [][]string{compressionExtensions, formatExtensions} {
		if extension := strings.ToLower(path.Ext(name)); slices.Contains(extensions, extension) && len(extension) < len(name) {
			name = name[:len(name)-len(extension)]
		}
	}
	if name[0] == '_' || name[0] == '.' {
		return fmt.Sprintf("%%%02X", name[0]) + string(appendEscaped(nil, name[1:], ""))
	}
	return string(appendEscaped(nil, name, ""))
}

// hiveEscaped are the characters, beside control characters, that Hive writes
// as %XX in the name of a partition's folder.
const hiveEscaped = "\"#%'*/:=?\\{[]^"

// appendEscaped appends a text in which each of those characters, control
// characters, and bytes that are no UTF-8 are written as %XX.
func appendEscaped(to []byte, text, escaped string) []byte {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r < 0x20 || r == 0x7f || r == utf8.RuneError && size == 1 || r < utf8.RuneSelf && strings.IndexByte(escaped, text[i]) >= 0 {
			to = fmt.Appendf(to, "%%%02X", text[i])
			i++
			continue
		}
		to = append(to, text[i:i+size]...)
		i += size
	}
	return to
}
