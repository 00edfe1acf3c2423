// Package predict talks to a prediction server: is it ready, what does its
// model take, and what does it predict for these records.
//
// Three protocols are spoken: the Open Inference Protocol (oip_v2), that of
// TensorFlow Serving (tf_v1), and JSON Lines to a program, whose processes are
// behind the Transport. Records go in as raw cells and come out as raw
// JSON tokens: numbers are never decoded. Every failure is an Error with its
// class. Short retries happen here; attempts, halving of what is too large and
// every wait beyond half a minute are the engine's. Which records are sent
// together is not known here either.
//
// # Features
//
// A cell for a numeric tensor is a number, or text that is one (see
// appendNumber). For a BOOL tensor it is true, false, 1 or 0 in any case; for
// a BYTES tensor any text, number or boolean, sent as a string. In tf_v1 a
// matrix holds numbers only; columns send JSON cells as they are, text that is
// a number as a number, and any other text (codes like 007 too) as a string.
// A program gets the same as an object, whatever features.as says. A null goes
// to a program only: with servers its record is bad.
//
// # Outputs
//
// Without configured outputs every output becomes a column of its own name.
// In oip_v2 a record's share of a tensor is a single value, or a list of its
// values in row-major order, however the server nests them; configured outputs
// are asked for by name. In tf_v1 and of a program a prediction that is an
// object has its keys as columns, the same in all records; any other prediction
// is one column named prediction. A configured output picks "name" or "name[i]"
// of an object, "[i]" of a list, and "value" is a prediction that is no object,
// as a whole. A JSON pointer picks anything: "/scores/1" of a prediction, or of
// the tensor scores, whose indexes go down its shape.
//
// What becomes of NaN and infinities, for which JSON has no number, Config.NaN
// says.
package predict

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/retryhttp"
)

// probeTimeout ends one readiness probe: a server that is up answers one at
// once, and a hung probe must not hide the next.
const probeTimeout = 5 * time.Second

// programURL is where requests to a program go, as far as HTTP can tell.
const programURL = "http://program"

// Config says who predicts, and how to talk to it.
type Config struct {
	Protocol    string // api.ProtocolOIPv2, api.ProtocolTFv1 or api.ProtocolProgram
	BaseURL     string // http(s)://host[:port][/base]; none for a program
	Model       api.Model
	Features    api.Features
	Outputs     map[string]string // result column → output; empty is all
	NaN         string            // what becomes of NaN and infinities; empty is the default
	Parallelism int               // requests in flight at most, and connections kept
	Timeout     time.Duration     // of one try; 0 is the default
	// PermanentStatuses refuse the records (class data), TransientStatuses pass
	// (class transient), whatever the statuses mean elsewhere.
	PermanentStatuses, TransientStatuses []int64
	// Transport carries the requests instead of an own one; a program has no
	// other.
	Transport http.RoundTripper
	// Unbounded lets a request and its answer be as large as they get: they are
	// a whole mini-batch.
	Unbounded bool
}

// Client is a prediction server as a run sees it. It may be used by any number
// of goroutines, once Describe has returned.
type Client struct {
	config   Config
	base     string // without a trailing slash
	model    string // path of the model, from the base
	inferURL string
	codec    codec
	versions []string   // of the model, as the server told
	columns  []string   // result columns, sorted; nil where the answer decides
	outputs  []selector // one per result column

	// Requests with records and control requests have pools of their own, so
	// that a probe never waits for a connection.
	data    *retryhttp.Client
	control *retryhttp.Client
	timeout time.Duration
	owned   []*http.Transport
	direct  *wire // nil where there is none

	requests  sync.Pool
	responses sync.Pool
}

// codec is what differs between the protocols when records are sent.
type codec interface {
	// parts is the number of buffers that a request is built in.
	parts() int
	// add appends one record to the buffers; n records are there already.
	add(r *Request, n int, values []value) error
	// assemble appends the whole request body.
	assemble(to []byte, r *Request, key string) []byte
	// parse cuts an answer for n records into r.
	parse(r *Response, n int, key string) error
	// wellFormed says why a body is not what the protocol is written in.
	wellFormed(body []byte) error
}

// New makes a Client; nothing is sent yet.
func New(config Config) (*Client, error) {
	if config.Protocol == api.ProtocolProgram {
		config.BaseURL = programURL
	}
	base, err := url.Parse(config.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("%q is not the address of a prediction server; write it like http://127.0.0.1:8080", config.BaseURL)
	}
	if len(config.Features.Columns) == 0 {
		return nil, fmt.Errorf("predict.features.columns is empty; name the columns to send")
	}
	config.NaN = cmp.Or(config.NaN, api.DefaultNaN)
	c := &Client{
		config:  config,
		base:    strings.TrimSuffix(config.BaseURL, "/"),
		timeout: cmp.Or(config.Timeout, api.DefaultRequestTimeout.Value()),
	}
	if err := c.selectOutputs(); err != nil {
		return nil, err
	}
	version := ""
	if config.Model.Version != "" {
		version = "/versions/" + url.PathEscape(config.Model.Version)
	}
	switch config.Protocol {
	case api.ProtocolOIPv2:
		c.model = "/v2/models/" + url.PathEscape(config.Model.Name) + version
		c.inferURL = c.base + c.model + "/infer"
		c.codec = newOIP(c, nil)
	case api.ProtocolTFv1:
		c.model = "/v1/models/" + url.PathEscape(config.Model.Name) + version
		c.inferURL = c.base + c.model + ":predict"
		c.codec = newTF(c)
	case api.ProtocolProgram:
		c.inferURL = c.base + "/"
		c.codec = newProgram(c)
	default:
		return nil, fmt.Errorf("%q is not a protocol; use %s or %s", config.Protocol, api.ProtocolOIPv2, api.ProtocolTFv1)
	}
	longest := int64(0)
	if config.Unbounded {
		longest = math.MaxInt32
	}
	options := retryhttp.Options{Transport: c.transport(config.Parallelism), Timeout: c.timeout, MaxAnswer: longest}
	if config.Transport == nil {
		if c.direct = newWire(c.base); c.direct != nil {
			options.First = c.direct.send
		}
	}
	c.data = retryhttp.New(options)
	c.control = retryhttp.New(retryhttp.Options{Transport: c.transport(1), Timeout: min(c.timeout, probeTimeout)})
	return c, nil
}

func (c *Client) transport(connections int) http.RoundTripper {
	if c.config.Transport != nil {
		return c.config.Transport
	}
	t := retryhttp.NewTransport(connections)
	c.owned = append(c.owned, t)
	return t
}

// Close gives the connections back that are not in use.
func (c *Client) Close() {
	for _, t := range c.owned {
		t.CloseIdleConnections()
	}
	if c.direct != nil {
		c.direct.close()
	}
}

// quoted is a name as JSON.
func quoted(name string) string {
	text, err := json.Marshal(name)
	if err != nil {
		return strconv.Quote(name) // can't be: a string always marshals
	}
	return string(text)
}
