package api

import "encoding/json"

// Column is a column of an output. Its type is one of the words of
// output.files.types; none where its format has no types.
type Column struct {
	Name string
	Type string
}

// The types of columns, beside "decimal(precision,scale)".
const (
	TypeDouble    = "double"
	TypeInt64     = "int64"
	TypeBoolean   = "boolean"
	TypeString    = "string"
	TypeTimestamp = "timestamp"    // of microseconds
	TypeNanos     = "timestamp_ns" // of nanoseconds, from 1678 to 2261
	TypeDate      = "date"
	TypeJSON      = "json"
)

type typedColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// MarshalJSON writes a column without a type as its name alone, as plans had
// them before there were types.
func (c Column) MarshalJSON() ([]byte, error) {
	if c.Type == "" {
		return json.Marshal(c.Name)
	}
	return json.Marshal(typedColumn(c))
}

// UnmarshalJSON reads both forms.
func (c *Column) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		c.Type = ""
		return json.Unmarshal(text, &c.Name)
	}
	var typed typedColumn
	err := json.Unmarshal(text, &typed)
	*c = Column(typed)
	return err
}
