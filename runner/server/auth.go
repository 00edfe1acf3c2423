package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// guarded lets only those pass who know the token. Without a token the server
// listens on a socket, whose permissions have let the client in already.
func (s *Server) guarded(next http.HandlerFunc) http.HandlerFunc {
	if s.Token == "" {
		return next
	}
	// Digests have one length, so that the comparison tells nothing of the
	// token's.
	want := sha256.Sum256([]byte(s.Token))
	return func(w http.ResponseWriter, r *http.Request) {
		given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(given))
		if equal := subtle.ConstantTimeCompare(got[:], want[:]) == 1; !equal || !bearer {
			s.writeProblem(w, r, api.Errorf(api.CodeUnauthorized, "send the runner's token as Authorization: Bearer …", "the token is missing or wrong"))
			return
		}
		next(w, r)
	}
}
