package object

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	awsHost       = "s3.amazonaws.com"
	defaultRegion = "us-east-1"
	// s3Tries is how often a request is sent that fails for a reason that
	// passes: for some seconds, with the library's backoff.
	s3Tries = 6
	// answerTimeout is the time for the beginning of an answer.
	answerTimeout = time.Minute
	// connections to one store that stay open.
	connections = 32
)

// openS3 is a bucket at AWS, or at the endpoint that the environment names as
// it does for AWS's own tools.
func openS3(env func(string) string, name string) (patient, error) {
	endpoint := cmp.Or(env("AWS_ENDPOINT_URL_S3"), env("AWS_ENDPOINT_URL"))
	region := cmp.Or(env("AWS_REGION"), env("AWS_DEFAULT_REGION"))
	transport, err := transport(env("AWS_CA_BUNDLE"))
	if err != nil {
		return patient{}, err
	}
	options := &minio.Options{
		Creds: s3Credentials(env, region), Transport: transport, Region: region,
		Secure: true, BucketLookup: minio.BucketLookupAuto, MaxRetries: s3Tries,
	}
	host := awsHost
	if endpoint != "" {
		at, err := url.Parse(endpoint)
		if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
			return patient{}, fmt.Errorf("AWS_ENDPOINT_URL is not an http or https URL: correct it in the runner's environment_file")
		}
		host, options.Secure = at.Host, at.Scheme == "https"
		options.BucketLookup = minio.BucketLookupPath
		options.Region = cmp.Or(region, defaultRegion)
	}
	core, err := minio.NewCore(host, options)
	if err != nil {
		return patient{}, fmt.Errorf("reach S3 at %s: %w", host, err)
	}
	return patient{&s3Bucket{name: name, core: core}, transport.CloseIdleConnections}, nil
}

// s3Credentials are found where AWS's tools look for them, in their order.
func s3Credentials(env func(string) string, region string) *credentials.Credentials {
	key, secret, token := env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"), env("AWS_SESSION_TOKEN")
	if key != "" && secret != "" {
		return credentials.NewStaticV4(key, secret, token)
	}
	machine := &credentials.IAM{Region: region}
	machine.Container.AuthorizationToken = env("AWS_CONTAINER_AUTHORIZATION_TOKEN")
	if file := env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
		machine.Container.AuthorizationTokenFile = file
		machine.Container.AuthorizationToken = file // where the library looks for the file's path
	}
	machine.Container.CredentialsFullURI = env("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	machine.Container.CredentialsRelativeURI = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
	machine.EKSIdentity.TokenFile = env("AWS_WEB_IDENTITY_TOKEN_FILE")
	machine.EKSIdentity.RoleARN = env("AWS_ROLE_ARN")
	machine.EKSIdentity.RoleSessionName = env("AWS_ROLE_SESSION_NAME")
	switch { // the library takes one endpoint, for whichever of them it comes to
	case machine.EKSIdentity.TokenFile != "":
		machine.Endpoint = env("AWS_ENDPOINT_URL_STS")
	case machine.Container.CredentialsFullURI == "" && machine.Container.CredentialsRelativeURI == "":
		machine.Endpoint = env("AWS_EC2_METADATA_SERVICE_ENDPOINT")
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.FileAWSCredentials{Filename: env("AWS_SHARED_CREDENTIALS_FILE"), Profile: env("AWS_PROFILE")},
		machine,
	})
}

// transport is that of the standard library, with room for requests side by
// side, and with the bytes of objects as they are stored.
func transport(authorities string) (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = connections
	t.DisableCompression = true
	t.ResponseHeaderTimeout = answerTimeout
	if authorities == "" {
		return t, nil
	}
	pem, err := os.ReadFile(authorities)
	if err != nil {
		return nil, fmt.Errorf("read AWS_CA_BUNDLE: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("AWS_CA_BUNDLE %s holds no certificate", authorities)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}
