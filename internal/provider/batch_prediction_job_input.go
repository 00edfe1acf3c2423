package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

const placeholders = "`{date}`, `{year}`, `{month}`, `{day}`, `{hour}`, `{scheduled_at}`, `{run}`, " +
	"with offset (`{date-1d}`) and format (`{date:%Y%m%d}`)"

func inputSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Required: true, MarkdownDescription: "Which records are predicted: exactly one of `files` and `sql`.",
		Attributes: map[string]schema.Attribute{
			"files": inputFilesSchema(),
			"sql":   inputSQLSchema(),
			"key": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: fmt.Sprintf("Columns that identify a record for people, and the row that a prediction belongs to in a table. Required with `output.sql` and with mode `%s`. Default: none.", api.ModePredicate),
			},
			"duplicate_keys": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("What planning does with records of one `key`: `%s` fails the run, `%s` and `%s` take one of them. Default: `%s` with `output.sql`, where one row can hold one prediction; else keys are not compared.",
					api.DuplicatesError, api.DuplicatesFirst, api.DuplicatesLast, api.DefaultDuplicateKeys),
			},
			"mode": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("What a run takes of its input: `%s`, all of it; of `files`, `%s`, those that no run has taken yet; of `sql`, `%s`, what the query finds by a condition like `prediction IS NULL`, "+
					"or `%s`, the rows beyond a column's mark. But for `%s`, a run that finds nothing new has succeeded and publishes nothing. Default: `%s`.",
					api.ModeFull, api.ModeNewFiles, api.ModePredicate, api.ModeWatermark, api.ModeFull, api.DefaultMode),
			},
			"state": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("Not with mode `%s`: what becomes of the memory of what was taken when `files.uri` or `sql` changes: `%s` forgets it, so that everything is new, `%s` takes it along. "+
					"Such a change without it is an error at plan. Default: none.", api.ModeFull, api.StateReset, api.StateKeep),
			},
			"on_empty": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("With mode `%s` only: what a run without any record does: `%s`, `%s` or `%s` (an empty output is published, no server is launched). Default: `%s`.",
					api.ModeFull, api.OnEmptyFail, api.OnEmptySkip, api.OnEmptySucceed, api.DefaultOnEmpty),
			},
			"wait_for": waitForSchema(),
			"max_spool": schema.StringAttribute{
				Optional: true, CustomType: sizeText,
				MarkdownDescription: fmt.Sprintf("How much a run may copy of an input that can't be read twice (rows of a query, compressed files) into the runner's `data_dir`: a size like `500MB`, `50GB` or `1GiB`. Above it the run fails while it is planned. Default: `%s`.",
					api.DefaultMaxSpool),
			},
		},
	}
}

func inputFilesSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "Files on the runner's host, or objects of a store.",
		Attributes: map[string]schema.Attribute{
			"uri": schema.StringAttribute{
				Required: true, CustomType: uriText,
				MarkdownDescription: "Absolute path, `file:///…`, `s3://bucket/…`, `gs://bucket/…` or `az://account/container/…`, with globs (`*`, `?`, `[a-z]`, `**` for any folders), which match no name that begins with `_` or `.` unless they write it, and placeholders: " + placeholders +
					". They mean the occurrence in the schedule's zone. `{{` is a brace.",
			},
			"format": formatSchema("By the extension: `.csv`, `.jsonl`, `.ndjson`, `.parquet`, before `.gz` or `.zst`."),
			"compression": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("How the files are compressed: `%s`, `%s` or `%s`; Parquet compresses itself. Compressed files are copied while a run is planned, see `max_spool`. Default: by the extension `.gz` or `.zst`, else `%s`.",
					api.CompressionNone, api.CompressionGzip, api.CompressionZstd, api.DefaultCompression),
			},
			"header": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Whether CSV files begin with the names of their columns. Default: `true`.",
			},
			"columns": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Names of the columns of CSV files, in their order; with `header = false` only, and required there.",
			},
			"null_values": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Texts of CSV cells that stand for no value, like `NA`. Default: none.",
			},
			"hive_partitions": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Whether folders named `column=value` are columns of the records below them. A file that has such a column itself is refused; of JSON Lines the first record tells. Default: `false`.",
			},
			"verify": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("How a file on the runner's host is known to be the planned one each time it is read: `%s`, by its inode, size, time of change and number of records; `%s`, beside these by a CRC-32C of each mini-batch's bytes, "+
					"for files that may be rewritten in place with their times set back (as `rsync --inplace --times` does). A change ends the run as `input_changed`. Default: `%s`.",
					api.VerifyIdentity, api.VerifyChecksum, api.DefaultVerify),
			},
			"min_age": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: fmt.Sprintf("With mode `%s` only: how long a file must have been left alone to be taken, %s; a younger one waits for the next run. Default: `%s`, and none with `done_marker`.",
					api.ModeNewFiles, durationForm, api.DefaultMinAge),
			},
			"done_marker": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: fmt.Sprintf("With mode `%s` only: name of the file beside a new file that says it is complete, where `*` is the new file's name: `*.done`, `_SUCCESS`. Default: none is asked for.",
					api.ModeNewFiles),
			},
		},
	}
}

func inputSQLSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "Rows of a query, read once, in one snapshot, and copied while a run is planned (see `max_spool`).",
		Attributes: map[string]schema.Attribute{
			"dsn": dsnSchema(),
			"query": schema.StringAttribute{
				Required: true,
				MarkdownDescription: "One `SELECT`, or a `WITH` that ends in one, without a semicolon. It may name the parameters `:scheduled_at`, the run's occurrence, and `:previous_success_at`, that of the last run that succeeded " +
					"(null for the first).",
			},
			"watermark": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: fmt.Sprintf("With mode `%s` only, and required there: what tells new rows from those that runs have taken.", api.ModeWatermark),
				Attributes: map[string]schema.Attribute{
					"column": schema.StringAttribute{Required: true, MarkdownDescription: "Column of the query, of timestamps or dates, that grows with each change of a row: the time of the change. One without a time zone holds UTC."},
					"start": schema.StringAttribute{
						Required:            true,
						MarkdownDescription: fmt.Sprintf("Where the first run begins: `%s`, `%s`, or a date or time (UTC unless it says a zone), above which rows are new. `now` is when the first run is planned.", api.StartBeginning, api.StartNow),
					},
					"lag": schema.StringAttribute{
						Optional: true, CustomType: durationText,
						MarkdownDescription: fmt.Sprintf("How far a run stays behind the database's clock, %s; longer than the longest transaction that writes rows, or its rows are missed. Default: `%s`.", durationForm, api.DefaultLag),
					},
				},
			},
		},
	}
}

func waitForSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "What a run waits for before it is planned, without a server or a slot: exactly one of `uri`, `sql` and `rows_at_least`. Default: nothing; an input that is not there fails the run.",
		Attributes: map[string]schema.Attribute{
			"uri": schema.StringAttribute{
				Optional: true, CustomType: uriText,
				MarkdownDescription: "A file or object that must exist, written as `files.uri` is: `/lake/dt={date}/_SUCCESS`.",
			},
			"sql": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "A query over the database of `input.sql` whose first value must be true or above 0, with the parameters of `query`.",
			},
			"rows_at_least": schema.Int64Attribute{
				Optional: true, MarkdownDescription: "How many rows `input.sql.query` must find.",
			},
			"timeout": schema.StringAttribute{
				Required: true, CustomType: durationText,
				MarkdownDescription: "How long a run waits before it has failed with `input_late`: " + durationForm + ".",
			},
		},
	}
}

// dsnSchema is how a database is reached.
func dsnSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Required: true,
		MarkdownDescription: "Where the runner finds the database's address, by reference only: `postgres://user:password@host/database`, `mysql://…` (MariaDB too) or `sqlite:///absolute/path`. " +
			"Exactly one of `secret`, `file` and `env`.",
		Attributes: secretAttributes(),
	}
}

// secretAttributes say where a secret lies.
func secretAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"secret": schema.StringAttribute{Optional: true, MarkdownDescription: "Name of a file in the runner's `secrets_dir`. Exactly one of `secret`, `file` and `env`."},
		"file":   schema.StringAttribute{Optional: true, MarkdownDescription: "Absolute path of a file on the runner's host."},
		"env":    schema.StringAttribute{Optional: true, MarkdownDescription: "Name of a variable in the runner's `environment_file`."},
	}
}

func formatSchema(standard string) schema.Attribute {
	return schema.StringAttribute{
		Optional:            true,
		MarkdownDescription: fmt.Sprintf("Format of the files: `%s` (RFC 4180), `%s` or `%s`. Default: %s", api.FormatCSV, api.FormatJSONL, api.FormatParquet, standard),
	}
}

func miniBatchSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "How the input is cut into mini-batches, the units that are predicted, staged and retried.",
		Attributes: map[string]schema.Attribute{
			"rows": schema.Int64Attribute{
				Required:            true,
				MarkdownDescription: fmt.Sprintf("Records in a mini-batch, 1 to 10,000,000; the last of each file may hold fewer. Without `mini_batch`: `%d`.", api.DefaultRows),
			},
			"timeout": schema.StringAttribute{
				Optional: true, CustomType: durationText,
				MarkdownDescription: fmt.Sprintf("How long one attempt at a mini-batch may take: %s. Default: `%s`.", durationForm, api.DefaultTimeout),
			},
		},
	}
}
