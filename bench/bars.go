package main

// comparison is a peer that does the same work. The bars say how many times
// its time ours must be at least; 0 is no bar.
type comparison struct {
	id    string
	work  string // what both do
	peer  string
	short string // the same in the plot
	wall  float64
	cpu   float64
}

// comparisons are all there are, in the order of the table and the plot.
var comparisons = []comparison{
	{id: "wrk", work: "JSON Lines → HTTP → JSON Lines, 128 records per request, 8 in flight; the server decodes the numbers", peer: "wrk, which sends one of our requests over and over and reads no file, no answer, and writes nothing",
		short: "wrk, one request over and over", wall: 0.80},
	{id: "wrk-zeros", work: "the same, with a server that does not even read the numbers", peer: "wrk", short: "… server reads no number"},
	{id: "aiohttp-1", work: "the same", peer: "a script with aiohttp, one record per request, 8 in flight", short: "aiohttp, 1 record per request"},
	{id: "aiohttp-128", work: "the same", peer: "the same script, 128 records per request", short: "aiohttp, 128 per request", wall: 25, cpu: 18},
	{id: "aiohttp-tuned", work: "the same", peer: "the same script, 128 records per request, with uvloop and orjson", short: "… with uvloop and orjson"},
	{id: "curl", work: "the same", peer: "GNU parallel --pipe, jq and curl, 128 records per request, 8 in flight", short: "GNU parallel + jq + curl", wall: 200},
	{id: "sample-mariadb", work: "4,000 rows of a MariaDB table, a scikit-learn model behind HTTP", peer: "the pattern's published job: 4 threads, one record per call, a commit per row", short: "published job, MariaDB", wall: 300},
	{id: "sample-half-mariadb", work: "half as many rows", peer: "the same job, which slows down with each row more", short: "… 2,000 rows, MariaDB"},
	{id: "sample-postgres", work: "4,000 rows of a PostgreSQL table, the same model", peer: "the same job", short: "published job, PostgreSQL", wall: 300},
	{id: "sample-half-postgres", work: "half as many rows", peer: "the same job", short: "… 2,000 rows, PostgreSQL"},
	{id: "model-1024", work: "a Python script with a scikit-learn model, which answers JSON Lines; we load it once for each of 8 requests in flight", peer: "GNU parallel --pipe -N 1024, which loads it for each block",
		short: "model script, parallel -N 1024", wall: 40},
	{id: "model-16384", work: "the same", peer: "GNU parallel --pipe -N 16384", short: "model script, parallel -N 16384", wall: 20},
	{id: "kept-1024", work: "cat in place of a model, kept for 8 requests in flight of 1,024 records", peer: "GNU parallel --pipe -N 1024 cat", short: "cat, kept; parallel -N 1024"},
	{id: "kept-16384", work: "the same, requests of 16,384 records", peer: "GNU parallel --pipe -N 16384 cat", short: "cat, kept; parallel -N 16384"},
	{id: "program-1024", work: "cat, started anew for each mini-batch of 1,024 records: what a process costs", peer: "GNU parallel --pipe -N 1024 cat", short: "cat, started; parallel -N 1024", wall: 40},
	{id: "program-16384", work: "the same, mini-batches of 16,384 records", peer: "GNU parallel --pipe -N 16384 cat", short: "cat, started; parallel -N 16384", wall: 20},
}

// bar is one figure of ours and where it must be.
type bar struct {
	id      string
	what    string
	unit    string
	target  float64 // 0: none
	atLeast bool    // else at most
}

func (b bar) met(value float64) bool {
	if b.atLeast {
		return value >= b.target
	}
	return value <= b.target
}

// group is bars under one headline.
type group struct {
	title string
	bars  []bar
}

// groups are all bars there are, in the order of the page.
var groups = []group{
	{"Data path", []bar{
		{id: "client-cpu-128", what: "CPU time of the runner per record, 128 records per request", unit: "µs", target: 0.45},
		{id: "client-cpu-1024", what: "the same, 1,024 records per request", unit: "µs", target: 0.20},
		{id: "over-bare", what: "states, retries and metrics: CPU time over that of a bare loop", unit: "%"},
		{id: "planning", what: "planning a CSV file of 1 GB, per CPU second", unit: "GB", target: 2.5, atLeast: true},
		{id: "rss-1m", what: "peak memory, 1M records", unit: "MB", target: 48},
		{id: "rss-growth", what: "peak memory, 10M records over 1M", unit: "×", target: 1.10},
		{id: "s3", what: "S3 → S3 (versitygw on this machine)", unit: "records/s"},
		{id: "postgres", what: "PostgreSQL → PostgreSQL, rows inserted", unit: "records/s"},
		{id: "mariadb", what: "MariaDB → MariaDB, rows inserted", unit: "records/s"},
		{id: "growth-mariadb", what: "published job's table, MariaDB: 40,000 rows over 4,000, time", unit: "×", target: 11},
		{id: "growth-postgres", what: "the same, PostgreSQL", unit: "×", target: 11},
	}},
	{"Runner", []bar{
		{id: "overhead", what: "a run: server launched, 150 records planned, predicted, committed", unit: "ms", target: 300},
		{id: "idle", what: "memory, no job", unit: "MB", target: 25},
		{id: "rss-1000", what: "memory, 1,000 jobs", unit: "MB", target: 30},
		{id: "rss-10000", what: "memory, 10,000 jobs", unit: "MB", target: 48},
		{id: "ready-1000", what: "ready after its start, 1,000 jobs", unit: "ms", target: 250},
		{id: "ready-10000", what: "ready after its start, 10,000 jobs", unit: "ms"},
		{id: "size", what: "the binary", unit: "MB", target: 40},
		{id: "transitions", what: "durable transitions of mini-batches", unit: "per second"},
		{id: "resent", what: "records sent again by a partial retry, over those given up", unit: "×", target: 1},
		{id: "drain", what: "a queue of 20,000 runs: speed over that of a queue of 2,000", unit: "×"},
	}},
	{"Due in one second", []bar{
		{id: "due-1000", what: "1,000 jobs: all runs durable after the due instant", unit: "ms"},
		{id: "due-1000-gocron", what: "gocron, 1,000 tasks called, nothing kept", unit: "ms"},
		{id: "due-100000", what: "100,000 jobs: all runs durable after the due instant", unit: "ms"},
		{id: "due-100000-gocron", what: "gocron, 100,000 tasks called, nothing kept", unit: "ms"},
		{id: "due-100000-memory", what: "100,000 jobs: memory that this takes", unit: "MB"},
		{id: "due-100000-gocron-memory", what: "gocron: memory of 100,000 tasks", unit: "MB"},
	}},
}

// formats are those of files; the matrix has a figure for each pair,
// "matrix-csv-parquet".
var formats = []string{"csv", "jsonl", "parquet"}

func matrixID(from, to string) string { return "matrix-" + from + "-" + to }
