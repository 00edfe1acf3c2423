package retryhttp

import (
	"net/http"
	"strings"
	"time"
)

// MaxRetryAfter is the longest wait that a server is believed: a mistaken
// header must not park work for years.
const MaxRetryAfter = 24 * time.Hour

// RetryAfter reads the Retry-After header: seconds or an HTTP date. It is not
// ok where the header is absent or makes no sense; a date in the past is zero.
func RetryAfter(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0, false
	}
	if strings.Trim(text, "0123456789") == "" {
		return clamp(seconds(text)), true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return clamp(at.Sub(now)), true
}

// seconds reads decimal digits, stopping where the value is beyond belief:
// a number too big for any integer is a long wait, not an error.
func seconds(digits string) time.Duration {
	var wait time.Duration
	for _, d := range digits {
		wait = wait*10 + time.Duration(d-'0')*time.Second
		if wait > MaxRetryAfter {
			return MaxRetryAfter
		}
	}
	return wait
}

func clamp(wait time.Duration) time.Duration {
	return min(max(wait, 0), MaxRetryAfter)
}
