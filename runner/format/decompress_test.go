package format_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// compressed compresses each of the texts for itself, one behind the other.
func compressed(t testing.TB, compression string, texts ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, text := range texts {
		var w io.WriteCloser
		var err error
		if w = gzip.NewWriter(&out); compression == "zstd" {
			w, err = zstd.NewWriter(&out)
		}
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func decompressed(compression string, data []byte) (string, error) {
	r, err := format.Decompress(compression, bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), errors.Join(err, r.Close())
}

// noise is text that can't be made much smaller.
func noise(lines int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for range lines {
		fmt.Fprintf(&text, "%d,%d\n", random.Uint64(), random.Uint64())
	}
	return text.String()
}

func TestDecompress(t *testing.T) {
	text := noise(10_000)
	for _, compression := range []string{"gzip", "zstd"} {
		if got, err := decompressed(compression, compressed(t, compression, text)); err != nil || got != text {
			t.Errorf("%s: %d bytes, %v", compression, len(got), err)
		}
		if got, err := decompressed(compression, compressed(t, compression, "a\n", "", "b\n", text)); err != nil || got != "a\nb\n"+text {
			t.Errorf("%s of several members: %d bytes, %v", compression, len(got), err)
		}
	}
	if _, err := decompressed("bzip2", nil); err == nil {
		t.Error("bzip2 was read")
	}
}

// A file cut anywhere gives what is there, and an error with the place.
func TestACutCompressedFileIsAnErrorWithItsPlace(t *testing.T) {
	text := noise(2000)
	for _, compression := range []string{"gzip", "zstd"} {
		data := compressed(t, compression, text, text)
		member := len(compressed(t, compression, text))
		for size := 0; size < len(data); size += 1 + size/20 {
			if size == member {
				continue
			}
			got, err := decompressed(compression, data[:size])
			want := fmt.Sprintf("decompress %s: the file is cut short, it ends after byte %d", compression, size)
			if err == nil || err.Error() != want || !strings.HasPrefix(text+text, got) {
				t.Errorf("cut to %d bytes: %v", size, err)
			}
		}
		want := fmt.Sprintf("the file is cut short, it ends after byte %d", member+1)
		if got, err := decompressed(compression, data[:member+1]); err == nil || !strings.Contains(err.Error(), want) || got != text {
			t.Errorf("%s cut behind the first byte of a member: %v", compression, err)
		}
		if got, err := decompressed(compression, data[:len(data)-1]); err == nil || len(got) < len(text) {
			t.Errorf("%s: of two members only %d bytes were read: %v", compression, len(got), err)
		}
	}
}

func TestACorruptCompressedFileIsAnErrorWithItsPlace(t *testing.T) {
	text := noise(2000)
	for _, compression := range []string{"gzip", "zstd"} {
		data := compressed(t, compression, text)
		for _, at := range []int{0, 1, len(data) / 2, len(data) - 3} {
			broken := bytes.Clone(data)
			broken[at] ^= 0x55
			_, err := decompressed(compression, broken)
			if err == nil || !strings.Contains(err.Error(), "decompress "+compression+": the file is c") {
				t.Errorf("%s, byte %d: %v", compression, at, err)
			}
		}
		if _, err := decompressed(compression, append(bytes.Clone(data), "rest"...)); err == nil {
			t.Errorf("%s: text behind it was passed over", compression)
		} else if want := fmt.Sprintf("it holds other data behind its end, from byte %d on", len(data)); compression == "gzip" && !strings.Contains(err.Error(), want) {
			t.Errorf("text behind it gives %v, want %s", err, want)
		}
	}
	unreadable := errors.New("input/output error")
	r, err := format.Decompress("gzip", io.MultiReader(bytes.NewReader(compressed(t, "gzip", text)[:5000]), iotestErr{unreadable}))
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	if !errors.Is(err, unreadable) || strings.Contains(err.Error(), "corrupt") {
		t.Errorf("a failing disk gives %v", err)
	}
}

// FuzzDecompress: whatever the input, no panic, and the same records from a
// sound one.
func FuzzDecompress(f *testing.F) {
	f.Add("gzip", compressed(f, "gzip", "a,b\n", "1,2\n"))
	f.Add("zstd", compressed(f, "zstd", "a,b\n", "1,2\n"))
	f.Fuzz(func(t *testing.T, compression string, data []byte) {
		r, err := format.Decompress(compression, bytes.NewReader(data))
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20)); err == nil {
			_ = r.Close()
		}
	})
}
