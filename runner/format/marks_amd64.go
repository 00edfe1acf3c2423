//go:build amd64 && !purego

package format

// markBlocks marks as many blocks of a text as there is room for. The text must
// hold them all. It takes what each amd64 has (SSE2).
func markBlocks(text []byte, to []marks) {
	if len(to) == 0 {
		return
	}
	_ = text[len(to)*blockSize-1]
	markBlocksSSE2(&text[0], len(to), &to[0])
}

//go:noescape
func markBlocksSSE2(text *byte, blocks int, to *marks)
