// Package object reads and writes objects of stores, behind one small
// interface with conditions for writes: S3 and what speaks its protocol, Google
// Cloud Storage, and Azure Blob Storage. Every kind passes the one suite of
// package objecttest against a real or emulated server. Package object knows no
// job: what objects mean is said by packages source and sink.
//
// # How stores are reached
//
// What each library adds to a static binary that holds net/http and
// encoding/xml already (linux/amd64, stripped):
//
//	S3      minio-go/v7, its Core API               1.7 MB   taken
//	        aws-sdk-go-v2 service/s3 and config    4.1 MB
//	Google  JSON API over oauth2/google             0.3 MB   taken
//	        cloud.google.com/go/storage            27.7 MB
//	Azure   azblob and azidentity                   5.9 MB   taken
//	        azblob alone                            4.5 MB
//
// The speed of all is that of the connection: bodies are streamed from and to
// files, and hashed once (SHA-256 for S3, CRC-32C for Google, CRC-64 for Azure)
// so that the store compares what it got. minio-go also takes its credentials
// as values, where others look into the environment of the process; ours come
// from the runner's environment_file.
//
// # What they look for in the environment
//
//   - S3: AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN,
//     else the shared files (AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE), else web
//     identity, the container's and the machine's role (asked at
//     AWS_ENDPOINT_URL_STS and AWS_EC2_METADATA_SERVICE_ENDPOINT where those
//     are set). AWS_REGION; AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL for another store (addressed by
//     path), and AWS_CA_BUNDLE.
//   - Google: GOOGLE_APPLICATION_CREDENTIALS, else what gcloud has left, else
//     the machine's identity. STORAGE_EMULATOR_HOST.
//   - Azure: AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY or
//     AZURE_STORAGE_SAS_TOKEN, else AZURE_TENANT_ID and AZURE_CLIENT_ID with
//     AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE, else the machine's
//     identity.
package object
