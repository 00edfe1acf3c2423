package provider

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// runSchema is that of one run in an answer about something else.
func runSchema(description string) schema.Attribute {
	return schema.SingleNestedAttribute{Computed: true, MarkdownDescription: description, Attributes: runAttributes()}
}

// runAttributes are those of a run; their names are those of api.Run.
func runAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id":         computedString("Id of the run."),
		"job":        computedString("Name of its job."),
		"occurrence": computedString("The due time it stands for."),
		"origin":     computedString("What asked for it: `schedule`, `catch_up`, `manual` or `backfill`."),
		"backfill":   computedString("Id of the backfill that asked for it; null where none did."),
		"attempt":    computedInt("Which attempt at its plan this is or was, counting from 1."),
		"state":      computedString("`queued`, `planning`, `provisioning`, `running`, `committing`, `succeeded`, `incomplete`, `failed`, `cancelled`, `stopped` or `skipped` (a newer occurrence took its place in the queue)."),
		"reason":     computedString("Why it ended other than succeeded, or why it waits; null where there is none."),
		"message":    computedString("What happened, in a sentence; null where there is nothing to say."),

		"withheld":       computedBool("Whether its results are held back because too many records failed."),
		"withheld_until": computedString("Until when they are kept for `retry` and `accept`; null where they are not held back."),
		"counts": schema.SingleNestedAttribute{
			Computed: true, MarkdownDescription: "Its records. At every moment `planned` = `committed` + `carried` + `dead_lettered` + `gone` + `unfinished`.",
			Attributes: map[string]schema.Attribute{
				"planned":       computedInt("Records in its plan."),
				"committed":     computedInt("Records whose predictions are published."),
				"carried":       computedInt("Records left to the job's next run."),
				"dead_lettered": computedInt("Records given up because of their data."),
				"gone":          computedInt("Records that had no row to be written to: deleted meanwhile, given a prediction by somebody else, or written by a newer run."),
				"unfinished":    computedInt("Records without an outcome yet."),
				"staged":        computedInt("Those of `unfinished` that are predicted, and not published."),
				"given_up":      computedInt("Those of `unfinished` that could not be predicted, though their data may be good; `retry` goes on with them."),
			},
		},
		"mini_batches": schema.SingleNestedAttribute{
			Computed: true, MarkdownDescription: "How many of its mini-batches are in each state.",
			Attributes: map[string]schema.Attribute{
				"total":      computedInt("All of them."),
				"pending":    computedInt("Those that wait for their turn."),
				"running":    computedInt("Those in flight."),
				"retry_wait": computedInt("Those that wait for another attempt."),
				"staged":     computedInt("Those that are predicted, and not published."),
				"committed":  computedInt("Those that are published."),
				"given_up":   computedInt("Those that could not be predicted."),
				"cancelled":  computedInt("Those that were cancelled with the run."),
			},
		},
		"requests":       computedInt("Requests that were answered with predictions."),
		"launches":       computedInt("Prediction servers that were started for it."),
		"server_seconds": schema.Float64Attribute{Computed: true, MarkdownDescription: "How long its prediction servers lived, together, in seconds."},
		"cost":           computedString("What they cost, like `0.12 EUR`; null without `predict.server.price_per_hour`."),
		"fingerprint":    computedString("What tells the model it began with from another one; null before a server was ready."),
		"revision":       computedInt("Revision of the published folder, counting from 1; null where nothing was published."),
		"output":         computedString("The published folder; null where nothing was published."),
		"created_at":     computedString("When it was queued."),
		"started_at":     computedString("When it began; null before."),
		"ended_at":       computedString("When it ended; null before."),
		"spool_bytes":    computedInt("What its copies of input take on the runner's disk now, in bytes."),
		"trouble": schema.SingleNestedAttribute{
			Computed: true, MarkdownDescription: "What it waits for, where it is under way and something is wrong: a database that does not answer, an input that is not there, a server that is not ready. Null otherwise.",
			Attributes: map[string]schema.Attribute{
				"since": computedString("Since when."),
				"until": computedString("When the run gives up, if this lasts; null where that is not known beforehand."),
				"error": computedString("What is wrong."),
			},
		},
	}
}

// runDetails are what only the data source of one run tells.
func runDetails() map[string]schema.Attribute {
	details := map[string]schema.Attribute{
		"owed": computedInt("How many of its records still wait in the job's ledger for the next run; null where the runner does not know the run."),
		"isolation": schema.SingleNestedAttribute{
			Computed: true, MarkdownDescription: "Requests that looked for the records that made requests fail.",
			Attributes: map[string]schema.Attribute{
				"probes":        computedInt("Parts of a failed request."),
				"controls":      computedInt("Known good records, to tell a bad record from a sick server."),
				"confirmations": computedInt("Bad records once more, after a control."),
				"launches":      computedInt("Servers that were lost to suspects."),
			},
		},
		"notes": computedStrings("What else a reader should know, as `batch-runner why` says it."),
		"run_attempts": computedList("Its attempts at the whole plan, oldest first.", map[string]schema.Attribute{
			"number":     computedInt("Which one, counting from 1."),
			"generation": computedInt("Generation of the job that it ran with."),
			"started_at": computedString("When it began."),
			"ended_at":   computedString("When it ended; null before."),
			"outcome":    computedString("The state of the run that it led to, or `superseded`; null before."),
			"reason":     computedString("Why it ended other than succeeded; null where there is none."),
			"message":    computedString("What happened, in a sentence; null where there is nothing to say."),
		}),
		"errors": computedList("The most frequent errors of its mini-batches that have no result, by the records in them. What the records did that were given up is told by `dead_letters`.", map[string]schema.Attribute{
			"class":        computedString("Class of the failure: it decided what happened next."),
			"status":       computedInt("HTTP status of the answer; null where there was none."),
			"error":        computedString("What was said."),
			"records":      computedInt("Records that it is about."),
			"mini_batches": computedInt("Mini-batches that it is about."),
			"example":      computedString("Which records one of the failed requests held; null where that is not known."),
		}),
		"dead_letters": computedList("Its first dead letters, at most `max_dead_letters`. The records themselves stay with the runner: they do not belong into a state (`batch-runner dead-letters RUN`).", map[string]schema.Attribute{
			"key":        schema.MapAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Its `input.key`; null where the job has none."},
			"file":       computedString("The input file; null where the record is a row of a table."),
			"line":       computedInt("The line of the file on which the record begins, its row in Parquet; null where the record is a row of a table."),
			"table":      computedString("The table that the record is a row of, told by `key`; null where it stands in a file."),
			"mini_batch": computedInt("Number of its mini-batch."),
			"class":      computedString("Class of the failure."),
			"status":     computedInt("HTTP status of the answer; null where there was none."),
			"error":      computedString("What was said."),
			"group":      computedString("Shared by records that could not be told apart; null otherwise."),
			"attempts":   computedInt("How many times it was tried."),
			"first_seen": computedString("When it failed first."),
			"last_seen":  computedString("When it failed last."),
		}),
	}
	maps.Copy(details, runAttributes())
	return details
}
