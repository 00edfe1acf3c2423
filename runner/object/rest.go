package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

const (
	// restTries is how often a request is sent that fails for a reason that
	// passes, and restPause bounds the first wait between; it doubles.
	restTries = 6
	restPause = 250 * time.Millisecond
	// maxRefusal is how much is read of an answer that says no.
	maxRefusal = 4 << 10
)

// sendAgain sends a request until it has an answer that stays; make makes it
// anew for each try. An answer that says no is a *statusError.
func sendAgain(ctx context.Context, client *http.Client, make func() (*http.Request, error)) (*http.Response, error) {
	for try := 0; ; try++ {
		answer, err := sendOnce(client, make)
		if err == nil || try == restTries-1 || !Transient(err) || ctx.Err() != nil {
			return answer, err
		}
		wait := time.NewTimer(rand.N(restPause << try)) //nolint:gosec // spreads requests, keeps no secret
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil, ctx.Err()
		}
	}
}

func sendOnce(client *http.Client, make func() (*http.Request, error)) (*http.Response, error) {
	request, err := make()
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode < http.StatusMultipleChoices {
		return answer, nil
	}
	said, err := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
	said = []byte(strings.Join(strings.Fields(string(said)), " "))
	return nil, &statusError{answer.StatusCode, errors.Join(fmt.Errorf("%s: %s", answer.Status, said), err, answer.Body.Close())}
}
