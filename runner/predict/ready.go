package predict

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/retryhttp"
)

// Ready asks once whether the model is ready to predict; no error means that
// it is. answer is what came back, in a few words: while a server starts,
// another answer than before is a sign of life.
func (c *Client) Ready(ctx context.Context) (answer string, err error) {
	if c.config.Protocol == api.ProtocolProgram {
		return "", nil // the warm-up tells
	}
	address := c.base + c.model
	if c.config.Protocol == api.ProtocolOIPv2 {
		address += "/ready"
	}
	err = c.get(ctx, address, false, func(a *retryhttp.Answer) *Error {
		switch {
		case a.Status == 0:
			answer = connectionText(a.Err, min(c.timeout, probeTimeout))
			return failed(http.MethodGet, address, a, min(c.timeout, probeTimeout))
		case a.Status/100 != 2:
			answer = shortAnswer(a)
			return refused(http.MethodGet, address, a)
		case a.Err != nil:
			answer = shortAnswer(a)
			return failed(http.MethodGet, address, a, min(c.timeout, probeTimeout))
		}
		answer = shortAnswer(a)
		if !saysReady(a.Body, c.config.Protocol, c.config.Model.Version) {
			return malformed(api.ClassTransient, http.MethodGet, address, a, errors.New("says the model is not ready: "+firstLine(a.Body)))
		}
		return nil
	})
	return answer, err
}

func shortAnswer(a *retryhttp.Answer) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, shortened([]byte(firstLine(a.Body)), 100)))
}

// saysReady reads a 200 of a readiness address. oip_v2 may add {"ready":
// false}; tf_v1 must say {"ready": true} or that a version is AVAILABLE.
func saysReady(body []byte, protocol, wanted string) bool {
	var said struct {
		Ready    any         `json:"ready"` // a boolean; "True" in old servers
		Versions []tfVersion `json:"model_version_status"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return protocol == api.ProtocolOIPv2 // the status says it all
	}
	if said.Ready != nil {
		return strings.EqualFold(fmt.Sprint(said.Ready), "true")
	}
	if protocol == api.ProtocolOIPv2 {
		return true
	}
	asked := func(v tfVersion) bool { return wanted == "" || wanted == string(v.Version) }
	available := func(v tfVersion) bool { return v.State == "AVAILABLE" }
	if !slices.ContainsFunc(said.Versions, asked) {
		return slices.ContainsFunc(said.Versions, available) // another version, which Describe refuses
	}
	return slices.ContainsFunc(said.Versions, func(v tfVersion) bool { return asked(v) && available(v) })
}

// tfVersion is what tf_v1 says about a version of a model.
type tfVersion struct {
	Version version `json:"version"`
	State   string  `json:"state"`
}

// Describe learns which versions the server has of the model, and the names
// and datatypes of its inputs, where the protocol knows them and the server
// tells. Call it once, after Ready and before the first NewRequest.
func (c *Client) Describe(ctx context.Context) error {
	if c.config.Protocol == api.ProtocolProgram {
		return nil
	}
	address := c.base + c.model
	var model description
	err := c.get(ctx, address, true, func(a *retryhttp.Answer) *Error {
		switch {
		case a.Status == http.StatusNotFound || a.Status == http.StatusMethodNotAllowed || a.Status == http.StatusNotImplemented:
			return nil // a server without metadata
		case a.Status != 0 && a.Status/100 != 2:
			return refused(http.MethodGet, address, a)
		case a.Err != nil:
			return failed(http.MethodGet, address, a, min(c.timeout, probeTimeout))
		}
		if json.Unmarshal(a.Body, &model) != nil {
			model = description{} // metadata of another form tells nothing
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.versions = model.served()
	if err := c.isAsked(); err != nil {
		return &Error{Class: api.ClassConfig, Status: http.StatusOK, Err: err, Sends: 1}
	}
	if c.config.Protocol != api.ProtocolOIPv2 {
		return nil
	}
	if err := c.fits(model.Inputs); err != nil {
		return &Error{Class: api.ClassConfig, Status: http.StatusOK, Err: err, Sends: 1}
	}
	c.codec = newOIP(c, model.Inputs)
	return nil
}

// description is what a server tells about its model.
type description struct {
	Inputs    []input     `json:"inputs"`
	Versions  []version   `json:"versions"`
	Available []tfVersion `json:"model_version_status"`
}

// served are the versions that answer, in order.
func (d description) served() []string {
	var served []string
	for _, v := range d.Versions {
		served = append(served, string(v))
	}
	for _, v := range d.Available {
		if v.State == "AVAILABLE" {
			served = append(served, string(v.Version))
		}
	}
	slices.Sort(served)
	return served
}

// version is the version of a model: a text, which some servers write as a
// number.
type version string

// UnmarshalJSON takes either.
func (v *version) UnmarshalJSON(token []byte) error {
	*v = version(strings.Trim(string(token), `"`))
	return nil
}

// Versions are the versions of the model that the server told Describe of, in
// order; many servers tell none.
func (c *Client) Versions() []string { return c.versions }

// isAsked says why the server's model is not of the version asked for.
func (c *Client) isAsked() error {
	asked := c.config.Model.Version
	if asked == "" || len(c.versions) == 0 || slices.Contains(c.versions, asked) {
		return nil
	}
	return fmt.Errorf("predict.model.version is %q and the server has model %s in %s", asked, c.config.Model.Name, versionsText(c.versions))
}

func versionsText(versions []string) string {
	if len(versions) == 1 {
		return fmt.Sprintf("version %q", versions[0])
	}
	return fmt.Sprintf("versions %q", versions)
}

// fits says why the job's features can't be what the model takes.
func (c *Client) fits(inputs []input) error {
	if len(inputs) == 0 {
		return nil
	}
	var names []string
	for _, in := range inputs {
		names = append(names, in.Name)
	}
	takes := fmt.Sprintf("model %s takes %s", c.config.Model.Name, strings.Join(names, ", "))
	f := c.config.Features
	switch {
	case f.As == api.AsColumns:
		for _, column := range f.Columns {
			if !slices.Contains(names, column) {
				return fmt.Errorf("%s, not %q; name its inputs in predict.features.columns, or send one matrix with predict.features.as = %q", takes, column, api.AsMatrix)
			}
		}
	case f.Name == "" && len(inputs) > 1:
		return fmt.Errorf("%s; a matrix is one of them: set predict.features.name, or predict.features.as = %q", takes, api.AsColumns)
	case f.Name != "" && !slices.Contains(names, f.Name):
		return fmt.Errorf("%s, not %q; correct predict.features.name", takes, f.Name)
	}
	return nil
}

// get sends a control request.
func (c *Client) get(ctx context.Context, address string, again bool, check func(*retryhttp.Answer) *Error) error {
	result, err := c.control.Do(ctx, &retryhttp.Request{
		Method: http.MethodGet, URL: address, Header: common,
		Check: func(a *retryhttp.Answer) retryhttp.Verdict {
			v := verdict(check(a))
			v.Retry = v.Retry && again
			return v
		},
	})
	if err != nil {
		return sent(ctx, err, cmp.Or(result.Sends, 1), false)
	}
	return nil
}
