package runner

import (
	"os"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/secret"
)

// environment is where object stores find credentials: the environment file,
// else what the runner itself was started with.
func environment(secrets *secret.Resolver) func(name string) string {
	return func(name string) string {
		if value, err := secrets.Resolve(api.SecretRef{Env: name}); err == nil {
			return value
		}
		return os.Getenv(name)
	}
}
