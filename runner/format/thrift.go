package format

import (
	"encoding/binary"
	"errors"
)

// thriftScan walks what Thrift's compact protocol has encoded without decoding
// it. What it has passed over holds all that it claims to hold: a decoder can
// trust its lengths, and allocates nothing that is not there.
type thriftScan struct {
	data []byte
	at   int
}

var (
	errThriftCut = errors.New("ends too early")
	errThriftBad = errors.New("is not what a Parquet file holds there")
)

// thriftDepth is how deep structures may lie in each other; Parquet's own need
// fewer than ten.
const thriftDepth = 32

// The compact protocol's types.
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

// thriftSize is the number of bytes of the structure that data begins with.
func thriftSize(data []byte) (int, error) {
	s := thriftScan{data: data}
	err := s.structure(0)
	return s.at, err
}

func (s *thriftScan) structure(depth int) error {
	if depth >= thriftDepth {
		return errThriftBad
	}
	for {
		head, err := s.byte()
		if err != nil || head == thriftStop {
			return err
		}
		if head>>4 == 0 { // the field's number follows
			if _, err := s.uvarint(); err != nil {
				return err
			}
		}
		kind := head & 0xf
		if kind == thriftTrue || kind == thriftFalse {
			continue // the value lies in the type
		}
		if err := s.value(kind, depth); err != nil {
			return err
		}
	}
}

func (s *thriftScan) value(kind byte, depth int) error {
	switch kind {
	case thriftTrue, thriftFalse, thriftByte:
		return s.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := s.uvarint()
		return err
	case thriftDouble:
		return s.skip(8)
	case thriftBinary:
		size, err := s.uvarint()
		if err != nil {
			return err
		}
		return s.skip(size)
	case thriftList, thriftSet:
		return s.list(depth)
	case thriftMap:
		return s.pairs(depth)
	case thriftStruct:
		return s.structure(depth + 1)
	default:
		return errThriftBad
	}
}

func (s *thriftScan) list(depth int) error {
	head, err := s.byte()
	if err != nil {
		return err
	}
	size := uint64(head >> 4)
	if size == 0xf {
		if size, err = s.uvarint(); err != nil {
			return err
		}
	}
	return s.items(size, depth, head&0xf)
}

func (s *thriftScan) pairs(depth int) error {
	size, err := s.uvarint()
	if err != nil || size == 0 {
		return err
	}
	kinds, err := s.byte()
	if err != nil {
		return err
	}
	return s.items(size, depth, kinds>>4, kinds&0xf)
}

// items passes over size items of each of the kinds. Every one takes a byte at
// least.
func (s *thriftScan) items(size uint64, depth int, kinds ...byte) error {
	if depth >= thriftDepth {
		return errThriftBad
	}
	if size > uint64(len(s.data)-s.at) {
		return errThriftCut
	}
	for range size {
		for _, kind := range kinds {
			if err := s.value(kind, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *thriftScan) byte() (byte, error) {
	if s.at == len(s.data) {
		return 0, errThriftCut
	}
	s.at++
	return s.data[s.at-1], nil
}

func (s *thriftScan) uvarint() (uint64, error) {
	v, n := binary.Uvarint(s.data[s.at:])
	switch {
	case n == 0:
		return 0, errThriftCut
	case n < 0:
		return 0, errThriftBad
	}
	s.at += n
	return v, nil
}

func (s *thriftScan) skip(size uint64) error {
	if size > uint64(len(s.data)-s.at) {
		return errThriftCut
	}
	s.at += int(size)
	return nil
}
