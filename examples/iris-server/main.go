// Command iris-server is a small prediction server: it classifies iris flowers
// over the Open Inference Protocol v2 and the TensorFlow Serving REST API.
//
// It is an example of what a batch job can launch, made to be copied: it takes
// its port from PORT, listens at once, and reports ready when its model is
// loaded. The arithmetic lives in ./logistic and the training in ./train.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/batchpattern/terraform-provider-batch/examples/iris-server/logistic"
)

// stopTimeout is how long requests in flight may take once a stop is asked for.
const stopTimeout = 10 * time.Second

//go:embed model.json
var embeddedModel []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "iris-server:", err)
		stop()
		os.Exit(1)
	}
}

// run serves until ctx is done, then lets the requests in flight finish.
func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) error {
	logger := log.New(stderr, "iris-server: ", log.Ltime)
	flags := flag.NewFlagSet("iris-server", flag.ContinueOnError)
	flags.SetOutput(stderr)
	port := flags.String("port", getenv("PORT"), "port to listen on at 127.0.0.1, 0 for a free one (default $PORT, else 8080)")
	modelFile := flags.String("model", "", "model file to load instead of the built-in one")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *port == "" {
		*port = "8080"
	}

	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", *port))
	if err != nil {
		return fmt.Errorf("listen on port %s: %w", *port, err)
	}
	srv := newServer()
	httpServer := &http.Server{Handler: srv.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: logger}
	served := make(chan error, 1)
	go func() { served <- httpServer.Serve(listener) }()

	// The port answers while the model loads, so that "not ready yet" can be told from "not there".
	model, err := loadModel(*modelFile)
	if err != nil {
		return errors.Join(err, httpServer.Close(), ignoreClosed(<-served))
	}
	srv.setModel(model)
	logger.Printf("model %s version %s ready on http://%s", modelName, model.Version, listener.Addr())

	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := httpServer.Shutdown(stopCtx); err != nil {
		return fmt.Errorf("stop: %w", errors.Join(err, httpServer.Close()))
	}
	logger.Print("stopped")
	return ignoreClosed(<-served)
}

// loadModel reads the model from a file, or the built-in one when path is empty.
func loadModel(path string) (*logistic.Model, error) {
	data := embeddedModel
	if path != "" {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("load model: %w", err)
		}
	}
	model, err := logistic.Parse(data)
	if err != nil {
		return nil, err
	}
	if model.Name != modelName {
		return nil, fmt.Errorf("load model %q: this server serves %q", model.Name, modelName)
	}
	return model, nil
}

// ignoreClosed drops the error Serve returns for a stop that was asked for.
func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
