package format

// Value is one cell of a record or one prediction, never decoded further than
// needed.
type Value struct {
	// Bytes is the text of the cell, or, where JSON is set, one complete JSON
	// token as it stood in the file or answer (numbers keep their digits).
	Bytes []byte
	// JSON tells a raw JSON token from plain text.
	JSON bool
}
