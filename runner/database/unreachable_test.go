package database_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
)

// Nobody listens, or something listens that is no database: either may pass, and
// is told in one line that names the database and not its password.
func TestADatabaseThatCantBeReachedMayBeLater(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	talking := make(chan struct{})
	go func() {
		defer close(talking)
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = client.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) // it may not listen
			_ = client.Close()
		}
	}()
	other := listener.Addr().String()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := silent.Addr().String()
	_ = silent.Close()
	for _, scheme := range []string{"postgres", "mysql"} {
		for _, address := range []string{other, nobody} {
			_, err := database.Open(t.Context(), scheme+"://batch:secret@"+address+"/scores")
			if !database.Transient(err) {
				t.Errorf("%s at %s: %v does not pass", scheme, address, err)
			}
			if _, failed := errors.AsType[*api.Failure](err); failed {
				t.Errorf("%s at %s: %v fails the run", scheme, address, err)
			}
			if text := err.Error(); !strings.HasPrefix(text, "open database "+scheme+"://batch@"+address+"/scores: ") || strings.ContainsAny(text, "\n\t") || strings.Contains(text, "secret") {
				t.Errorf("it says %q", text)
			}
			t.Log(err)
		}
	}
	_ = listener.Close()
	<-talking
}
