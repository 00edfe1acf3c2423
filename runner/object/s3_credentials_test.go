package object

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// hidden is part of every secret of the tests of credentials.
const hidden = "top-secret"

func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve answers requests for the time of the test; the answers are text.
func serve(t *testing.T, answer func(r *http.Request) (int, string)) string {
	t.Helper()
	server := httptest.NewServer(handler(answer))
	t.Cleanup(server.Close)
	return server.URL
}

type handler func(r *http.Request) (int, string)

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, text := h(r)
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, text) // the client sees what is missing
}

// awsKey is what AWS's endpoints tell of a role's key.
func awsKey(id string) string {
	return fmt.Sprintf(`{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":"%s","Token":"%s-token","Expiration":"2999-01-01T00:00:00Z"}`, id, hidden, hidden)
}

// machineService answers as EC2's metadata service does, version 2: who asks
// for anything shows a token first.
func machineService(r *http.Request) (int, string) {
	switch {
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
		return http.StatusOK, hidden + "-session"
	case r.Header.Get("X-Aws-Ec2-Metadata-Token") != hidden+"-session":
		return http.StatusUnauthorized, ""
	case strings.HasSuffix(r.URL.Path, "/security-credentials/"):
		return http.StatusOK, "role"
	case strings.HasSuffix(r.URL.Path, "/security-credentials/role"):
		return http.StatusOK, awsKey("machine")
	}
	return http.StatusNotFound, ""
}

// tokenService answers as STS does to who has a token of an identity.
func tokenService(r *http.Request) (int, string) {
	if r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("WebIdentityToken") != hidden+"-identity" || r.FormValue("RoleArn") != "arn:role" {
		return http.StatusForbidden, "<ErrorResponse/>"
	}
	return http.StatusOK, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>web</AccessKeyId><SecretAccessKey>` +
		hidden + `</SecretAccessKey><SessionToken>` + hidden + `-token</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`
}

// containerService is the endpoint of a container's role.
func containerService(r *http.Request) (int, string) {
	if r.Header.Get("Authorization") != "Bearer "+hidden {
		return http.StatusUnauthorized, ""
	}
	return http.StatusOK, awsKey("container")
}

// Credentials are found where AWS's own tools find them, all by names in the
// runner's environment, and no error shows one.
func TestS3SignsWithWhatItFinds(t *testing.T) {
	shared := secretFile(t, "[default]\naws_access_key_id = d\naws_secret_access_key = s\n[batch]\naws_access_key_id = shared\naws_secret_access_key = "+hidden+"\naws_session_token = "+hidden+"-token\n")
	none := filepath.Join(t.TempDir(), "none")
	for want, env := range map[string]map[string]string{
		"named": {"AWS_ACCESS_KEY_ID": "named", "AWS_SECRET_ACCESS_KEY": hidden, "AWS_SESSION_TOKEN": hidden + "-token",
			"AWS_SHARED_CREDENTIALS_FILE": shared, "AWS_PROFILE": "batch"},
		"shared": {"AWS_SHARED_CREDENTIALS_FILE": shared, "AWS_PROFILE": "batch", "AWS_EC2_METADATA_SERVICE_ENDPOINT": serve(t, machineService)},
		"container": {"AWS_SHARED_CREDENTIALS_FILE": none, "AWS_CONTAINER_CREDENTIALS_FULL_URI": serve(t, containerService),
			"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": secretFile(t, "Bearer "+hidden)},
		"web": {"AWS_SHARED_CREDENTIALS_FILE": none, "AWS_WEB_IDENTITY_TOKEN_FILE": secretFile(t, hidden+"-identity"),
			"AWS_ROLE_ARN": "arn:role", "AWS_ENDPOINT_URL_STS": serve(t, tokenService)},
		"machine": {"AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_SERVICE_ENDPOINT": serve(t, machineService)},
	} {
		t.Run(want, func(t *testing.T) {
			var signed, token string
			env["AWS_REGION"] = "eu-west-1"
			env["AWS_ENDPOINT_URL_S3"] = serve(t, func(r *http.Request) (int, string) {
				signed, token = r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token")
				return http.StatusForbidden, "<Error><Code>AccessDenied</Code></Error>"
			})
			refusedWithoutASecret(t, env, "s3://bucket/x")
			if !strings.Contains(signed, "Credential="+want+"/") || token != hidden+"-token" {
				t.Errorf("signed by %q, with the token %q", signed, token)
			}
		})
	}
}

// refusedWithoutASecret reads an object that the store refuses.
func refusedWithoutASecret(t *testing.T, env map[string]string, uri string) {
	t.Helper()
	stores := NewStores(func(name string) string { return env[name] })
	defer stores.Close()
	bucket, key, err := stores.Bucket(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	showsNoSecret(t, bucket, key)
}

func showsNoSecret(t *testing.T, bucket Bucket, key string) {
	t.Helper()
	_, err := bucket.Read(t.Context(), key, "", 0, -1)
	if err == nil || strings.Contains(err.Error(), hidden) {
		t.Errorf("the refusal is %v", err)
	}
}

// The address of a container's role is fixed where it is given as a path.
func TestS3FindsTheRoleOfAContainer(t *testing.T) {
	asked := ""
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		asked = r.URL.String()
		recorder := httptest.NewRecorder()
		handler(containerService).ServeHTTP(recorder, r)
		return recorder.Result(), nil
	})}
	env := map[string]string{"AWS_SHARED_CREDENTIALS_FILE": "/none", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/id", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Bearer " + hidden}
	value, err := s3Credentials(func(name string) string { return env[name] }, "eu-west-1").GetWithContext(&credentials.CredContext{Client: client})
	if err != nil || value.AccessKeyID != "container" || asked != "http://169.254.170.2/v2/id" {
		t.Errorf("%s gives the key %q, %v", asked, value.AccessKeyID, err)
	}
}

// Where no credentials can be had, the request goes out without any, and the
// refusal says where they are looked for.
func TestS3WithoutCredentialsIsRefusedWithAHint(t *testing.T) {
	refuse := serve(t, func(*http.Request) (int, string) { return http.StatusForbidden, hidden })
	env := map[string]string{"AWS_SHARED_CREDENTIALS_FILE": "/none", "AWS_ENDPOINT_URL_S3": refuse, "AWS_ROLE_ARN": "arn:role",
		"AWS_WEB_IDENTITY_TOKEN_FILE": secretFile(t, hidden), "AWS_ENDPOINT_URL_STS": refuse}
	refusedWithoutASecret(t, env, "s3://bucket/x")
}
