//go:build !amd64 || purego

package format

func markBlocks(text []byte, to []marks) { markBlocksPortably(text, to) }
